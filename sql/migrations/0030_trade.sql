-- step: note what a record says of a shipment
ALTER TABLE shipments ADD COLUMN source_status text;
COMMENT ON COLUMN shipments.source_status IS 'what the newest record says of the status, whether that counts or not; null where nobody noted it';

-- step: say what has happened already
-- What happened, or was written by another system, lies no more than a day ahead of the clock here: one moment of a far
-- future would have all that comes later be outdated for ever. Rows that have others from before can still be written
-- (decision 29). The names of the columns are the arguments.
CREATE FUNCTION refuse_future() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refused text := (
    SELECT c.name FROM unnest(TG_ARGV) WITH ORDINALITY AS c (name, place)
    WHERE (to_jsonb(NEW) ->> c.name)::timestamptz > now() + interval '1 day'
    ORDER BY c.place LIMIT 1);
BEGIN
  RAISE EXCEPTION '% of % lies more than a day in the future', refused, TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, COLUMN = refused;
END $$;

-- step: hold orders to it
CREATE TRIGGER orders_past_new BEFORE INSERT ON orders FOR EACH ROW WHEN (
    NEW.created_at > now() + interval '1 day' OR NEW.source_modified_at > now() + interval '1 day')
  EXECUTE FUNCTION refuse_future('created_at', 'source_modified_at');
CREATE TRIGGER orders_past_other BEFORE UPDATE OF created_at, source_modified_at ON orders FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NEW.created_at > now() + interval '1 day'
    OR NEW.source_modified_at IS DISTINCT FROM OLD.source_modified_at AND NEW.source_modified_at > now() + interval '1 day')
  EXECUTE FUNCTION refuse_future('created_at', 'source_modified_at');

-- step: hold shipments to it
CREATE TRIGGER shipments_past_new BEFORE INSERT ON shipments FOR EACH ROW WHEN (
    NEW.created_at > now() + interval '1 day' OR NEW.status_set_at > now() + interval '1 day')
  EXECUTE FUNCTION refuse_future('created_at', 'status_set_at');
CREATE TRIGGER shipments_past_other BEFORE UPDATE OF created_at, status_set_at ON shipments FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NEW.created_at > now() + interval '1 day'
    OR NEW.status_set_at IS DISTINCT FROM OLD.status_set_at AND NEW.status_set_at > now() + interval '1 day')
  EXECUTE FUNCTION refuse_future('created_at', 'status_set_at');

-- step: hold news to it
CREATE TRIGGER tracking_events_past_new BEFORE INSERT ON tracking_events FOR EACH ROW WHEN (
    NEW.occurred_at > now() + interval '1 day')
  EXECUTE FUNCTION refuse_future('occurred_at');
CREATE TRIGGER tracking_events_past_other BEFORE UPDATE OF occurred_at ON tracking_events FOR EACH ROW WHEN (
    NEW.occurred_at IS DISTINCT FROM OLD.occurred_at AND NEW.occurred_at > now() + interval '1 day')
  EXECUTE FUNCTION refuse_future('occurred_at');

-- step: hold refunds to it
CREATE TRIGGER refunds_past_new BEFORE INSERT ON refunds FOR EACH ROW WHEN (
    NEW.created_at > now() + interval '1 day')
  EXECUTE FUNCTION refuse_future('created_at');
CREATE TRIGGER refunds_past_other BEFORE UPDATE OF created_at ON refunds FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NEW.created_at > now() + interval '1 day')
  EXECUTE FUNCTION refuse_future('created_at');

