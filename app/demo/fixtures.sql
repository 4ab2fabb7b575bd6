-- The demo's fixed rows: everything that the contract's examples show, and what stands around it so that it reads as a
-- shop. Loaded whole, once, by app/demo/fixtures.py. Secrets of the demo are public; the store keeps their hashes even so.

-- ------------------------------------------------------------------------------------------------ channels and keys

INSERT INTO channels (id, code, name, currency, language, created_at) VALUES
  (1, 'default',   'Default',           'USD', 'EN', '2024-11-01T09:00:00Z'),
  (2, 'northwind', 'Northwind Traders', 'USD', 'EN', '2024-11-01T09:00:00Z');

INSERT INTO channel_pages (channel_id, name, accent, help_url) VALUES
  (1, 'Demo Shop', '#0a6e5c', 'https://shop.example.com/help'),
  (2, NULL,        '#8a3ffc', 'mailto:help@northwind.example.com');

INSERT INTO storefront_keys (id, channel_id, key_hash, name, created_at) VALUES
  (1, 1, sha256('pk_storefront_demo_default'),   'Demo shop',           '2024-11-01T09:00:00Z'),
  (2, 2, sha256('pk_storefront_demo_northwind'), 'Demo shop Northwind', '2024-11-01T09:00:00Z');

INSERT INTO api_keys (id, name, key_hash, scopes, created_at) VALUES
  (1, 'Demo partner', sha256('pk_partner_demo_full'),
   '{orders:read,shipments:read,orders:write,shipments:write,carriers:write,webhooks:write}', '2024-11-01T09:00:00Z'),
  (2, 'Demo partner, read only', sha256('pk_partner_demo_read'),
   '{orders:read,shipments:read}', '2024-11-01T09:00:00Z');

INSERT INTO api_key_channels (api_key_id, channel_id) VALUES (1, 1), (1, 2), (2, 1), (2, 2);

-- ------------------------------------------------------------------------------------------------ companies and people

-- Bouwgroep owns De Linde and Hofstra; De Linde owns De Linde Montage. The contact of De Linde sees its own orders and
-- its daughter's, and neither its sister's nor its mother's.
INSERT INTO companies (id, channel_id, external_id, name, parent_id, created_at, last_modified_at) VALUES
  (1, 1, 'D-1000', 'Bouwgroep Nederland B.V.',      NULL, '2024-11-04T08:00:00Z', '2024-11-04T08:00:00Z'),
  (2, 1, 'D-1001', 'Bouwmaterialen De Linde B.V.',  1,    '2024-11-04T08:00:00Z', '2024-11-04T08:00:00Z'),
  (3, 1, 'D-1002', 'De Linde Montage B.V.',         2,    '2024-11-04T08:00:00Z', '2024-11-04T08:00:00Z'),
  (4, 1, 'D-1003', 'Technisch Bureau Hofstra B.V.', 1,    '2024-11-04T08:00:00Z', '2024-11-04T08:00:00Z');

INSERT INTO company_sources (company_id, channel_id, name, id) VALUES
  (1, 1, 'erp', 'D-1000'), (2, 1, 'erp', 'D-1001'), (3, 1, 'erp', 'D-1002'), (4, 1, 'erp', 'D-1003');