-- step: say what turns the direction of text, and what a code is
-- As `app/rules.py` says it. What constraints hold to is_line stays as it is, since a dump with a row from before has to be
-- loaded again.
CREATE FUNCTION is_plain(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]';
CREATE FUNCTION is_plain_line(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN is_line(value) AND value !~ '[\u202a-\u202e\u2066-\u2069]';
CREATE FUNCTION is_code(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN is_plain_line(value) AND normalize(value, NFKC) ~ '[^\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a0\u00ad\u00b7\u1680\u180e\u2000-\u2015\u2028-\u202f\u205f-\u206f\u2212\u3000\u30fc\ufeff]';

-- step: hold carriers to it
CREATE OR REPLACE TRIGGER carriers_name_new BEFORE INSERT ON carriers
  FOR EACH ROW WHEN (NOT is_plain_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');
CREATE OR REPLACE TRIGGER carriers_name_other BEFORE UPDATE OF name ON carriers
  FOR EACH ROW WHEN (NEW.name <> OLD.name AND NOT is_plain_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');

-- step: hold codes to it
CREATE OR REPLACE TRIGGER track_and_traces_code_new BEFORE INSERT ON track_and_traces
  FOR EACH ROW WHEN (NOT is_code(NEW.code)) EXECUTE FUNCTION refuse_value('code');
CREATE OR REPLACE TRIGGER track_and_traces_code_other BEFORE UPDATE OF code ON track_and_traces
  FOR EACH ROW WHEN (NEW.code <> OLD.code AND NOT is_code(NEW.code)) EXECUTE FUNCTION refuse_value('code');

-- step: hold lines of orders to it
CREATE OR REPLACE TRIGGER order_items_sku_new BEFORE INSERT ON order_items
  FOR EACH ROW WHEN (NOT is_plain_line(NEW.sku)) EXECUTE FUNCTION refuse_value('sku');
CREATE OR REPLACE TRIGGER order_items_sku_other BEFORE UPDATE OF sku ON order_items
  FOR EACH ROW WHEN (NEW.sku <> OLD.sku AND NOT is_plain_line(NEW.sku)) EXECUTE FUNCTION refuse_value('sku');
CREATE OR REPLACE TRIGGER order_items_name_new BEFORE INSERT ON order_items
  FOR EACH ROW WHEN (NOT is_plain_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');
CREATE OR REPLACE TRIGGER order_items_name_other BEFORE UPDATE OF name ON order_items
  FOR EACH ROW WHEN (NEW.name <> OLD.name AND NOT is_plain_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');

-- step: hold items of shipments to it
CREATE TRIGGER shipment_items_sku_new BEFORE INSERT ON shipment_items
  FOR EACH ROW WHEN (NOT is_plain(NEW.sku)) EXECUTE FUNCTION refuse_value('sku');
CREATE TRIGGER shipment_items_sku_other BEFORE UPDATE OF sku ON shipment_items
  FOR EACH ROW WHEN (NEW.sku IS DISTINCT FROM OLD.sku AND NOT is_plain(NEW.sku)) EXECUTE FUNCTION refuse_value('sku');
CREATE TRIGGER shipment_items_name_new BEFORE INSERT ON shipment_items
  FOR EACH ROW WHEN (NOT is_plain(NEW.name)) EXECUTE FUNCTION refuse_value('name');
CREATE TRIGGER shipment_items_name_other BEFORE UPDATE OF name ON shipment_items
  FOR EACH ROW WHEN (NEW.name IS DISTINCT FROM OLD.name AND NOT is_plain(NEW.name)) EXECUTE FUNCTION refuse_value('name');

-- step: hold addresses to it
-- They may be blank: `erase` leaves nothing of them.
CREATE TRIGGER order_addresses_street_new BEFORE INSERT ON order_addresses
  FOR EACH ROW WHEN (NOT is_plain(NEW.street)) EXECUTE FUNCTION refuse_value('street');
CREATE TRIGGER order_addresses_street_other BEFORE UPDATE OF street ON order_addresses
  FOR EACH ROW WHEN (NEW.street <> OLD.street AND NOT is_plain(NEW.street)) EXECUTE FUNCTION refuse_value('street');
CREATE TRIGGER order_addresses_city_new BEFORE INSERT ON order_addresses
  FOR EACH ROW WHEN (NOT is_plain(NEW.city)) EXECUTE FUNCTION refuse_value('city');
CREATE TRIGGER order_addresses_city_other BEFORE UPDATE OF city ON order_addresses
  FOR EACH ROW WHEN (NEW.city <> OLD.city AND NOT is_plain(NEW.city)) EXECUTE FUNCTION refuse_value('city');
CREATE TRIGGER order_addresses_first_name_new BEFORE INSERT ON order_addresses
  FOR EACH ROW WHEN (NOT is_plain(NEW.first_name)) EXECUTE FUNCTION refuse_value('first_name');
CREATE TRIGGER order_addresses_first_name_other BEFORE UPDATE OF first_name ON order_addresses
  FOR EACH ROW WHEN (NEW.first_name IS DISTINCT FROM OLD.first_name AND NOT is_plain(NEW.first_name)) EXECUTE FUNCTION refuse_value('first_name');
CREATE TRIGGER order_addresses_last_name_new BEFORE INSERT ON order_addresses
  FOR EACH ROW WHEN (NOT is_plain(NEW.last_name)) EXECUTE FUNCTION refuse_value('last_name');
CREATE TRIGGER order_addresses_last_name_other BEFORE UPDATE OF last_name ON order_addresses
  FOR EACH ROW WHEN (NEW.last_name IS DISTINCT FROM OLD.last_name AND NOT is_plain(NEW.last_name)) EXECUTE FUNCTION refuse_value('last_name');
CREATE TRIGGER order_addresses_company_new BEFORE INSERT ON order_addresses
  FOR EACH ROW WHEN (NOT is_plain(NEW.company)) EXECUTE FUNCTION refuse_value('company');
CREATE TRIGGER order_addresses_company_other BEFORE UPDATE OF company ON order_addresses
  FOR EACH ROW WHEN (NEW.company IS DISTINCT FROM OLD.company AND NOT is_plain(NEW.company)) EXECUTE FUNCTION refuse_value('company');

-- step: hold customers to it
CREATE TRIGGER customers_first_name_new BEFORE INSERT ON customers
  FOR EACH ROW WHEN (NOT is_plain(NEW.first_name)) EXECUTE FUNCTION refuse_value('first_name');
CREATE TRIGGER customers_first_name_other BEFORE UPDATE OF first_name ON customers
  FOR EACH ROW WHEN (NEW.first_name IS DISTINCT FROM OLD.first_name AND NOT is_plain(NEW.first_name)) EXECUTE FUNCTION refuse_value('first_name');
CREATE TRIGGER customers_last_name_new BEFORE INSERT ON customers
  FOR EACH ROW WHEN (NOT is_plain(NEW.last_name)) EXECUTE FUNCTION refuse_value('last_name');
CREATE TRIGGER customers_last_name_other BEFORE UPDATE OF last_name ON customers
  FOR EACH ROW WHEN (NEW.last_name IS DISTINCT FROM OLD.last_name AND NOT is_plain(NEW.last_name)) EXECUTE FUNCTION refuse_value('last_name');

-- step: hold companies to it
CREATE TRIGGER companies_name_new BEFORE INSERT ON companies
  FOR EACH ROW WHEN (NOT is_plain_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');
CREATE TRIGGER companies_name_other BEFORE UPDATE OF name ON companies
  FOR EACH ROW WHEN (NEW.name IS DISTINCT FROM OLD.name AND NOT is_plain_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');

-- step: keep waiting news from parcels that came after it
-- News may have waited for its carrier, or the carrier's page, while its code was used again. What happened before a code was
-- recorded is of an earlier parcel with it, where there is one, and what happened before an order was made is of none of its
-- parcels: a day is for clocks and zones.
CREATE FUNCTION is_before_parcel(t track_and_traces, moment timestamptz) RETURNS boolean LANGUAGE plpgsql STABLE
SET enable_seqscan = off AS $$
BEGIN
  RETURN moment < (
      SELECT o.created_at - interval '1 day' FROM orders o WHERE o.id = t.order_id AND o.channel_id = t.channel_id)
    OR moment < t.created_at AND EXISTS (
      SELECT FROM track_and_traces o
      WHERE normalized_code(o.code) = normalized_code(t.code) AND +o.channel_id = t.channel_id
        AND (+o.carrier_id = t.carrier_id OR o.carrier_id IS NULL OR t.carrier_id IS NULL)
        AND o.shipment_id <> t.shipment_id AND o.created_at < t.created_at)
    OR is_of_former_parcel(t, moment);
END $$;

-- As 0028_former_parcels.sql made it, but for that.
CREATE OR REPLACE FUNCTION take_waiting_reports(r track_and_traces) RETURNS void LANGUAGE sql
BEGIN ATOMIC
  WITH taken AS (
    DELETE FROM waiting_reports w
    WHERE normalized_code(w.code) = normalized_code(r.code) AND w.told_at > now() - interval '30 days'
      AND (w.carrier_id = r.carrier_id OR w.carrier_id IS NULL AND w.carrier IS NULL OR r.carrier_id IS NULL
        OR EXISTS (SELECT FROM carriers c WHERE c.id = r.carrier_id AND is_carrier_called(c, w.carrier)))
      AND (w.channel_ids IS NULL OR r.channel_id = ANY (w.channel_ids))
      AND (w.company_ids IS NULL OR r.company_id = ANY (w.company_ids))
      AND NOT is_before_parcel(
        r, coalesce(w.occurred_at, told_at(w.occurred_local, coalesce(r.carrier_id, w.carrier_id), r.channel_id)))
    RETURNING w.*
  )
  INSERT INTO tracking_events (
    track_and_trace_id, channel_id, external_id, status, sub_status, occurred_at, expected_delivery_at, location,
    description, recorded_by)
  SELECT r.id, r.channel_id, w.external_id, w.status, w.sub_status,
    coalesce(w.occurred_at, told_at(w.occurred_local, coalesce(r.carrier_id, w.carrier_id), r.channel_id)),
    coalesce(w.expected_delivery_at, promised_at(w.expected_local, coalesce(r.carrier_id, w.carrier_id), r.channel_id)),
    w.location, w.description, w.told_by
  FROM taken w
  ORDER BY w.told_at, w.id
  ON CONFLICT ON CONSTRAINT tracking_events_external_id_unique DO NOTHING;
END;

-- step: keep shipped lines from becoming bundles
-- What is shipped of a bundle are its parts (decision 21), so a line of which units are in shipments gets none, whoever
-- writes. Looked at when all is written: one transaction may take the units out, and make the parts.
CREATE FUNCTION refuse_bundle() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  IF EXISTS (
    SELECT FROM order_items p
    JOIN shipment_items i ON i.order_item_id = p.parent_order_item_id AND i.channel_id = p.channel_id
    JOIN shipments s ON s.id = i.shipment_id AND s.channel_id = i.channel_id
    WHERE p.id = NEW.id AND p.channel_id = NEW.channel_id AND p.class = 'product' AND p.quantity > 0
      AND s.status IS DISTINCT FROM 'CANCELED'
  ) THEN
    RAISE EXCEPTION 'a line that has been shipped does not become a bundle'
      USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'order_items', COLUMN = 'parent_order_item_id';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER order_items_bundle_new AFTER INSERT ON order_items
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.parent_order_item_id IS NOT NULL AND NEW.class = 'product' AND NEW.quantity > 0)
  EXECUTE FUNCTION refuse_bundle();
CREATE CONSTRAINT TRIGGER order_items_bundle_other AFTER UPDATE OF parent_order_item_id, class, quantity ON order_items
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.parent_order_item_id IS NOT NULL AND NEW.class = 'product' AND NEW.quantity > 0 AND (
    NEW.parent_order_item_id IS DISTINCT FROM OLD.parent_order_item_id OR NEW.class <> OLD.class OR OLD.quantity <= 0))
  EXECUTE FUNCTION refuse_bundle();

-- step: find names with and without their apostrophes
-- O'Brien is a word of its own beside those before and after the apostrophe, of whatever kind that is.
CREATE FUNCTION has_apostrophe(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value ~ '[''\u0060\u00b4\u02b9-\u02bc\u2018\u2019\u201b\u2032\uff07]';
CREATE FUNCTION without_apostrophes(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(value, '[''\u0060\u00b4\u02b9-\u02bc\u2018\u2019\u201b\u2032\uff07]', '', 'g');

-- As 0017_order_search.sql made them, but for that.
CREATE OR REPLACE FUNCTION search_query(term text, fields text[]) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN cardinality(w.words) > 0 AND (fields IS NULL OR cardinality(fields) > 0) THEN concat_ws(' | ',
    (SELECT string_agg(word_query(left(x.word, 64), length(x.word) > 2, fields), ' & ') FROM unnest(w.words) AS x (word)),
    CASE WHEN has_apostrophe(term) THEN (
      SELECT string_agg(word_query(left(x.word, 64), length(x.word) > 2, fields), ' & ')
      FROM unnest(words_of(without_apostrophes(term))) AS x (word)) END,
    CASE WHEN cardinality(w.words) > 1 AND length(w.number) > 2 THEN word_query(w.number, true, fields) END,
    CASE WHEN w.number ~ '^0[0-9]{6,}$' THEN word_query(ltrim(w.number, '0'), true, fields) END,
    CASE WHEN w.number ~ '^[0-9]{10,15}$' THEN word_query(phone_of(w.number), false, fields) END
  )::tsquery END
  FROM (SELECT words_of(term) AS words, number_of(term) AS number) AS w;
END;

CREATE OR REPLACE FUNCTION words_of_order(of_order_id int, of_channel_id int) RETURNS tsvector
LANGUAGE plpgsql STABLE COST 1000 AS $$
BEGIN
  RETURN (
  WITH texts (place, field, kind, value) AS (
    SELECT 1, f.field, f.kind, f.value
    FROM orders o
    LEFT JOIN customers c ON c.id = o.customer_id AND c.channel_id = o.channel_id
    CROSS JOIN LATERAL (VALUES
      ('ID', 'number', o.id::text), ('EXTERNAL_ORDER_ID', 'number', o.external_id),
      ('EXTERNAL_ORDER_ID', 'number', o.increment_id), ('REFERENCE', 'number', o.reference),
      ('DEBTOR_ID', 'number', o.debtor_id), ('ACCOUNTING_ID', 'number', o.payment_accounting_id),
      ('EXTRA3', 'number', o.extra3), ('EXTRA4', 'number', o.extra4), ('RECIPIENT_EMAIL', 'number', o.email),
      ('CUSTOMER_EMAIL', 'number', o.email), ('CUSTOMER_EMAIL', 'number', c.email),
      ('CUSTOMER_NAME', 'text', o.first_name), ('CUSTOMER_NAME', 'text', o.last_name),
      ('PHONE', 'phone', c.phone), ('REMARKS', 'text', o.remarks)
    ) AS f (field, kind, value)
    WHERE o.id = of_order_id AND o.channel_id = of_channel_id
    UNION ALL
    SELECT 2, f.field, f.kind, f.value
    FROM order_addresses a
    CROSS JOIN LATERAL (VALUES
      (CASE a.type WHEN 'invoice' THEN 'INVOICE_ADDRESS_COMPANY' ELSE 'RECIPIENT_COMPANY' END, 'text', a.company),
      (CASE a.type WHEN 'invoice' THEN 'INVOICE_ADDRESS_FIRST_NAME' ELSE 'RECIPIENT_FIRST_NAME' END, 'text', a.first_name),
      (CASE a.type WHEN 'invoice' THEN 'INVOICE_ADDRESS_LAST_NAME' ELSE 'RECIPIENT_LAST_NAME' END, 'text', a.last_name),
      (CASE a.type WHEN 'invoice' THEN 'CUSTOMER_EMAIL' ELSE 'RECIPIENT_EMAIL' END, 'number', a.email),
      ('PHONE', 'phone', a.phone), ('PHONE', 'phone', a.mobile), ('POSTAL_CODE', 'number', a.postal_code),
      ('CITY', 'text', a.city)
    ) AS f (field, kind, value)
    WHERE a.order_id = of_order_id AND a.channel_id = of_channel_id
    UNION ALL
    SELECT 3, 'CODE', 'number', t.code
    FROM track_and_traces t
    WHERE t.order_id = of_order_id AND t.channel_id = of_channel_id
    UNION ALL
    SELECT 4, 'SHIPMENT_EXTERNAL_ID', 'number', s.external_id
    FROM shipments s
    WHERE s.order_id = of_order_id AND s.channel_id = of_channel_id
    UNION ALL
    SELECT 5, f.field, f.kind, f.value
    FROM order_items i
    CROSS JOIN LATERAL (VALUES
      ('ITEM_SKU', 'number', i.sku), ('ITEM_NAME', 'text', i.name), ('ITEM_EAN_CODE', 'number', i.ean_code),
      ('ITEM_MANUFACTURER', 'text', i.manufacturer), ('ITEM_MANUFACTURER_CODE', 'number', i.manufacturer_code),
      ('ITEM_SUPPLIER', 'text', i.supplier), ('ITEM_SUPPLIER_CODE', 'number', i.supplier_code),
      ('ITEM_NOTES', 'text', i.notes)
    ) AS f (field, kind, value)
    WHERE i.order_id = of_order_id AND i.channel_id = of_channel_id
  ), words (place, prefix, word) AS (
    SELECT a.place, a.prefix, left(w.word, 64)
    FROM (
      SELECT t.place, field_word(t.field, '') AS prefix, string_agg(left(t.value, 4000), ' ') AS value
      FROM texts t
      WHERE t.value <> ''
      GROUP BY t.place, t.field
    ) AS a
    CROSS JOIN LATERAL unnest(words_of(a.value)) AS w (word)
    UNION ALL
    SELECT t.place, field_word(t.field, ''), left(w.word, 64)
    FROM texts t
    CROSS JOIN LATERAL unnest(words_of(without_apostrophes(left(t.value, 4000)))) AS w (word)
    WHERE t.kind = 'text' AND has_apostrophe(t.value)
    UNION ALL
    SELECT t.place, field_word(t.field, ''), number_of(left(t.value, 200))
    FROM texts t
    WHERE t.value ~ '[^0-9A-Za-z]' AND t.kind <> 'text'
    UNION ALL
    SELECT d.place, d.prefix, right(d.digits, n.length)
    FROM (
      SELECT t.place, field_word(t.field, '') AS prefix,
        left(regexp_replace(normalize(t.value, NFKC), '[^0-9]', '', 'g'), 20) AS digits
      FROM texts t
      WHERE t.kind = 'phone' AND t.value <> ''
    ) AS d
    CROSS JOIN LATERAL generate_series(6, length(d.digits)) AS n (length)
  ), lexemes (lexeme, place) AS (
    SELECT x.lexeme, min(x.place)
    FROM (
      SELECT k.lexeme, w.place
      FROM words w
      CROSS JOIN LATERAL (VALUES (w.word), (w.prefix || w.word)) AS k (lexeme)
      WHERE w.word <> ''
      UNION ALL
      SELECT owner_word(n.kind, n.id), 0
      FROM orders o
      CROSS JOIN LATERAL (VALUES ('company', o.company_id), ('customer', o.customer_id)) AS n (kind, id)
      WHERE o.id = of_order_id AND o.channel_id = of_channel_id AND n.id IS NOT NULL
    ) AS x
    GROUP BY x.lexeme
  )
  SELECT array_to_tsvector(coalesce(array_agg(s.lexeme), '{}'))
  FROM (SELECT l.lexeme, sum(octet_length(l.lexeme)) OVER (ORDER BY l.place, l.lexeme) AS size FROM lexemes l) AS s
  WHERE s.size < 1000000);
END $$;

-- step: note which orders of before have such words
CREATE TABLE orders_found (words_to int NOT NULL);
COMMENT ON TABLE orders_found IS 'the last order of before whose words a migration has looked at';
INSERT INTO orders_found (words_to) VALUES (-2147483648);

-- step (in batches): gather their words
-- As when such an order is written: once, when this commits.
WITH batch AS (
  SELECT DISTINCT o.id FROM orders o WHERE o.id > (SELECT p.words_to FROM orders_found p) ORDER BY o.id LIMIT 1000
), named AS (
  SELECT o.id, o.channel_id
  FROM batch b
  JOIN orders o ON o.id = b.id
  WHERE has_apostrophe(concat_ws(' ', o.first_name, o.last_name, o.remarks))
    OR EXISTS (
      SELECT FROM order_addresses a
      WHERE a.order_id = o.id AND a.channel_id = o.channel_id
        AND has_apostrophe(concat_ws(' ', a.company, a.first_name, a.last_name, a.city)))
    OR EXISTS (
      SELECT FROM order_items i
      WHERE i.order_id = o.id AND i.channel_id = o.channel_id
        AND has_apostrophe(concat_ws(' ', i.name, i.manufacturer, i.supplier, i.notes)))
)
UPDATE orders_found SET words_to = (SELECT max(b.id) FROM batch b)
FROM (SELECT note_due(array_agg(n.id), array_agg(n.channel_id), array_agg(true)) AS noted FROM named n) AS d
WHERE EXISTS (SELECT FROM batch);

-- step: forget how far that was
DROP TABLE orders_found;