-- Passwords: waybill-demo-john, waybill-demo-jane, waybill-demo-suspended (argon2id, argon2-cffi's default parameters).
INSERT INTO customers (id, channel_id, email, first_name, last_name, gender, password_hash, is_suspended, created_at, last_modified_at) VALUES
  (1, 1, 'customer@example.com', 'John', 'Doe', 'M',
   '$argon2id$v=19$m=65536,t=3,p=4$E5qz36HYRE/yClj+YmmnKg$Kc3/mRYdUfuERBHfKEH1MAJUhjzRVHnz6t4DTrPRGW4', false,
   '2024-12-02T10:00:00Z', '2024-12-02T10:00:00Z'),
  (2, 1, 'jane@example.com', 'Jane', 'Roe', 'F',
   '$argon2id$v=19$m=65536,t=3,p=4$jqomgoJ+TYB87g3VDPHE6g$AM2Kim0Y7i5di2MXSR2HDVUFgSV0zWdFUjNjORfaDIc', false,
   '2024-12-03T10:00:00Z', '2024-12-03T10:00:00Z'),
  (3, 1, 'suspended@example.com', 'Sam', 'Poe', 'U',
   '$argon2id$v=19$m=65536,t=3,p=4$oPyafOFNVIy42mSh34hpWw$yeKpN38s/oSr7i+FGMyeETaPkydJDZm6E34ZAVZcP14', true,
   '2024-12-04T10:00:00Z', '2024-12-04T10:00:00Z');

INSERT INTO contacts (id, channel_id, email, first_name, last_name, created_at, last_modified_at) VALUES
  (4, 1, 'contact@example.com',   'Pieter', 'van der Linde', '2024-11-04T08:30:00Z', '2024-11-04T08:30:00Z'),
  (5, 1, 'montage@example.com',   'Noor',   'de Wit',        '2024-11-04T08:30:00Z', '2024-11-04T08:30:00Z'),
  (6, 1, 'outsider@example.com',  'Sjoerd', 'Hofstra',       '2024-11-04T08:30:00Z', '2024-11-04T08:30:00Z');

INSERT INTO contact_companies (contact_id, channel_id, company_id) VALUES (4, 1, 2), (5, 1, 3), (6, 1, 4);

-- ------------------------------------------------------------------------------------------------ carriers

INSERT INTO carriers (id, name, type, track_and_trace_url, created_at, last_modified_at) VALUES
  (1, 'PostNL',        'DELIVERY', 'https://postnl.nl/tracktrace/?B={code}',                                 '2024-11-01T09:00:00Z', '2024-11-01T09:00:00Z'),
  (2, 'FedEx',         'DELIVERY', 'https://www.fedex.com/fedextrack/?trknbr={code}',                        '2024-11-01T09:00:00Z', '2024-11-01T09:00:00Z'),
  (3, 'DHL',           'DELIVERY', 'https://www.dhl.com/en/express/tracking.html?AWB={code}',                '2024-11-01T09:00:00Z', '2024-11-01T09:00:00Z'),
  (4, 'DPD',           'DELIVERY', 'https://tracking.dpd.de/status/en_US/parcel/{code}',                     '2024-11-01T09:00:00Z', '2024-11-01T09:00:00Z'),
  (5, 'UPS',           'DELIVERY', 'https://www.ups.com/track?tracknum={code}',                              '2024-11-01T09:00:00Z', '2024-11-01T09:00:00Z'),
  (6, 'GLS',           'DELIVERY', 'https://gls-group.com/track/{code}',                                     '2024-11-01T09:00:00Z', '2024-11-01T09:00:00Z'),
  (7, 'Standard Post', 'DELIVERY', NULL,                                                                     '2024-11-01T09:00:00Z', '2024-11-01T09:00:00Z'),
  (8, 'Store pick-up', 'PICKUP',   NULL,                                                                     '2024-11-01T09:00:00Z', '2024-11-01T09:00:00Z');

INSERT INTO carrier_descriptions (carrier_id, language, value) VALUES
  (1, 'EN', 'Parcels and letterbox parcels in the Netherlands and Belgium, delivered the next working day'),
  (1, 'NL', 'Pakketten en brievenbuspakjes in Nederland en België, de volgende werkdag bezorgd'),
  (2, 'EN', 'Express parcels worldwide'),
  (2, 'NL', 'Expreszendingen over de hele wereld'),
  (3, 'EN', 'Parcels in Europe and express worldwide'),
  (3, 'NL', 'Pakketten in Europa en expreszendingen wereldwijd'),
  (4, 'EN', 'Parcels in Europe with a one-hour delivery window'),
  (4, 'NL', 'Pakketten in Europa, bezorgd binnen een tijdvak van een uur'),
  (5, 'EN', 'Parcels and freight worldwide'),
  (5, 'NL', 'Pakketten en vracht wereldwijd'),
  (6, 'EN', 'Parcels for businesses in Europe'),
  (6, 'NL', 'Zakelijke pakketten in Europa'),
  (7, 'EN', 'Ordinary post, which cannot be followed'),
  (7, 'NL', 'Gewone post, niet te volgen'),
  (8, 'EN', 'Ready at the counter of the store'),
  (8, 'NL', 'Klaar aan de balie van de winkel');

-- ------------------------------------------------------------------------------------------------ products

INSERT INTO products (id, channel_id, sku, names, slugs, short_descriptions, images, manufacturer, ean_code, package, inventory_quantity)
SELECT id, 1, sku,
       jsonb_build_object('EN', name_en, 'NL', name_nl),
       jsonb_build_object('EN', slug_en, 'NL', slug_nl),
       jsonb_build_object('EN', short_en, 'NL', short_nl),
       jsonb_build_array(jsonb_build_object(
         'language', 'EN', 'url', 'https://media.example.com/products/' || id || '.jpg', 'mimeType', 'image/jpeg', 'alt', name_en)),
       manufacturer, ean, package, stock
FROM (VALUES
  (  22, 'TSHIRT-22',  'Cotton T-shirt',            'Katoenen T-shirt',                 'cotton-t-shirt',            'katoenen-t-shirt',            'Soft and fitted',                    'Zacht en getailleerd',               'Atelier',     '8712345000229', 'piece', 240),
  (1001, 'PROD-001',   'Sample Product',            'Voorbeeldproduct',                 'sample-product',            'voorbeeldproduct',            'The one everybody starts with',      'Waar iedereen mee begint',           'Acme',        '8712345010013', 'piece', 100),
  (1139, 'VFS-200',    'Ventilation filter set Fresh Air', 'Ventilatie Filterset Fresh Air', 'ventilation-filter-set', 'ventilatie-filterset',        'One ePM10 (M5), one Coarse (G4)',    'Een ePM10 (M5), een Coarse (G4)',    'Fresh Air',   '8712345011393', 'set',    64),
  (1187, '157957',     'Douglas larch fine-sawn BLACK', 'Douglas Lariks fijn bezaagd ZWART', 'douglas-larch-black',  'douglas-lariks-zwart',        '2.1 × 19.5 × 300 cm',                '2,1 × 19,5 × 300 cm',                'Houtindustrie', '8712345011874', 'board', 12),
  (1201, '695123-3',   'Power cord 2x1.50 4.0mtr',  'Netsnoer 2x1,50 4,0 m',            'power-cord-4m',             'netsnoer-4m',                 'Two cores of 1.50 mm²',              'Twee aders van 1,50 mm²',            'Elektra',     '8712345012017', 'piece', 310),
  (1202, 'STD-01',     'Ergonomic printer stand',   'Printerstandaard voor ergonomische plaatsing', 'printer-stand', 'printerstandaard',            'Brings the printer to desk height',  'Brengt de printer op werkhoogte',    'Kantoor',     '8712345012024', 'piece',  25),
  (1203, 'ACZ-18V',    'Cordless circular saw 18V Compact', 'Accu Cirkelzaag 18V Compact', 'circular-saw-18v',       'cirkelzaag-18v',              'Without battery',                    'Zonder accu',                        'Werktuig',    '8712345012031', 'piece',  18),
  (2508, 'EVENT-2508', 'Spring concert',            'Lenteconcert',                     'spring-concert',            'lenteconcert',                'Standard entry',                     'Standaardtoegang',                   'Acme',        '',              '',      500),
  (2509, 'APPT-2509',  'Fitting appointment',       'Pasafspraak',                      'fitting-appointment',       'pasafspraak',                 'Forty-five minutes in the store',    'Drie kwartier in de winkel',         'Acme',        '',              '',      500)
) AS product (id, sku, name_en, name_nl, slug_en, slug_nl, short_en, short_nl, manufacturer, ean, package, stock);

-- ------------------------------------------------------------------------------------------------ orders of customers

INSERT INTO orders (
  id, channel_id, uuid, increment_id, status, status_date, customer_id, email, first_name, last_name, source, currency,
  sub_total, postage_gross, postage_net, total_gross, total_net, total_tax, invoiced_total,
  shipping_method, shipping_title, payment_method, payment_status, created_at, last_modified_at
) VALUES
  (1, 1, '0925e474-9b57-4bd1-b653-f8dd9b1f282e', '1', 'NEW', '2025-01-15T10:30:00Z', 1, 'customer@example.com', 'John', 'Doe', 'shop', 'USD',
   140.00, 10.00, 10.00, 150.00, 150.00, 0.00, 150.00,
   'flatrate_flatrate', 'Flat Rate - Flat Rate', 'moneytransfer', 'PAID', '2025-01-15T10:30:00Z', '2025-01-15T10:30:00Z'),
  (2, 1, 'ffed9235-288b-4781-ae66-267594c9c950', '2', 'CONFIRMED', '2025-01-16T09:12:00Z', 1, 'customer@example.com', 'John', 'Doe', 'shop', 'USD',
   50.00, 10.00, 10.00, 60.00, 60.00, 0.00, 60.00,
   'flatrate_flatrate', 'Flat Rate - Flat Rate', 'moneytransfer', 'PAID', '2025-01-16T09:05:00Z', '2025-01-16T09:12:00Z'),
  (3, 1, 'cdbd47d3-64be-4049-a372-db8f6e405d93', '3', 'CONFIRMED', '2025-01-18T16:00:00Z', 1, 'customer@example.com', 'John', 'Doe', 'shop', 'USD',
   140.00, 10.00, 10.00, 150.00, 150.00, 0.00, 150.00,
   'flatrate_flatrate', 'Flat Rate - Flat Rate', 'moneytransfer', 'PAID', '2025-01-18T15:45:00Z', '2025-01-20T14:30:00Z'),
  (4, 1, '82523e86-feac-4eb7-9c38-f519b91751da', '4', 'CONFIRMED', '2025-03-30T19:25:00Z', 1, 'customer@example.com', 'John', 'Doe', 'shop', 'USD',
   75.00, 0.00, 0.00, 75.00, 75.00, 0.00, 75.00,
   NULL, NULL, 'moneytransfer', 'PAID', '2025-03-30T19:20:00Z', '2025-03-30T19:25:00Z'),
  (5, 1, 'ef8acd12-8b4f-4fc1-9f3f-57ebf30b94fa', '5', 'NEW', '2025-01-21T08:00:00Z', 2, 'jane@example.com', 'Jane', 'Roe', 'shop', 'USD',
   70.00, 10.00, 10.00, 80.00, 80.00, 0.00, 0.00,
   'flatrate_flatrate', 'Flat Rate - Flat Rate', 'moneytransfer', 'PENDING', '2025-01-21T08:00:00Z', '2025-01-21T08:00:00Z');

INSERT INTO order_items (
  id, order_id, channel_id, uuid, type, product_id, sku, name, quantity, quantity_invoiced,
  price, price_net, price_total, price_total_net, tax, tax_code, weight, additional
) VALUES
  (1, 1, 1, 'e6b58de7-44ab-4cce-8087-7b6f71e1f6d2', 'simple', 1001, 'PROD-001', 'Sample Product', 2, 2, 70.00, 70.00, 140.00, 140.00, 0, 'N', 0.500, NULL),
  (2, 2, 1, '5d300cb9-0706-4045-9efc-044a09325626', 'configurable', 22, 'TSHIRT-22', 'Cotton T-shirt', 2, 2, 25.00, 25.00, 50.00, 50.00, 0, 'N', 0.200,
   '{"locale": "en", "quantity": 2,
     "attributes": [{"option_id": "2", "option_label": "Blue", "attribute_name": "Color"},
                    {"option_id": "7", "option_label": "M", "attribute_name": "Size"}],
     "is_buy_now": "0", "product_id": "22"}'),
  (3, 3, 1, 'e8624fab-5186-4e32-ae8d-7ee9770348a0', 'simple', 1001, 'PROD-001', 'Sample Product', 2, 2, 70.00, 70.00, 140.00, 140.00, 0, 'N', 0.500, NULL),
  (4, 4, 1, 'e2520e33-e44c-4055-ac71-c4a66148a86f', 'booking', 2509, 'APPT-2509', 'Fitting appointment', 1, 1, 35.00, 35.00, 35.00, 35.00, 0, 'N', NULL,
   '{"locale": "en", "booking": {"date": "2026-04-28", "slot": "1777354200-1777356900"}, "cart_id": 5144, "quantity": 1,
     "attributes": [{"option_id": 0, "option_label": "28 April, 2026 11:00 AM", "attribute_name": "Booking From"},
                    {"option_id": 0, "option_label": "28 April, 2026 11:45 AM", "attribute_name": "Booking Till"}],
     "is_buy_now": "0", "product_id": "2509"}'),
  (5, 4, 1, '2d6c797f-8f7d-4b78-aa1b-e9cd8697bbd0', 'booking', 2508, 'EVENT-2508', 'Spring concert', 1, 1, 40.00, 40.00, 40.00, 40.00, 0, 'N', NULL,
   '{"locale": "en", "booking": {"qty": {"7": "1", "8": "1"}, "slot": "1775457000-1777530600", "ticket_id": 7},
     "cart_id": 5141, "quantity": 1,
     "attributes": [{"option_id": 0, "option_label": "Standard Entry Ticket", "attribute_name": "Event Ticket"},
                    {"option_id": 0, "option_label": "06 April, 2026", "attribute_name": "Event From"},
                    {"option_id": 0, "option_label": "30 April, 2026", "attribute_name": "Event Till"}],
     "is_buy_now": "0", "product_id": "2508"}'),
  (6, 5, 1, '2d3d854e-061b-4030-bb08-c6e33c729578', 'simple', 1001, 'PROD-001', 'Sample Product', 1, 0, 70.00, 70.00, 70.00, 70.00, 0, 'N', 0.500, NULL);

INSERT INTO order_addresses (order_id, channel_id, type, first_name, last_name, gender, street, number, postal_code, city, region, country, phone, email, created_at, last_modified_at)
SELECT o.id, o.channel_id, kind, o.first_name, o.last_name, home.gender, home.street, home.number, home.postal_code, home.city, home.region, 'US',
       home.phone, o.email, o.created_at, o.created_at
FROM orders o
JOIN (VALUES
  (1, 'M', 'Maple Street',  '12',  '62704', 'Springfield', 'IL', '+1 217 555 0142'),
  (2, 'F', 'Harbor Avenue', '340', '97209', 'Portland',    'OR', '+1 503 555 0173')
) AS home (customer_id, gender, street, number, postal_code, city, region, phone) USING (customer_id)
CROSS JOIN unnest(ARRAY['invoice', 'delivery']) AS kind
ORDER BY o.id, kind DESC;

-- ------------------------------------------------------------------------------------------------ orders of companies

INSERT INTO orders (
  id, channel_id, uuid, status, status_date, company_id, contact_id, debtor_id, email, first_name, last_name, source,
  reference, language, currency, currency_ratio, sub_total, postage_gross, postage_tax, postage_net, postage_tax_percentage,
  total_gross, total_tax, total_net, shipping_method, shipping_title, postage_carrier, payment_method, payment_status,
  export_status, exported_at, created_at, last_modified_at
) VALUES
  (2075, 1, '829a48d4-22fe-49a2-ac70-501e533c9135', 'CONFIRMED', '2025-11-03T13:20:00Z', 2, 4, 'D-1001', 'contact@example.com', 'Pieter', 'van der Linde',
   'portal', 'PO-25-0871', 'NL', 'EUR', 0.92, 813.34, 12.50, 2.63, 15.13, 21, 825.84, 173.44, 999.28,
   'parcel', 'Parcel', 'PostNL', 'account', 'OPEN', 'EXPORTED', '2025-11-03T13:25:00Z', '2025-11-03T13:05:11.402Z', '2025-11-03T14:34:48.828Z'),
  (2076, 1, '83844b40-ffa9-49f1-9c14-bc4a829e07b0', 'CONFIRMED', '2025-11-10T09:02:00Z', 3, 5, 'D-1002', 'montage@example.com', 'Noor', 'de Wit',
   'portal', 'PO-25-0902', 'NL', 'EUR', 0.92, 361.80, 12.50, 2.63, 15.13, 21, 374.30, 78.61, 452.91,
   'parcel', 'Parcel', 'DHL', 'account', 'OPEN', 'EXPORTED', '2025-11-10T09:05:00Z', '2025-11-10T08:40:27.115Z', '2025-11-14T07:10:00.250Z'),
  (2077, 1, 'fec3f6b3-2e8d-4b8a-8f54-f8ceacaab39e', 'CONFIRMED', '2025-11-12T10:31:00Z', 4, 6, 'D-1003', 'outsider@example.com', 'Sjoerd', 'Hofstra',
   'portal', 'HOF-112', 'NL', 'EUR', 0.92, 258.00, 0.00, 0.00, 0.00, 21, 258.00, 54.18, 312.18,
   'parcel', 'Parcel', 'DPD', 'account', 'OPEN', 'EXPORTED', '2025-11-12T10:35:00Z', '2025-11-12T10:12:54.780Z', '2025-11-14T06:58:13.664Z');

INSERT INTO order_items (
  id, order_id, channel_id, uuid, product_id, sku, name, quantity, price, price_net, price_total, price_total_net, tax, tax_percentage
) VALUES
  (20151, 2075, 1, '6a27e0df-cbf8-4544-b215-4e76e4c11ab2', 1187, '157957', '2,1X19,5X300cm Douglas / Lariks fijn bezaagd ZWART (Op=Op)', 4, 23.31, 28.21, 93.24, 112.82, 19.58, 21),
  (20152, 2075, 1, 'e89204e2-e816-4561-867e-5e15bc01bfce', 1139, 'VFS-200', 'Ventilatie Filterset Fresh Air: 1x ePM10 (M5), 1x Coarse (G4)', 2, 21.80, 26.38, 43.60, 52.76, 9.16, 21),
  (20153, 2075, 1, '97eeab64-ca2c-46bc-9d3f-d983c34c769f', 1201, '695123-3', 'Power cord 2x1.50 4.0mtr', 3, 8.50, 10.29, 25.50, 30.86, 5.36, 21),
  (20154, 2075, 1, 'dbe53fca-fb21-47df-9ca4-95fa5a91c89b', 1202, 'STD-01', 'Printerstandaard voor ergonomische plaatsing', 3, 45.00, 54.45, 135.00, 163.35, 28.35, 21),
  (20155, 2075, 1, 'f4767f26-2943-45b2-b21d-ea3bf63f23d0', 1203, 'ACZ-18V', 'Accu Cirkelzaag 18V Compact', 4, 129.00, 156.09, 516.00, 624.36, 108.36, 21),
  (20161, 2076, 1, 'bd143fa9-b714-410c-a65d-7435c1066932', 1187, '157957', '2,1X19,5X300cm Douglas / Lariks fijn bezaagd ZWART (Op=Op)', 10, 23.31, 28.21, 233.10, 282.05, 48.95, 21),
  (20162, 2076, 1, '3ff98ff3-87c5-4473-a7a8-3ee0761ebfd2', 1203, 'ACZ-18V', 'Accu Cirkelzaag 18V Compact', 1, 128.70, 155.73, 128.70, 155.73, 27.03, 21),
  (20171, 2077, 1, '7f81375e-ecc1-4b63-8773-3e847d718d73', 1203, 'ACZ-18V', 'Accu Cirkelzaag 18V Compact', 2, 129.00, 156.09, 258.00, 312.18, 54.18, 21);

INSERT INTO order_sources (order_id, channel_id, name, id) VALUES
  (2075, 1, 'erp', 'SO-2075'), (2076, 1, 'erp', 'SO-2076'), (2077, 1, 'erp', 'SO-2077');

INSERT INTO order_addresses (order_id, channel_id, type, code, company, first_name, last_name, street, number, postal_code, city, country, phone, email, vat_id, created_at, last_modified_at)
SELECT o.id, o.channel_id, kind, c.external_id, c.name, o.first_name, o.last_name, site.street, site.number, site.postal_code, site.city, 'NL',
       site.phone, o.email, site.vat_id, o.created_at, o.created_at
FROM orders o
JOIN companies c ON c.id = o.company_id AND c.channel_id = o.channel_id
JOIN (VALUES
  (2, 'Industrieweg',    '14', '8021 AB', 'Zwolle',    '+31 38 555 01 40', 'NL801234567B01'),
  (3, 'Molenstraat',     '7',  '8011 CD', 'Zwolle',    '+31 38 555 01 70', 'NL801234568B01'),
  (4, 'Stationsplein',   '22', '8911 EF', 'Leeuwarden', '+31 58 555 02 20', 'NL801234569B01')
) AS site (company_id, street, number, postal_code, city, phone, vat_id) USING (company_id)
CROSS JOIN unnest(ARRAY['invoice', 'delivery']) AS kind
ORDER BY o.id, kind DESC;

-- ------------------------------------------------------------------------------------------------ shipments

INSERT INTO shipments (id, number, order_id, channel_id, status, expected_delivery_at, shipping_number, email_sent, created_at, last_modified_at) VALUES
  ('d95bafc8-f2a4-427b-9cf4-bb99f4bea973', 1, 3, 1, 'IN_TRANSIT', '2025-01-23T17:00:00Z', 'SH-001', true, '2025-01-20T14:30:00Z', '2025-01-20T14:30:00Z'),
  ('65ad4404-88a6-4f97-9325-34a3a35f1dfc', 2, 2075, 1, 'CREATED', '2025-12-05T10:00:00Z', 'SH-002', false, '2025-11-03T14:34:48.828Z', '2025-11-03T14:34:48.828Z'),
  ('5c6e4337-15ba-4bdd-9772-19d30e7a269f', 3, 2076, 1, 'DELIVERED', '2025-11-12T17:00:00Z', 'SH-003', true, '2025-11-11T07:30:00.125Z', '2025-11-12T11:47:02.910Z'),
  ('cf1822ff-bc68-4778-ab49-1044d5e34124', 4, 2076, 1, 'IN_TRANSIT', '2025-11-17T17:00:00Z', 'SH-004', true, '2025-11-13T15:20:41.006Z', '2025-11-14T07:10:00.250Z'),
  ('4067c358-4ee2-47f8-9a94-e3e8ab73738f', 5, 2077, 1, 'OUT_FOR_DELIVERY', '2025-11-14T17:00:00Z', 'SH-005', true, '2025-11-13T09:00:36.540Z', '2025-11-14T06:58:13.664Z');

INSERT INTO shipment_sources (shipment_id, order_id, channel_id, name, id) VALUES
  ('5c6e4337-15ba-4bdd-9772-19d30e7a269f', 2076, 1, 'wms', 'P-88120'), ('cf1822ff-bc68-4778-ab49-1044d5e34124', 2076, 1, 'wms', 'P-88164'), ('4067c358-4ee2-47f8-9a94-e3e8ab73738f', 2077, 1, 'wms', 'P-88159');

INSERT INTO shipment_items (id, number, shipment_id, order_item_id, order_id, channel_id, name, sku, quantity, weight, created_at, last_modified_at) VALUES
  ('cbd4d3e2-d4de-49ef-83f0-be4e80371eb9', 1, 'd95bafc8-f2a4-427b-9cf4-bb99f4bea973', 3, 3, 1, 'Sample Product', 'PROD-001', 2, 1.000, '2025-01-20T14:30:00Z', '2025-01-20T14:30:00Z'),
  ('bda8e812-4238-49b4-aafc-6a153e265d59', 2, '65ad4404-88a6-4f97-9325-34a3a35f1dfc', 20151, 2075, 1, 'Douglas Lariks fijn bezaagd ZWART', '157957', 4, NULL, '2025-11-03T14:34:48.828Z', '2025-11-03T14:34:48.828Z'),
  ('781dd85a-6ba4-4bd0-9399-6d3bb1632b1a', 3, '65ad4404-88a6-4f97-9325-34a3a35f1dfc', 20152, 2075, 1, 'Ventilatie Filterset Fresh Air', 'VFS-200', 2, NULL, '2025-11-03T14:34:48.828Z', '2025-11-03T14:34:48.828Z'),
  ('74667bff-e202-449d-a964-3a295a9ac6de', 4, '5c6e4337-15ba-4bdd-9772-19d30e7a269f', 20161, 2076, 1, 'Douglas Lariks fijn bezaagd ZWART', '157957', 6, NULL, '2025-11-11T07:30:00.125Z', '2025-11-11T07:30:00.125Z'),
  ('59cc60b1-7604-44b4-a736-95c3e652c71a', 5, '5c6e4337-15ba-4bdd-9772-19d30e7a269f', 20162, 2076, 1, 'Accu Cirkelzaag 18V Compact', 'ACZ-18V', 1, 3.400, '2025-11-11T07:30:00.125Z', '2025-11-11T07:30:00.125Z'),
  ('8ebdbfe3-eb9a-4688-b9d3-9cca91551e82', 6, 'cf1822ff-bc68-4778-ab49-1044d5e34124', 20161, 2076, 1, 'Douglas Lariks fijn bezaagd ZWART', '157957', 2, NULL, '2025-11-13T15:20:41.006Z', '2025-11-13T15:20:41.006Z'),
  ('a8acb513-7c92-40dc-b4e0-88a9b9492f25', 7, '4067c358-4ee2-47f8-9a94-e3e8ab73738f', 20171, 2077, 1, 'Accu Cirkelzaag 18V Compact', 'ACZ-18V', 2, 6.800, '2025-11-13T09:00:36.540Z', '2025-11-13T09:00:36.540Z');

INSERT INTO track_and_traces (id, shipment_id, order_id, channel_id, carrier_id, code, created_at, last_modified_at) VALUES
  ('d08f1bb2-531d-4460-b0ca-eef038c89b38', 'd95bafc8-f2a4-427b-9cf4-bb99f4bea973', 3, 1, 2, '794698949845', '2025-01-20T14:30:00Z', '2025-01-20T14:30:00Z'),
  ('2d1860e6-e58c-41b8-b9d7-689b355b0c52', '65ad4404-88a6-4f97-9325-34a3a35f1dfc', 2075, 1, 1, '3STEST1234567890', '2025-11-03T14:34:48.828Z', '2025-11-03T14:34:48.828Z'),
  ('e06f291b-2a83-4af8-95c4-4a4eb3172062', '5c6e4337-15ba-4bdd-9772-19d30e7a269f', 2076, 1, 3, 'JVGL06254801000088120', '2025-11-11T07:30:00.125Z', '2025-11-11T07:30:00.125Z'),
  ('c5e2486c-44a4-48f6-9dc8-db48e86ec9c6', '5c6e4337-15ba-4bdd-9772-19d30e7a269f', 2076, 1, 3, 'JVGL06254801000088121', '2025-11-11T07:30:00.125Z', '2025-11-11T07:30:00.125Z'),
  ('4da4daeb-4f3f-4777-bad1-f45ae9500ec9', 'cf1822ff-bc68-4778-ab49-1044d5e34124', 2076, 1, 3, 'JVGL06254801000088164', '2025-11-13T15:20:41.006Z', '2025-11-13T15:20:41.006Z'),
  ('d4c0dca8-b4c9-4755-8c9c-3adcf515a823', '4067c358-4ee2-47f8-9a94-e3e8ab73738f', 2077, 1, 4, '01906088159021', '2025-11-13T09:00:36.540Z', '2025-11-13T09:00:36.540Z');

-- ------------------------------------------------------------------------------------------------ sequences

-- Everything else begins beyond the fixtures: order 999, which the examples expect not to exist, never will.
SELECT setval(pg_get_serial_sequence(relation, identity), first, false)
FROM (VALUES
  ('channels',        'id',     10),
  ('storefront_keys', 'id',     10),
  ('api_keys',        'id',     10),
  ('companies',       'id',     100),
  ('carriers',        'id',     100),
  ('products',        'id',     10000),
  ('orders',          'id',     10000),
  ('order_items',     'id',     100000),
  ('order_addresses', 'id',     1000),
  ('shipments',       'number', 10000),
  ('shipment_items',  'number', 100000)
) AS past (relation, identity, first);
SELECT setval('user_ids', 1000, false);
