-- The database as the migrations leave it, for reading: `make schema` writes this file. See sql/migrations/.

CREATE FUNCTION public.field_word(field text, word text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN concat(':', array_position(ARRAY['ID'::text, 'ACCOUNTING_ID'::text, 'DEBTOR_ID'::text, 'EXTERNAL_ORDER_ID'::text, 'EXTRA3'::text, 'EXTRA4'::text, 'INVOICE_ADDRESS_COMPANY'::text, 'INVOICE_ADDRESS_FIRST_NAME'::text, 'INVOICE_ADDRESS_LAST_NAME'::text, 'RECIPIENT_COMPANY'::text, 'RECIPIENT_EMAIL'::text, 'RECIPIENT_FIRST_NAME'::text, 'RECIPIENT_LAST_NAME'::text, 'REFERENCE'::text, 'REMARKS'::text, 'ITEM_EAN_CODE'::text, 'ITEM_MANUFACTURER'::text, 'ITEM_MANUFACTURER_CODE'::text, 'ITEM_NAME'::text, 'ITEM_NOTES'::text, 'ITEM_SKU'::text, 'ITEM_SUPPLIER'::text, 'ITEM_SUPPLIER_CODE'::text, 'CITY'::text, 'CODE'::text, 'CUSTOMER_EMAIL'::text, 'CUSTOMER_NAME'::text, 'PHONE'::text, 'POSTAL_CODE'::text, 'SHIPMENT_EXTERNAL_ID'::text], field), ':', word);

CREATE FUNCTION public.word_query(word text, is_beginning boolean, fields text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT concat('(', string_agg(concat('''', x.lexeme, '''',
         CASE
             WHEN word_query.is_beginning THEN ':*'::text
             ELSE NULL::text
         END), ' | '::text), ')') AS concat
    FROM ( SELECT word_query.word AS lexeme
           WHERE (word_query.fields IS NULL)
         UNION ALL
          SELECT public.field_word(f.field, word_query.word) AS field_word
            FROM unnest(word_query.fields) f(field)) x;
END;

CREATE FUNCTION public.any_of(words text[], field text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT (string_agg(public.word_query(x.word, false, ARRAY[any_of.field]), ' | '::text))::tsquery AS string_agg
    FROM unnest(any_of.words) x(word)
   WHERE (x.word <> ''::text);
END;

CREATE FUNCTION public.api_moment(moment timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    RETURN to_char((moment AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text);

CREATE FUNCTION public.minor_units(currency text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (currency = ANY (ARRAY['AED'::text, 'AFA'::text, 'AFN'::text, 'ALK'::text, 'ALL'::text, 'AMD'::text, 'ANG'::text, 'AOA'::text, 'AOK'::text, 'AON'::text, 'AOR'::text, 'ARA'::text, 'ARP'::text, 'ARS'::text, 'ARY'::text, 'ATS'::text, 'AUD'::text, 'AWG'::text, 'AYM'::text, 'AZM'::text, 'AZN'::text, 'BAD'::text, 'BAM'::text, 'BBD'::text, 'BDT'::text, 'BEC'::text, 'BEL'::text, 'BGJ'::text, 'BGK'::text, 'BGL'::text, 'BGN'::text, 'BMD'::text, 'BND'::text, 'BOB'::text, 'BOP'::text, 'BOV'::text, 'BRB'::text, 'BRC'::text, 'BRE'::text, 'BRL'::text, 'BRN'::text, 'BRR'::text, 'BSD'::text, 'BTN'::text, 'BUK'::text, 'BWP'::text, 'BYN'::text, 'BZD'::text, 'CAD'::text, 'CDF'::text, 'CHC'::text, 'CHE'::text, 'CHF'::text, 'CHW'::text, 'CNY'::text, 'COP'::text, 'COU'::text, 'CRC'::text, 'CSD'::text, 'CSJ'::text, 'CSK'::text, 'CUC'::text, 'CUP'::text, 'CVE'::text, 'CYP'::text, 'CZK'::text, 'DDM'::text, 'DEM'::text, 'DKK'::text, 'DOP'::text, 'DZD'::text, 'ECS'::text, 'ECV'::text, 'EEK'::text, 'EGP'::text, 'ERN'::text, 'ESA'::text, 'ESB'::text, 'ETB'::text, 'EUR'::text, 'FIM'::text, 'FJD'::text, 'FKP'::text, 'FRF'::text, 'GBP'::text, 'GEK'::text, 'GEL'::text, 'GHC'::text, 'GHP'::text, 'GHS'::text, 'GIP'::text, 'GMD'::text, 'GNE'::text, 'GNS'::text, 'GQE'::text, 'GTQ'::text, 'GWE'::text, 'GWP'::text, 'GYD'::text, 'HKD'::text, 'HNL'::text, 'HRD'::text, 'HRK'::text, 'HTG'::text, 'HUF'::text, 'IDR'::text, 'IEP'::text, 'ILP'::text, 'ILR'::text, 'ILS'::text, 'INR'::text, 'IRR'::text, 'ISJ'::text, 'JMD'::text, 'KES'::text, 'KGS'::text, 'KHR'::text, 'KPW'::text, 'KYD'::text, 'KZT'::text, 'LAJ'::text, 'LAK'::text, 'LBP'::text, 'LKR'::text, 'LRD'::text, 'LSL'::text, 'LSM'::text, 'LTL'::text, 'LTT'::text, 'LUC'::text, 'LUL'::text, 'LVL'::text, 'LVR'::text, 'MAD'::text, 'MDL'::text, 'MGA'::text, 'MKD'::text, 'MLF'::text, 'MMK'::text, 'MNT'::text, 'MOP'::text, 'MRO'::text, 'MRU'::text, 'MTL'::text, 'MTP'::text, 'MUR'::text, 'MVQ'::text, 'MVR'::text, 'MWK'::text, 'MXN'::text, 'MXP'::text, 'MXV'::text, 'MYR'::text, 'MZE'::text, 'MZM'::text, 'MZN'::text, 'NAD'::text, 'NGN'::text, 'NIC'::text, 'NIO'::text, 'NLG'::text, 'NOK'::text, 'NPR'::text, 'NZD'::text, 'PAB'::text, 'PEH'::text, 'PEI'::text, 'PEN'::text, 'PES'::text, 'PGK'::text, 'PHP'::text, 'PKR'::text, 'PLN'::text, 'PLZ'::text, 'QAR'::text, 'RHD'::text, 'ROK'::text, 'ROL'::text, 'RON'::text, 'RSD'::text, 'RUB'::text, 'RUR'::text, 'SAR'::text, 'SBD'::text, 'SCR'::text, 'SDD'::text, 'SDG'::text, 'SDP'::text, 'SEK'::text, 'SGD'::text, 'SHP'::text, 'SIT'::text, 'SKK'::text, 'SLE'::text, 'SLL'::text, 'SOS'::text, 'SRD'::text, 'SRG'::text, 'SSP'::text, 'STD'::text, 'STN'::text, 'SUR'::text, 'SVC'::text, 'SYP'::text, 'SZL'::text, 'THB'::text, 'TJR'::text, 'TJS'::text, 'TMM'::text, 'TMT'::text, 'TOP'::text, 'TRY'::text, 'TTD'::text, 'TWD'::text, 'TZS'::text, 'UAH'::text, 'UAK'::text, 'UGS'::text, 'UGW'::text, 'USD'::text, 'USN'::text, 'USS'::text, 'UYN'::text, 'UYP'::text, 'UYU'::text, 'UZS'::text, 'VEB'::text, 'VED'::text, 'VEF'::text, 'VES'::text, 'VNC'::text, 'WST'::text, 'XCD'::text, 'XCG'::text, 'XEU'::text, 'YDD'::text, 'YER'::text, 'YUD'::text, 'YUM'::text, 'YUN'::text, 'ZAL'::text, 'ZAR'::text, 'ZMK'::text, 'ZMW'::text, 'ZRN'::text, 'ZRZ'::text, 'ZWC'::text, 'ZWD'::text, 'ZWG'::text, 'ZWL'::text, 'ZWN'::text, 'ZWR'::text])) THEN 2 WHEN (currency = ANY (ARRAY['ADP'::text, 'BEF'::text, 'BIF'::text, 'BYB'::text, 'BYR'::text, 'CLP'::text, 'DJF'::text, 'ESP'::text, 'GNF'::text, 'GRD'::text, 'ISK'::text, 'ITL'::text, 'JPY'::text, 'KMF'::text, 'KRW'::text, 'LUF'::text, 'MGF'::text, 'PTE'::text, 'PYG'::text, 'RWF'::text, 'TPE'::text, 'TRL'::text, 'UGX'::text, 'UYI'::text, 'VND'::text, 'VUV'::text, 'XAF'::text, 'XOF'::text, 'XPF'::text])) THEN 0 WHEN (currency = ANY (ARRAY['BHD'::text, 'IQD'::text, 'JOD'::text, 'KWD'::text, 'LYD'::text, 'OMR'::text, 'TND'::text])) THEN 3 WHEN (currency = ANY (ARRAY['CLF'::text, 'UYW'::text])) THEN 4 ELSE NULL::integer END;

CREATE FUNCTION public.are_amounts(currency text, given numeric[], former numeric[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (NOT (EXISTS (SELECT FROM UNNEST(are_amounts.given, are_amounts.former) v(given, former) WHERE ((v.given IS DISTINCT FROM v.former) AND (NOT ((abs(v.given) < '1000000000000'::numeric) AND (v.given = round(v.given, COALESCE(public.minor_units(are_amounts.currency), 2)))))))));

CREATE FUNCTION public.normalized_code(code text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN "left"(upper((COALESCE(NULLIF(regexp_replace(NORMALIZE(code, NFKC), '[\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff\u0001-\u001f\u007f-\u009f\u2028\u2029\u0027-\u002a\u002c-\u002f\u003a\u003b\u005b-\u005d\u005f\u007c\u00b7\u2010-\u2015\u2212\u30fc]+'::text, ''::text, 'g'::text), ''::text), code) COLLATE "C")), 255);

CREATE TABLE public.order_addresses (
    id integer NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    type text NOT NULL,
    code text,
    name text,
    first_name text,
    middle_name text,
    last_name text,
    gender text DEFAULT 'U'::text NOT NULL,
    company text,
    street text NOT NULL,
    number text,
    number_extension text,
    postal_code text NOT NULL,
    city text NOT NULL,
    region text,
    country text NOT NULL,
    phone text,
    mobile text,
    fax text,
    email text,
    url text,
    notes text,
    vat_id text,
    is_icp boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT order_addresses_country_iso CHECK ((country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT order_addresses_gender_known CHECK ((gender = ANY (ARRAY['M'::text, 'F'::text, 'U'::text]))),
    CONSTRAINT order_addresses_type_known CHECK ((type = ANY (ARRAY['delivery'::text, 'invoice'::text, 'home'::text])))
);

CREATE TABLE public.orders (
    id integer NOT NULL,
    channel_id integer NOT NULL,
    uuid uuid DEFAULT gen_random_uuid() NOT NULL,
    external_id text,
    increment_id text,
    status text NOT NULL,
    status_date timestamp with time zone,
    type text DEFAULT 'purchase'::text NOT NULL,
    company_id integer,
    contact_id integer,
    customer_id integer,
    account_manager_id integer,
    invoice_user_id integer,
    original_order_id integer,
    cart_id text,
    debtor_id text,
    source text,
    email text NOT NULL,
    first_name text DEFAULT ''::text NOT NULL,
    last_name text DEFAULT ''::text NOT NULL,
    email_date timestamp with time zone,
    remarks text,
    reference text,
    extra3 text,
    extra4 text,
    coupon_code text,
    is_guest boolean DEFAULT false NOT NULL,
    is_gift boolean DEFAULT false NOT NULL,
    language text DEFAULT 'EN'::text NOT NULL,
    currency text NOT NULL,
    currency_ratio numeric,
    total_gross numeric NOT NULL,
    total_net numeric NOT NULL,
    total_tax numeric NOT NULL,
    discount_type text DEFAULT 'N'::text NOT NULL,
    discount_value numeric DEFAULT 0 NOT NULL,
    sub_total numeric NOT NULL,
    discount_amount numeric DEFAULT 0 NOT NULL,
    invoiced_total numeric DEFAULT 0 NOT NULL,
    refunded_total numeric DEFAULT 0 NOT NULL,
    shipping_method text,
    shipping_title text,
    postage_gross numeric DEFAULT 0 NOT NULL,
    postage_net numeric DEFAULT 0 NOT NULL,
    postage_tax numeric DEFAULT 0 NOT NULL,
    postage_tax_percentage numeric DEFAULT 0 NOT NULL,
    postage_request_date timestamp with time zone,
    postage_partial_delivery_allowed boolean DEFAULT true NOT NULL,
    postage_pick_up_location_id integer,
    postage_carrier text,
    postage_overruled boolean DEFAULT false NOT NULL,
    payment_method text DEFAULT ''::text NOT NULL,
    payment_status text,
    payment_status_date timestamp with time zone,
    payment_accounting_id text,
    payment_gross numeric DEFAULT 0 NOT NULL,
    payment_net numeric DEFAULT 0 NOT NULL,
    payment_tax numeric DEFAULT 0 NOT NULL,
    payment_tax_percentage numeric DEFAULT 0 NOT NULL,
    payment_overruled boolean DEFAULT false NOT NULL,
    valid_until timestamp with time zone,
    exported_at timestamp with time zone,
    export_status text DEFAULT 'EMPTY'::text NOT NULL,
    export_message text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    source_modified_at timestamp with time zone,
    status_changed_at timestamp with time zone,
    source_status text,
    source_payment_status text,
    CONSTRAINT orders_currency_iso CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT orders_currency_ratio_positive CHECK (((currency_ratio > (0)::numeric) AND (currency_ratio < '10000000000'::numeric))),
    CONSTRAINT orders_discount_type_known CHECK ((discount_type = ANY (ARRAY['N'::text, 'P'::text, 'A'::text]))),
    CONSTRAINT orders_export_status_known CHECK ((export_status = ANY (ARRAY['EMPTY'::text, 'EXPORTED'::text, 'FINISHED'::text, 'FAILED'::text]))),
    CONSTRAINT orders_language_iso CHECK ((language ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT orders_one_user CHECK (((contact_id IS NULL) OR (customer_id IS NULL))),
    CONSTRAINT orders_total_adds_up CHECK ((total_net = (total_gross + total_tax))),
    CONSTRAINT orders_type_known CHECK ((type = ANY (ARRAY['dropshipment'::text, 'purchase'::text, 'quotation'::text, 'stock'::text])))
);

COMMENT ON COLUMN public.orders.external_id IS 'key of the order in the system it was imported from';

COMMENT ON COLUMN public.orders.increment_id IS 'number that customers read; the id where null';

COMMENT ON COLUMN public.orders.currency_ratio IS 'order currency per unit of the channel''s currency; null where nobody knows';

COMMENT ON COLUMN public.orders.total_gross IS 'without tax, postage included; net is with tax (B-35)';

COMMENT ON COLUMN public.orders.sub_total IS 'sum of the lines without tax';

COMMENT ON COLUMN public.orders.source_modified_at IS 'when the source wrote the record that the order is of; null where that does not say';

COMMENT ON COLUMN public.orders.status_changed_at IS 'when the status last changed here, not by a record; null where never';

COMMENT ON COLUMN public.orders.source_status IS 'what the newest record says of the status, whether that counts or not; null where nobody noted it';

COMMENT ON COLUMN public.orders.source_payment_status IS 'as source_status, of the payment; empty where the record says that there is none';

CREATE FUNCTION public.are_of_one_consignee(first_order integer, second_order integer, of_channel integer) RETURNS boolean
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT ((first_order = second_order) OR (EXISTS ( SELECT
            FROM (public.orders o
              JOIN public.orders p ON (((p.id = are_of_one_consignee.second_order) AND (p.channel_id = are_of_one_consignee.of_channel))))
           WHERE ((o.id = are_of_one_consignee.first_order) AND (o.channel_id = are_of_one_consignee.of_channel) AND ((o.customer_id = p.customer_id) OR (o.contact_id = p.contact_id) OR (o.company_id = p.company_id) OR (lower(NULLIF(o.email, ''::text)) = lower(p.email)))))) OR (EXISTS ( SELECT
            FROM (public.order_addresses a
              JOIN public.order_addresses b ON (((b.order_id = are_of_one_consignee.second_order) AND (b.channel_id = are_of_one_consignee.of_channel) AND (b.type = 'delivery'::text))))
           WHERE ((a.order_id = are_of_one_consignee.first_order) AND (a.channel_id = are_of_one_consignee.of_channel) AND (a.type = 'delivery'::text) AND (a.country = b.country) AND (public.normalized_code(a.postal_code) = public.normalized_code(b.postal_code)) AND (NOT (ARRAY[lower(a.city), lower(a.street), lower(a.number), lower(a.company), lower(a.last_name)] IS DISTINCT FROM ARRAY[lower(b.city), lower(b.street), lower(b.number), lower(b.company), lower(b.last_name)]))))));
END;

CREATE FUNCTION public.are_prices(given numeric[], former numeric[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (NOT (EXISTS (SELECT FROM UNNEST(are_prices.given, are_prices.former) v(given, former) WHERE ((v.given IS DISTINCT FROM v.former) AND (NOT ((abs(v.given) < '1000000000000'::numeric) AND (v.given = round(v.given, 6))))))));

CREATE FUNCTION public.base_amount(amount numeric, ratio numeric, base_currency text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round((amount / ratio), COALESCE(public.minor_units(base_currency), 2));

CREATE TABLE public.channels (
    id integer NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    currency text NOT NULL,
    language text DEFAULT 'EN'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    shipped_status text,
    delivered_status text,
    CONSTRAINT channels_code_length CHECK (((length(code) >= 1) AND (length(code) <= 64))),
    CONSTRAINT channels_currency_iso CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT channels_language_iso CHECK ((language ~ '^[A-Z]{2}$'::text))
);

COMMENT ON COLUMN public.channels.time_zone IS 'name in the IANA time zone database: where its days begin and end';

COMMENT ON COLUMN public.channels.shipped_status IS 'status that an order takes when all of it is shipped; null: it keeps its own';

COMMENT ON COLUMN public.channels.delivered_status IS 'status that an order takes when all of it is delivered; null: it keeps its own';

CREATE FUNCTION public.channel_time_zone(channel_id integer) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT c.time_zone
    FROM public.channels c
   WHERE (c.id = channel_time_zone.channel_id);
END;

CREATE FUNCTION public.check_carriers_of_codes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF EXISTS (
    SELECT FROM new_rows n
    JOIN carriers c ON c.id = n.carrier_id
    WHERE c.channel_id <> n.channel_id
  ) THEN
    RAISE EXCEPTION 'a code has a carrier of another channel'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'track_and_traces_carrier_of_channel',
        TABLE = 'track_and_traces', COLUMN = 'carrier_id';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.check_codes_of_carrier() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF EXISTS (SELECT FROM track_and_traces t WHERE t.carrier_id = NEW.id AND t.channel_id <> NEW.channel_id) THEN
    RAISE EXCEPTION 'the carrier has codes of another channel'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'carriers_channel_of_codes',
        TABLE = 'carriers', COLUMN = 'channel_id';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.check_line_amounts() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  former numeric[];
BEGIN
  IF TG_OP = 'UPDATE' THEN
    former := ARRAY[OLD.price_total, OLD.price_total_net, OLD.tax];
  END IF;
  IF NOT are_amounts(
    (SELECT o.currency FROM orders o WHERE o.id = NEW.order_id AND o.channel_id = NEW.channel_id),
    ARRAY[NEW.price_total, NEW.price_total_net, NEW.tax], former)
  THEN
    RAISE EXCEPTION 'an amount of a line is refused'
      USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'order_items', COLUMN = 'price_total';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.check_parcel_items() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF EXISTS (
    SELECT FROM new_rows n
    JOIN track_and_traces t ON t.id = n.track_and_trace_id AND t.channel_id = n.channel_id
    JOIN shipment_items i ON i.id = n.shipment_item_id AND i.channel_id = n.channel_id
    WHERE t.shipment_id <> i.shipment_id OR n.order_id <> t.order_id
  ) THEN
    RAISE EXCEPTION 'a parcel holds an item of another shipment'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'parcel_items_of_shipment', TABLE = 'parcel_items',
        COLUMN = 'shipment_item_id';
  END IF;
  IF EXISTS (
    SELECT FROM (SELECT DISTINCT n.shipment_item_id AS id, n.channel_id FROM new_rows n) w
    JOIN shipment_items i ON i.id = w.id AND i.channel_id = w.channel_id
    WHERE i.quantity < (
      SELECT sum(p.quantity) FROM parcel_items p WHERE p.shipment_item_id = i.id AND p.channel_id = i.channel_id)
  ) THEN
    RAISE EXCEPTION 'parcels hold more of an item than is shipped'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'parcel_items_never_overpacked', TABLE = 'parcel_items',
        COLUMN = 'quantity';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.check_refund() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF NOT are_amounts(
    (SELECT o.currency FROM orders o WHERE o.id = NEW.order_id AND o.channel_id = NEW.channel_id),
    ARRAY[NEW.amount], CASE WHEN TG_OP = 'UPDATE' THEN ARRAY[OLD.amount] END)
  THEN
    RAISE EXCEPTION 'an amount of a refund is refused'
      USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, COLUMN = 'amount';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.check_shipment_status() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF EXISTS (
    SELECT FROM shipment_status_successors n
    WHERE n.status = OLD.status AND n.next_status = NEW.status
      AND (NOT n.needs_override OR current_setting('waybill.overridden_steps', true) = 'allowed')
  ) THEN
    RETURN NEW;
  END IF;
  IF current_setting('waybill.skipped_steps', true) IN ('allowed', 'codes') AND EXISTS (
    SELECT FROM shipment_status_followers n WHERE n.status = OLD.status AND n.next_status = NEW.status
  ) THEN
    RETURN NEW;
  END IF;
  IF current_setting('waybill.skipped_steps', true) = 'codes' AND current_setting('waybill.code_gone', true) = 'yes' THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% cannot follow %', coalesce(NEW.status, 'no status'), OLD.status
    USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_status_follows', TABLE = 'shipments', COLUMN = 'status';
END $$;

CREATE FUNCTION public.check_shipped_items() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM refuse_shipped_items(
      array_agg(n.shipment_id), array_agg(n.order_item_id), array_agg(n.channel_id)) FROM new_rows n;
  ELSIF TG_OP = 'UPDATE' THEN
    PERFORM refuse_shipped_items(
      array_agg(o.shipment_id) || array_agg(n.shipment_id),
      array_agg(n.order_item_id) FILTER (WHERE m.takes_more), array_agg(n.channel_id) FILTER (WHERE m.takes_more))
    FROM new_rows n
    JOIN old_rows o ON o.id = n.id AND o.channel_id = n.channel_id
    CROSS JOIN LATERAL (
      SELECT (n.shipment_id, n.order_item_id) <> (o.shipment_id, o.order_item_id)
        OR coalesce(n.quantity, 0) > coalesce(o.quantity, 0) AS takes_more
    ) m
    WHERE m.takes_more OR n.quantity IS DISTINCT FROM o.quantity;
  ELSE
    PERFORM refuse_shipped_items(array_agg(o.shipment_id), NULL, NULL) FROM old_rows o;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.check_shipped_orders() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  refused text;
BEGIN
  IF current_setting('waybill.skipped_steps', true) = 'allowed' THEN
    RETURN NULL;
  END IF;
  WITH held AS MATERIALIZED (
    SELECT o.status
    FROM orders o
    WHERE (o.id, o.channel_id) IN (SELECT n.order_id, n.channel_id FROM new_rows n)
    ORDER BY o.id, o.channel_id
    FOR SHARE
  )
  SELECT min(h.status) FILTER (WHERE NOT s.is_shippable) INTO refused
  FROM held h
  LEFT JOIN order_statuses s ON s.code = h.status;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'an order that is % cannot be shipped', refused
      USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_order_shippable', TABLE = 'shipments';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.code_of_page(address text, template text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $_$
DECLARE
  parts CONSTANT text := '(?i)https?://[^/?#]*([^?#]*)(?:\?([^#]*))?(?:#(.*))?$';
  blanks CONSTANT text := '\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff';
  given text[];
  page text[];
  part record;
  code text;
BEGIN
  IF page_host(address) IS DISTINCT FROM page_host(template) THEN
    RETURN NULL;
  END IF;
  given := regexp_match(regexp_replace(address, '[' || blanks || '\u0001-\u001f\u007f-\u009f\u2028\u2029]+$', ''), parts);
  page := regexp_match(template, parts);
  IF given IS NULL OR page IS NULL OR given[1] !~ page_pattern(page[1], '/?&#') THEN
    RETURN NULL;
  END IF;
  FOR part IN
    SELECT p.pattern, p.told, p.is_encoded
    FROM (
      SELECT 1 AS kind, 1 AS place, page[1] AS template, page_pattern(page[1], '/?&#') AS pattern, given[1] AS told,
        true AS is_encoded
      UNION ALL
      SELECT 2, 1, page[3], page_pattern(page[3], '/?&#'), given[3], true
      UNION ALL
      SELECT 3, w.place, w.value, page_pattern(w.value, '\n'), (
          SELECT g.value FROM page_parameters(given[2]) g WHERE g.name = w.name ORDER BY g.place DESC LIMIT 1), false
      FROM page_parameters(page[2]) w
    ) p
    WHERE strpos(p.template, '{code}') > 0
    ORDER BY p.kind, p.place
  LOOP
    code := substring(part.told FROM part.pattern);
    code := regexp_replace(CASE WHEN part.is_encoded THEN percent_decoded(code) ELSE code END,
      '^[' || blanks || ']+|[' || blanks || ']+$', '', 'g');
    IF is_line(code) THEN
      RETURN code;
    END IF;
  END LOOP;
  RETURN NULL;
END $_$;

CREATE FUNCTION public.count_bundle() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF is_bundle(NEW.id, NEW.channel_id) THEN
    SELECT p.shipped, p.delivered INTO NEW.quantity_shipped, NEW.quantity_delivered FROM progress_of_line(NEW) p;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.count_bundle_of_part() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.parent_order_item_id IS NOT NULL THEN
    PERFORM count_shipped(ARRAY[OLD.parent_order_item_id], ARRAY[OLD.channel_id]);
  END IF;
  IF TG_OP <> 'DELETE' AND NEW.parent_order_item_id IS NOT NULL THEN
    PERFORM count_shipped(ARRAY[NEW.parent_order_item_id], ARRAY[NEW.channel_id]);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.count_shipped(line_ids integer[], line_channel_ids integer[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
  ids int[] := line_ids;
  channel_ids int[] := line_channel_ids;
BEGIN
  PERFORM FROM order_items l
  WHERE (l.id, l.channel_id) IN (
    WITH RECURSIVE upwards (id, channel_id) AS (
      SELECT * FROM unnest(line_ids, line_channel_ids)
      UNION
      SELECT k.parent_order_item_id, k.channel_id
      FROM upwards u
      JOIN order_items k ON k.id = u.id AND k.channel_id = u.channel_id
      WHERE k.parent_order_item_id IS NOT NULL
    )
    SELECT u.id, u.channel_id FROM upwards u)
  ORDER BY l.id, l.channel_id
  FOR NO KEY UPDATE;

  WHILE ids IS NOT NULL LOOP
    UPDATE order_items l
    SET quantity_shipped = x.shipped, quantity_delivered = x.delivered,
      quantity_overshipped = least(
        l.quantity_overshipped, greatest(0, x.shipped - open_quantity(l.quantity, l.quantity_canceled)))
    FROM (
      SELECT k.id, k.channel_id, p.shipped, p.delivered
      FROM (SELECT DISTINCT * FROM unnest(ids, channel_ids)) g (id, channel_id)
      JOIN order_items k ON k.id = g.id AND k.channel_id = g.channel_id
      CROSS JOIN LATERAL progress_of_line(k) p
    ) x
    WHERE l.id = x.id AND l.channel_id = x.channel_id
      AND (l.quantity_shipped, l.quantity_delivered) IS DISTINCT FROM (x.shipped, x.delivered);
    SELECT array_agg(l.parent_order_item_id), array_agg(l.channel_id) INTO ids, channel_ids
    FROM order_items l
    WHERE (l.id, l.channel_id) IN (SELECT * FROM unnest(ids, channel_ids)) AND l.parent_order_item_id IS NOT NULL;
  END LOOP;
END $$;

CREATE FUNCTION public.count_shipped_of_items() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  lines record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM FROM shipments s
    WHERE (s.id, s.channel_id) IN (SELECT n.shipment_id, n.channel_id FROM new_rows n)
    ORDER BY s.id, s.channel_id
    FOR NO KEY UPDATE;
    SELECT array_agg(order_item_id) AS ids, array_agg(channel_id) AS channel_ids INTO lines FROM new_rows;
  ELSIF TG_OP = 'UPDATE' THEN
    PERFORM FROM shipments s
    WHERE (s.id, s.channel_id) IN (
      SELECT n.shipment_id, n.channel_id FROM new_rows n
      WHERE NOT EXISTS (
        SELECT FROM old_rows o
        WHERE (o.id, o.shipment_id, o.order_item_id, o.channel_id) = (n.id, n.shipment_id, n.order_item_id, n.channel_id)))
    ORDER BY s.id, s.channel_id
    FOR NO KEY UPDATE;
    SELECT array_agg(order_item_id) AS ids, array_agg(channel_id) AS channel_ids INTO lines
    FROM (
      (SELECT o.id, o.shipment_id, o.order_item_id, o.channel_id, o.quantity FROM old_rows o
        EXCEPT SELECT n.id, n.shipment_id, n.order_item_id, n.channel_id, n.quantity FROM new_rows n)
      UNION ALL
      (SELECT n.id, n.shipment_id, n.order_item_id, n.channel_id, n.quantity FROM new_rows n
        EXCEPT SELECT o.id, o.shipment_id, o.order_item_id, o.channel_id, o.quantity FROM old_rows o)
    ) moved;
  ELSE
    SELECT array_agg(order_item_id) AS ids, array_agg(channel_id) AS channel_ids INTO lines FROM old_rows;
  END IF;
  IF lines.ids IS NOT NULL THEN
    PERFORM count_shipped(lines.ids, lines.channel_ids);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.count_shipped_of_shipments() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  lines record;
  ends CONSTANT text[] := ARRAY['CANCELED', 'DELIVERED'];
BEGIN
  SELECT array_agg(i.order_item_id) AS ids, array_agg(i.channel_id) AS channel_ids INTO lines
  FROM old_rows o
  JOIN new_rows n ON n.id = o.id AND n.channel_id = o.channel_id
  JOIN shipment_items i ON i.shipment_id = n.id AND i.channel_id = n.channel_id
  WHERE o.status IS DISTINCT FROM n.status AND (o.status = ANY (ends) OR n.status = ANY (ends));
  IF lines.ids IS NOT NULL THEN
    PERFORM count_shipped(lines.ids, lines.channel_ids);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.is_line(value text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((value !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'::text) AND (value ~ '[^\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff]'::text));

CREATE FUNCTION public.open_quantity(quantity integer, canceled integer) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN GREATEST(0, (quantity - GREATEST(0, canceled)));

CREATE FUNCTION public.packed_goods(of_shipment_id uuid, in_channel_id integer) RETURNS TABLE(number integer, order_item_id integer, name text, sku text, quantity integer, weight numeric)
    LANGUAGE plpgsql STABLE ROWS 10
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH RECURSIVE held AS (
    SELECT x.number, x.order_item_id AS line_id, coalesce(x.name, i.name) AS name, coalesce(x.sku, i.sku) AS sku,
      coalesce(x.quantity, 0) AS quantity, coalesce(x.weight, i.weight * x.quantity) AS weight
    FROM shipment_items x
    JOIN order_items i ON i.id = x.order_item_id AND i.channel_id = x.channel_id
    WHERE x.shipment_id = of_shipment_id AND x.channel_id = in_channel_id AND i.parent_order_item_id IS NOT NULL
  ), climbed AS (
    SELECT h.number, h.line_id, true AS is_part FROM held h
    UNION ALL
    SELECT c.number, i.parent_order_item_id, c.is_part AND i.class = 'product'
    FROM climbed c
    JOIN order_items i ON i.id = c.line_id AND i.channel_id = in_channel_id
    WHERE i.parent_order_item_id IS NOT NULL
  ), placed AS (
    SELECT h.*, c.is_part, t.id AS top_id, t.name AS top_name, t.sku AS top_sku, t.order_id,
      open_quantity(t.quantity, t.quantity_canceled)::bigint AS top_open
    FROM climbed c
    JOIN held h ON h.number = c.number
    JOIN order_items t ON t.id = c.line_id AND t.channel_id = in_channel_id AND t.parent_order_item_id IS NULL
  ), parts AS (
    SELECT DISTINCT p.top_id, p.top_open, p.top_id AS id, p.order_id FROM placed p WHERE p.is_part
    UNION ALL
    SELECT a.top_id, a.top_open, p.id, a.order_id
    FROM parts a
    JOIN order_items p ON p.parent_order_item_id = a.id AND p.order_id = a.order_id AND p.channel_id = in_channel_id
      AND p.class = 'product'
  ), packs AS (
    SELECT a.top_id, min(a.top_open * least(coalesce(h.quantity, 0), o.open) / o.open)::int AS quantity
    FROM parts a
    JOIN order_items l ON l.id = a.id AND l.channel_id = in_channel_id
    CROSS JOIN LATERAL (SELECT open_quantity(l.quantity, l.quantity_canceled)::bigint AS open) o
    LEFT JOIN (SELECT k.line_id, sum(k.quantity) AS quantity FROM held k GROUP BY k.line_id) h ON h.line_id = a.id
    WHERE o.open > 0 AND NOT is_bundle(l.id, in_channel_id)
    GROUP BY a.top_id
  )
  SELECT min(p.number), p.top_id, p.top_name, p.top_sku, k.quantity, sum(p.weight)
  FROM placed p
  JOIN packs k ON k.top_id = p.top_id AND k.quantity > 0
  WHERE p.is_part
  GROUP BY p.top_id, p.top_name, p.top_sku, k.quantity
  UNION ALL
  SELECT p.number, p.top_id, p.name, p.sku, p.quantity, p.weight
  FROM placed p
  LEFT JOIN packs k ON k.top_id = p.top_id
  WHERE NOT (p.is_part AND coalesce(k.quantity, 0) > 0);
END $$;

CREATE TABLE public.order_items (
    id integer NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    uuid uuid DEFAULT gen_random_uuid() NOT NULL,
    line integer,
    class text DEFAULT 'product'::text NOT NULL,
    type text DEFAULT 'simple'::text NOT NULL,
    product_id integer,
    parent_order_item_id integer,
    quantity integer NOT NULL,
    quantity_invoiced integer DEFAULT 0 NOT NULL,
    quantity_canceled integer DEFAULT 0 NOT NULL,
    quantity_refunded integer DEFAULT 0 NOT NULL,
    sku text NOT NULL,
    name text NOT NULL,
    notes text,
    supplier text,
    supplier_code text,
    manufacturer text,
    manufacturer_code text,
    ean_code text,
    original_price numeric,
    price numeric NOT NULL,
    price_net numeric NOT NULL,
    price_total numeric NOT NULL,
    price_total_net numeric NOT NULL,
    customer_price numeric,
    cost_price numeric,
    discount numeric,
    tax numeric NOT NULL,
    tax_percentage integer DEFAULT 0 NOT NULL,
    tax_code text DEFAULT 'H'::text NOT NULL,
    is_bonus boolean DEFAULT false NOT NULL,
    minimum_quantity integer,
    unit integer,
    package text,
    package_unit text,
    package_unit_quantity text,
    purchase_unit integer,
    purchase_minimum_quantity integer,
    request_date timestamp with time zone,
    weight numeric(12,3),
    additional jsonb,
    quantity_shipped bigint DEFAULT 0 NOT NULL,
    quantity_overshipped bigint DEFAULT 0 NOT NULL,
    line_id text,
    exact_tax_percentage numeric,
    quantity_delivered bigint DEFAULT 0,
    version integer DEFAULT 1 NOT NULL,
    quantity_unit text,
    CONSTRAINT order_items_class_known CHECK ((class = ANY (ARRAY['product'::text, 'incentive'::text, 'surcharge'::text, 'postage'::text, 'payment'::text, 'service'::text, 'giftcard'::text, 'deposit'::text]))),
    CONSTRAINT order_items_exact_tax_percentage_sane CHECK (((exact_tax_percentage >= (0)::numeric) AND (exact_tax_percentage <= (100)::numeric) AND (exact_tax_percentage = round(exact_tax_percentage, 6)))),
    CONSTRAINT order_items_line_positive CHECK ((line > 0)),
    CONSTRAINT order_items_never_overshipped CHECK ((quantity_shipped <= (public.open_quantity(quantity, quantity_canceled) + quantity_overshipped))),
    CONSTRAINT order_items_quantity_delivered_known CHECK ((quantity_delivered IS NOT NULL)),
    CONSTRAINT order_items_quantity_not_negative CHECK ((quantity >= 0)),
    CONSTRAINT order_items_tax_code_known CHECK ((tax_code = ANY (ARRAY['H'::text, 'L'::text, 'N'::text, 'M'::text, 'CUST'::text]))),
    CONSTRAINT order_items_tax_percentage_sane CHECK (((tax_percentage >= 0) AND (tax_percentage <= 100)))
);

COMMENT ON COLUMN public.order_items.line IS 'number of the line in the system it was imported from';

COMMENT ON COLUMN public.order_items.quantity_canceled IS 'units of quantity that are not to be shipped any more';

COMMENT ON COLUMN public.order_items.price IS 'for one, without tax, discount taken off; price_net with tax; the totals are for the line (B-35)';

COMMENT ON COLUMN public.order_items.quantity_shipped IS 'sum over the items of shipments that are not canceled, of a bundle as far as its parts are shipped; kept by triggers';

COMMENT ON COLUMN public.order_items.quantity_overshipped IS 'shipped beyond the order before the store refused that; it can only shrink';

COMMENT ON COLUMN public.order_items.line_id IS 'key of the line in the system it was imported from, whatever its number is there by now';

COMMENT ON COLUMN public.order_items.exact_tax_percentage IS 'with its decimals; null where tax_percentage has none';

COMMENT ON COLUMN public.order_items.quantity_delivered IS 'of quantity_shipped, what is in shipments that are delivered; kept by triggers';

COMMENT ON COLUMN public.order_items.version IS 'counts the changes of what the feed tells of a line: quantity, cancellations, class, parent';

COMMENT ON COLUMN public.order_items.quantity_unit IS 'what the quantity is measured in, as the source calls it; null where it does not say';

CREATE TABLE public.shipment_items (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    number integer NOT NULL,
    shipment_id uuid NOT NULL,
    order_item_id integer NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    name text,
    sku text,
    quantity integer,
    weight numeric(12,3),
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    company_id integer,
    version integer DEFAULT 1 NOT NULL,
    external_id text,
    CONSTRAINT shipment_items_external_id_line CHECK ((public.is_line(external_id) AND (length(external_id) <= 255))),
    CONSTRAINT shipment_items_quantity_positive CHECK ((quantity > 0))
);

COMMENT ON COLUMN public.shipment_items.company_id IS 'that of the order; kept by triggers, for indexes';

COMMENT ON COLUMN public.shipment_items.external_id IS 'key of the item in another system';

CREATE FUNCTION public.customer_goods(of_shipment_id uuid, in_channel_id integer) RETURNS TABLE(number integer, order_item_id integer, name text, sku text, quantity integer, weight numeric)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT x.number,
     x.order_item_id,
     COALESCE(x.name, i.name) AS "coalesce",
     COALESCE(x.sku, i.sku) AS "coalesce",
     COALESCE(x.quantity, 0) AS "coalesce",
     COALESCE(x.weight, (i.weight * (x.quantity)::numeric)) AS "coalesce"
    FROM (public.shipment_items x
      JOIN public.order_items i ON (((i.id = x.order_item_id) AND (i.channel_id = x.channel_id))))
   WHERE ((x.shipment_id = customer_goods.of_shipment_id) AND (x.channel_id = customer_goods.in_channel_id) AND (i.parent_order_item_id IS NULL))
 UNION ALL
  SELECT g.number,
     g.order_item_id,
     g.name,
     g.sku,
     g.quantity,
     g.weight
    FROM (( SELECT x.id
            FROM (public.shipment_items x
              JOIN public.order_items i ON (((i.id = x.order_item_id) AND (i.channel_id = x.channel_id))))
           WHERE ((x.shipment_id = customer_goods.of_shipment_id) AND (x.channel_id = customer_goods.in_channel_id) AND ((+ i.parent_order_item_id) IS NOT NULL))
          LIMIT 1) hanging
      CROSS JOIN LATERAL public.packed_goods(customer_goods.of_shipment_id, customer_goods.in_channel_id) g(number, order_item_id, name, sku, quantity, weight));
END;

CREATE FUNCTION public.day_end(day date, zone text) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((day + 1))::timestamp without time zone AT TIME ZONE zone);

CREATE FUNCTION public.day_start(day date, zone text) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((day)::timestamp without time zone AT TIME ZONE zone);

CREATE FUNCTION public.end_contact_sessions() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  UPDATE contact_sessions s SET revoked_at = now()
  WHERE s.contact_id = NEW.id AND s.channel_id = NEW.channel_id AND s.revoked_at IS NULL;
  RETURN NULL;
END
$$;

CREATE FUNCTION public.finished_status(present text, shipped_status text, delivered_status text, ordered bigint, shipped bigint, delivered bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
  wanted text;
  reached text := present;
BEGIN
  IF ordered = 0 OR shipped < ordered THEN
    RETURN present;
  END IF;
  FOREACH wanted IN ARRAY ARRAY[
    CASE WHEN delivered >= ordered THEN delivered_status END, shipped_status,
    CASE WHEN delivered >= ordered THEN delivered_status END]
  LOOP
    EXIT WHEN reached = delivered_status;
    IF EXISTS (
      SELECT FROM order_status_successors x
      JOIN order_statuses s ON s.id = x.status_id
      JOIN order_statuses n ON n.id = x.next_status_id
      WHERE s.code = reached AND n.code = wanted
    ) THEN
      reached := wanted;
    END IF;
  END LOOP;
  RETURN reached;
END $$;

CREATE FUNCTION public.first_start(day date) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((day)::timestamp without time zone AT TIME ZONE 'UTC'::text) - '14:00:00'::interval);

CREATE FUNCTION public.fold_order_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM order_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM order_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest)
  SELECT channel_id, created_on, modified_on, status, type, export_status, sum(n), min(lowest), max(highest)
  FROM taken
  GROUP BY channel_id, created_on, modified_on, status, type, export_status
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;

CREATE FUNCTION public.fold_order_fulfillment_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM order_fulfillment_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM order_fulfillment_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO order_fulfillment_days (channel_id, created_on, status, n)
  SELECT channel_id, created_on, status, sum(n)
  FROM taken
  GROUP BY channel_id, created_on, status
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;

CREATE FUNCTION public.fold_shipment_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM shipment_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM shipment_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest)
  SELECT channel_id, created_on, modified_on, expected_on, status, sum(n), min(lowest), max(highest)
  FROM taken
  GROUP BY channel_id, created_on, modified_on, expected_on, status
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;

CREATE FUNCTION public.fold_shipment_item_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM shipment_item_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM shipment_item_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest)
  SELECT channel_id, created_on, modified_on, quantity, sum(n), min(lowest), max(highest)
  FROM taken
  GROUP BY channel_id, created_on, modified_on, quantity
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;

CREATE FUNCTION public.fold_tallies() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$
BEGIN
  EXECUTE format(
    $fold$
    WITH found AS (
      SELECT t.ctid
      FROM %1$I t
      WHERE (t.company_id, t.channel_id, t.status) IN (SELECT company_id, channel_id, status FROM added)
      FOR UPDATE SKIP LOCKED
    ), taken AS (
      DELETE FROM %1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
    )
    INSERT INTO %1$I (channel_id, company_id, status, n)
    SELECT channel_id, company_id, status, sum(n)
    FROM taken
    GROUP BY channel_id, company_id, status
    HAVING sum(n) <> 0
    $fold$,
    TG_TABLE_NAME);
  RETURN NULL;
END
$_$;

CREATE FUNCTION public.fold_track_and_trace_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM track_and_trace_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM track_and_trace_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n)
  SELECT channel_id, created_on, modified_on, carrier_id, sum(n)
  FROM taken
  GROUP BY channel_id, created_on, modified_on, carrier_id
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;

CREATE FUNCTION public.folded(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (value ~ '^[\u0001-\u007f]*$'::text) THEN lower(value) ELSE replace(replace(replace(replace(translate(lower(regexp_replace(NORMALIZE(value, NFKD), '[\u0300-\u036f]'::text, ''::text, 'g'::text)), 'ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩςАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЂЄЅІЈЉЊЋЏØøŁłĐđÐðıÆŒÞẞ'::text, 'αβγδεζηθικλμνξοπρστυφχψωσабвгдежзийклмнопрстуфхцчшщъыьэюяђєѕіјљњћџoollddddiæœþß'::text), 'ß'::text, 'ss'::text), 'æ'::text, 'ae'::text), 'œ'::text, 'oe'::text), 'þ'::text, 'th'::text) END;

CREATE FUNCTION public.follow_codes(followed_id uuid, followed_channel_id integer, is_written boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
  ways text[] := ARRAY(SELECT n.status || ' ' || n.next_status FROM shipment_status_followers n);
  present record;
  progress text[];
  newest timestamptz;
  told text;
  finer text;
  former text := coalesce(current_setting('waybill.skipped_steps', true), '');
BEGIN
  SELECT s.status, s.sub_status, s.status_set_at, s.sub_status_set_at INTO present
  FROM shipments s
  WHERE s.id = followed_id AND s.channel_id = followed_channel_id
  FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  progress := ARRAY(
    SELECT progress_of_code(t.id, t.channel_id, ways) FROM track_and_traces t
    WHERE t.shipment_id = followed_id AND t.channel_id = followed_channel_id);
  told := status_of_codes(progress);
  IF coalesce(present.status_set_at, present.sub_status_set_at) IS NOT NULL THEN
    newest := (
      SELECT max(e.occurred_at)
      FROM track_and_traces t
      JOIN tracking_events e ON e.track_and_trace_id = t.id AND e.channel_id = t.channel_id
      WHERE t.shipment_id = followed_id AND t.channel_id = followed_channel_id);
  END IF;
  IF told <> present.status THEN
    IF NOT present.status || ' ' || told = ANY (ways) THEN
      told := NULL;
    ELSIF present.status_set_at IS NOT NULL AND told || ' ' || present.status = ANY (ways)
        AND NOT coalesce(newest > present.status_set_at, false) THEN
      told := NULL;
    END IF;
  ELSIF NOT coalesce(newest > present.sub_status_set_at, present.sub_status_set_at IS NULL) THEN
    told := NULL;
  END IF;
  IF told IS NOT NULL THEN
    finer := (
      SELECT e.sub_status
      FROM track_and_traces t
      CROSS JOIN LATERAL (
        SELECT n.* FROM tracking_events n
        WHERE n.track_and_trace_id = t.id AND n.channel_id = t.channel_id
        ORDER BY n.occurred_at DESC, n.status_rank DESC, n.id DESC
        LIMIT 1
      ) e
      WHERE t.shipment_id = followed_id AND t.channel_id = followed_channel_id AND (
        e.status = told OR NOT EXISTS (SELECT FROM shipment_status_successors n WHERE n.status = told))
      ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
      LIMIT 1);
  END IF;
  IF told IS NOT NULL AND (told, finer) IS DISTINCT FROM (present.status, present.sub_status) THEN
    PERFORM set_config('waybill.skipped_steps', 'codes', true);
    UPDATE shipments s SET status = told, sub_status = finer, sub_status_set_at = NULL,
      last_modified_at = statement_timestamp()
    WHERE s.id = followed_id AND s.channel_id = followed_channel_id;
    PERFORM set_config('waybill.skipped_steps', former, true);
  ELSIF is_written THEN
    UPDATE shipments s SET last_modified_at = statement_timestamp()
    WHERE s.id = followed_id AND s.channel_id = followed_channel_id;
  END IF;
END $$;

CREATE FUNCTION public.follow_events() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  followed record;
BEGIN
  FOR followed IN
    SELECT DISTINCT t.shipment_id, t.channel_id
    FROM new_rows n
    JOIN track_and_traces t ON t.id = n.track_and_trace_id AND t.channel_id = n.channel_id
    ORDER BY t.shipment_id, t.channel_id
  LOOP
    PERFORM FROM shipments s
    WHERE s.id = followed.shipment_id AND s.channel_id = followed.channel_id
    FOR NO KEY UPDATE;
    UPDATE track_and_traces t
    SET status = newest.status, sub_status = newest.sub_status, last_modified_at = statement_timestamp()
    FROM (SELECT DISTINCT n.track_and_trace_id AS id, n.channel_id FROM new_rows n) told
    CROSS JOIN LATERAL (
      SELECT e.status, e.sub_status FROM tracking_events e
      WHERE e.track_and_trace_id = told.id AND e.channel_id = told.channel_id
      ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
      LIMIT 1
    ) newest
    WHERE t.id = told.id AND t.channel_id = told.channel_id AND t.shipment_id = followed.shipment_id
      AND (t.status, t.sub_status) IS DISTINCT FROM (newest.status, newest.sub_status);
    PERFORM follow_codes(followed.shipment_id, followed.channel_id, FOUND);
  END LOOP;
  RETURN NULL;
END $$;

CREATE FUNCTION public.follow_moved_code() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF OLD.status IS NOT NULL THEN
    PERFORM forget_code(OLD);
  END IF;
  PERFORM follow_codes(OLD.shipment_id, OLD.channel_id, false);
  IF TG_OP = 'UPDATE' THEN
    PERFORM follow_codes(NEW.shipment_id, NEW.channel_id, false);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.follow_order_items() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  found record;
  counted record;
  present text;
  finished text;
BEGIN
  SELECT array_agg(n.order_id) AS order_ids, array_agg(n.channel_id) AS channel_ids,
    array_agg((n.sku, n.name, n.ean_code, n.manufacturer, n.manufacturer_code, n.supplier, n.supplier_code, n.notes)
      IS DISTINCT FROM (o.sku, o.name, o.ean_code, o.manufacturer, o.manufacturer_code, o.supplier, o.supplier_code, o.notes)
    ) AS words,
    bool_or(n.version <> o.version) AS are_changed,
    bool_or((n.quantity_shipped, n.quantity_delivered, n.quantity, n.quantity_canceled, n.class)
      IS DISTINCT FROM (o.quantity_shipped, o.quantity_delivered, o.quantity, o.quantity_canceled, o.class)
      AND (c.shipped_status IS NOT NULL OR c.delivered_status IS NOT NULL)) AS may_finish
  INTO found
  FROM new_rows n
  JOIN old_rows o ON o.id = n.id AND o.channel_id = n.channel_id
  LEFT JOIN channels c ON c.id = n.channel_id;
  PERFORM note_due(found.order_ids, found.channel_ids, found.words);
  IF found.may_finish AND current_setting('waybill.finishing', true) IS DISTINCT FROM 'held' THEN
    FOR counted IN
      SELECT DISTINCT n.order_id, n.channel_id, c.shipped_status, c.delivered_status
      FROM new_rows n
      JOIN old_rows o ON o.id = n.id AND o.channel_id = n.channel_id
      JOIN channels c ON c.id = n.channel_id AND (c.shipped_status IS NOT NULL OR c.delivered_status IS NOT NULL)
      WHERE (o.quantity_shipped, o.quantity_delivered, o.quantity, o.quantity_canceled, o.class)
        IS DISTINCT FROM (n.quantity_shipped, n.quantity_delivered, n.quantity, n.quantity_canceled, n.class)
      ORDER BY n.order_id, n.channel_id
    LOOP
      SELECT o.status INTO present FROM orders o
      WHERE o.id = counted.order_id AND o.channel_id = counted.channel_id
      FOR NO KEY UPDATE;
      SELECT finished_status(
        present, counted.shipped_status, counted.delivered_status, p.ordered, p.shipped, p.delivered) INTO finished
      FROM order_progress(counted.order_id, counted.channel_id) p;
      IF finished <> present THEN
        UPDATE orders SET status = finished, status_date = statement_timestamp(), last_modified_at = statement_timestamp()
        WHERE id = counted.order_id AND channel_id = counted.channel_id;
      END IF;
    END LOOP;
  END IF;
  IF found.are_changed THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old, new)
    SELECT writing_transaction(), 'ORDER_ITEM', 'UPDATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      coalesce(d.old, '{}'), coalesce(d.new, '{}')
    FROM old_rows b
    JOIN new_rows a ON a.id = b.id AND a.channel_id = b.channel_id AND a.version <> b.version
    CROSS JOIN LATERAL recorded(ROW(b.*)::order_items) o
    CROSS JOIN LATERAL recorded(ROW(a.*)::order_items) n
    CROSS JOIN LATERAL (
      SELECT jsonb_object_agg(f.key, f.value) AS old, jsonb_object_agg(f.key, n.fields -> f.key) AS new
      FROM jsonb_each(o.fields) f
      WHERE f.value <> n.fields -> f.key
    ) d;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.follow_promises() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  UPDATE track_and_traces t
  SET expected_delivery_at = newest.expected_delivery_at, last_modified_at = statement_timestamp()
  FROM (
    SELECT DISTINCT n.track_and_trace_id AS id, n.channel_id FROM new_rows n WHERE n.expected_delivery_at IS NOT NULL
  ) told
  CROSS JOIN LATERAL (
    SELECT e.id, e.expected_delivery_at FROM tracking_events e
    WHERE e.track_and_trace_id = told.id AND e.channel_id = told.channel_id AND e.expected_delivery_at IS NOT NULL
    ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
    LIMIT 1
  ) newest
  WHERE t.id = told.id AND t.channel_id = told.channel_id
    AND t.expected_delivery_at IS DISTINCT FROM newest.expected_delivery_at
    AND newest.id IN (SELECT n.id FROM new_rows n);
  RETURN NULL;
END $$;

CREATE FUNCTION public.is_shipment_sub_status(word text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (word = ANY (ARRAY['ADDRESS_PROBLEM'::text, 'AT_PICKUP_POINT'::text, 'COLLECTED'::text, 'CUSTOMS'::text, 'DAMAGED'::text, 'DELAYED'::text, 'LEFT_IN_SAFE_PLACE'::text, 'LEFT_WITH_NEIGHBOR'::text, 'LOST'::text, 'NOT_HOME'::text, 'PAYMENT_DUE'::text, 'PICKED_UP'::text, 'REFUSED'::text, 'RETURNED'::text, 'RETURN_TO_SENDER'::text]));

CREATE TABLE public.track_and_traces (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    shipment_id uuid NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    carrier_id integer,
    code text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    company_id integer,
    version integer DEFAULT 1 NOT NULL,
    status text,
    sub_status text,
    use_number integer DEFAULT 0 NOT NULL,
    external_id text,
    expected_delivery_at timestamp with time zone,
    CONSTRAINT track_and_traces_code_length CHECK (((length(code) >= 1) AND (length(code) <= 255))),
    CONSTRAINT track_and_traces_external_id_line CHECK ((public.is_line(external_id) AND (length(external_id) <= 255))),
    CONSTRAINT track_and_traces_status_known CHECK ((status = ANY (ARRAY['CREATED'::text, 'PROCESSING'::text, 'IN_TRANSIT'::text, 'OUT_FOR_DELIVERY'::text, 'FAILED_DELIVERY'::text, 'EXCEPTION'::text, 'PARTIALLY_DELIVERED'::text, 'CANCELED'::text, 'DELIVERED'::text]))),
    CONSTRAINT track_and_traces_sub_status_known CHECK (public.is_shipment_sub_status(sub_status))
);

COMMENT ON COLUMN public.track_and_traces.company_id IS 'that of the order; kept by triggers, for indexes';

COMMENT ON COLUMN public.track_and_traces.status IS 'of the newest event; null without one';

COMMENT ON COLUMN public.track_and_traces.sub_status IS 'of the newest event';

COMMENT ON COLUMN public.track_and_traces.use_number IS 'tells the uses of one code of a carrier apart, whatever they have been freed or shared by';

COMMENT ON COLUMN public.track_and_traces.external_id IS 'key of the code in another system';

COMMENT ON COLUMN public.track_and_traces.expected_delivery_at IS 'when this parcel should arrive: as set, or as the newest event with a promise says';

CREATE FUNCTION public.forget_code(gone public.track_and_traces) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
  ways CONSTANT text[] := ARRAY(SELECT n.status || ' ' || n.next_status FROM shipment_status_followers n);
  former CONSTANT text := coalesce(current_setting('waybill.skipped_steps', true), '');
  present record;
  progress text[];
  told text;
BEGIN
  SELECT s.status, s.status_set_at, s.status_before_codes, s.status_before_codes_set_at INTO present
  FROM shipments s
  WHERE s.id = gone.shipment_id AND s.channel_id = gone.channel_id
  FOR NO KEY UPDATE;
  IF NOT FOUND OR present.status_set_at IS NOT NULL OR present.status = 'CANCELED' THEN
    RETURN;
  END IF;
  progress := ARRAY(
    SELECT progress_of_code(t.id, t.channel_id, ways) FROM track_and_traces t
    WHERE t.shipment_id = gone.shipment_id AND t.channel_id = gone.channel_id AND t.id <> gone.id);
  told := status_of_codes(progress);
  IF coalesce(told, 'CREATED') = present.status OR present.status IS DISTINCT FROM
      status_of_codes(progress || coalesce(progress_of_code(gone.id, gone.channel_id, ways), gone.status)) THEN
    RETURN;
  END IF;
  PERFORM set_config('waybill.skipped_steps', 'codes', true), set_config('waybill.code_gone', 'yes', true);
  UPDATE shipments s
  SET status = coalesce(present.status_before_codes, told, 'CREATED'), sub_status = NULL, sub_status_set_at = NULL,
    status_set_at = present.status_before_codes_set_at, status_before_codes = NULL, status_before_codes_set_at = NULL,
    last_modified_at = statement_timestamp()
  WHERE s.id = gone.shipment_id AND s.channel_id = gone.channel_id;
  PERFORM set_config('waybill.skipped_steps', former, true), set_config('waybill.code_gone', '', true);
END $$;

CREATE FUNCTION public.forget_found_orders() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  DELETE FROM order_words;
  DELETE FROM order_fulfillments;
  RETURN NULL;
END $$;

CREATE FUNCTION public.fulfillment_of_order(of_order_id integer, of_channel_id integer, OUT status text, OUT created_at timestamp with time zone, OUT wanted_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
  SELECT CASE
      WHEN p.is_canceled OR p.canceled > 0 AND p.ordered = 0 THEN 'CANCELED'
      WHEN p.lines > 0 AND p.delivered = p.ordered THEN 'DELIVERED'
      WHEN p.delivered > 0 OR p.is_partially_delivered THEN 'PARTIALLY_DELIVERED'
      WHEN p.shipped > 0 AND p.shipped = p.ordered THEN 'SHIPPED'
      WHEN p.shipped > 0 THEN 'PARTIALLY_SHIPPED'
      ELSE 'UNFULFILLED'
    END,
    p.created_at,
    CASE WHEN p.shipped < p.ordered AND p.is_awaited THEN p.postage_request_date END
  INTO status, created_at, wanted_at
  FROM (
    SELECT g.*, o.created_at, o.postage_request_date, d.customer_status = 'canceled' AS is_canceled,
      d.order_type = 'ORDER' AND coalesce(d.customer_status, '') NOT IN ('canceled', 'fraud', 'closed') AS is_awaited,
      EXISTS (
        SELECT FROM shipments s
        WHERE s.order_id = of_order_id AND s.channel_id = of_channel_id AND s.status = 'PARTIALLY_DELIVERED'
          AND EXISTS (SELECT FROM shipment_items x WHERE x.shipment_id = s.id AND x.channel_id = s.channel_id)
      ) AS is_partially_delivered
    FROM orders o
    LEFT JOIN order_statuses d ON d.code = o.status
    CROSS JOIN LATERAL order_progress(o.id, o.channel_id) g
    WHERE o.id = of_order_id AND o.channel_id = of_channel_id
  ) AS p;
END $$;

CREATE FUNCTION public.give_carrier_key() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  stem text := coalesce(nullif(slug(NEW.name), ''), 'carrier');
  place int := 1;
BEGIN
  IF NEW.key IS NOT NULL THEN
    NEW.key := lower(NEW.key COLLATE "C");
    RETURN NEW;
  END IF;
  LOOP
    NEW.key := CASE WHEN place = 1 THEN stem ELSE rtrim(left(stem, 58), '-') || '-' || place END;
    EXIT WHEN NOT EXISTS (
      SELECT FROM carriers c
      WHERE c.key = NEW.key AND c.channel_id IS NOT DISTINCT FROM NEW.channel_id AND c.id <> NEW.id);
    place := place + 1;
  END LOOP;
  RETURN NEW;
END $$;

CREATE FUNCTION public.give_positions(most integer, OUT given integer, OUT reached bigint) RETURNS record
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
  before record;
  found record;
BEGIN
  SELECT * INTO before FROM feed_ends e ORDER BY e.position DESC LIMIT 1;
  given := 0;
  reached := before.position;
  IF current_setting('transaction_read_only') = 'on' OR current_setting('transaction_isolation') <> 'read committed'
      OR NOT (
        EXISTS (SELECT FROM commits c WHERE c.number > before.number)
        OR EXISTS (SELECT FROM commits c WHERE c.number = ANY (before.missing))) THEN
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock(1470275860);
  SELECT * INTO before FROM feed_ends e ORDER BY e.position DESC LIMIT 1;
  -- One statement, so that all of it sees the same moment.
  WITH there AS MATERIALIZED (
    SELECT c.number, c.transaction_id FROM commits c WHERE c.number = ANY (before.missing)
    UNION ALL
    (SELECT c.number, c.transaction_id FROM commits c WHERE c.number > before.number ORDER BY c.number LIMIT most)
  ), ended AS (
    SELECT coalesce(max(t.number), 0) AS number FROM there t
  ), absent AS (
    SELECT m.number, m.until
    FROM unnest(before.missing, before.missing_until) AS m (number, until)
    WHERE m.until > pg_snapshot_xmin(pg_current_snapshot())
    UNION ALL
    SELECT s.number, pg_snapshot_xmax(pg_current_snapshot())
    FROM ended e
    CROSS JOIN LATERAL generate_series(before.number + 1, e.number) AS s (number)
  )
  SELECT t.ids, t.numbers, greatest(e.number, before.number) AS number, a.missing, a.missing_until
  INTO found
  FROM ended e
  CROSS JOIN (
    SELECT array_agg(t.transaction_id ORDER BY t.number) AS ids, array_agg(t.number) AS numbers FROM there t
  ) AS t
  CROSS JOIN (
    SELECT coalesce(array_agg(a.number), '{}') AS missing, coalesce(array_agg(a.until), '{}') AS missing_until
    FROM absent a
    WHERE NOT EXISTS (SELECT FROM there t WHERE t.number = a.number)
  ) AS a;
  given := coalesce(cardinality(found.ids), 0);
  reached := before.position + given;
  IF given = 0 THEN
    RETURN;
  END IF;
  UPDATE transactions x SET position = before.position + g.place
  FROM unnest(found.ids) WITH ORDINALITY AS g (id, place)
  WHERE x.id = g.id;
  DELETE FROM commits c WHERE c.number = ANY (found.numbers);
  INSERT INTO feed_ends (position, number, missing, missing_until)
  VALUES (reached, found.number, found.missing, found.missing_until);
  DELETE FROM feed_ends e WHERE e.position = before.position;
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
END $$;

CREATE FUNCTION public.give_waiting_reports() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF EXISTS (SELECT FROM new_rows n JOIN waiting_reports w ON normalized_code(w.code) = normalized_code(n.code)) THEN
    PERFORM take_waiting_reports(t)
    FROM new_rows n
    JOIN track_and_traces t ON t.id = n.id AND t.channel_id = n.channel_id
    WHERE EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(n.code))
    ORDER BY t.shipment_id, t.channel_id, t.id;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.give_waiting_reports_to_code() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(NEW.code)) THEN
    PERFORM take_waiting_reports(NEW);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.has_apostrophe(value text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (value ~ '[''\u0060\u00b4\u02b9-\u02bc\u2018\u2019\u201b\u2032\uff07]'::text);

CREATE FUNCTION public.is_before_parcel(t public.track_and_traces, moment timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION public.is_bundle(of_line_id integer, of_channel_id integer) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM order_items p
    WHERE p.parent_order_item_id = of_line_id AND p.channel_id = of_channel_id AND p.class = 'product' AND p.quantity > 0);
END $$;

CREATE FUNCTION public.slug(name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN rtrim("left"(btrim(regexp_replace(lower((translate(replace(replace(replace(replace(replace(replace(replace(regexp_replace(NORMALIZE(name, NFKD), '[\u0300-\u036f]+'::text, ''::text, 'g'::text), 'ß'::text, 'ss'::text), 'æ'::text, 'ae'::text), 'Æ'::text, 'ae'::text), 'œ'::text, 'oe'::text), 'Œ'::text, 'oe'::text), 'þ'::text, 'th'::text), 'Þ'::text, 'th'::text), 'øØłŁđĐ'::text, 'oolldd'::text) COLLATE "C")), '[^a-z0-9]+'::text, '-'::text, 'g'::text), '-'::text), 64), '-'::text);

CREATE TABLE public.carriers (
    id integer NOT NULL,
    name text NOT NULL,
    type text DEFAULT 'DELIVERY'::text NOT NULL,
    track_and_trace_url text,
    logo text,
    shipping_cost numeric(12,2),
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by integer,
    last_modified_by integer,
    version integer DEFAULT 1 NOT NULL,
    channel_id integer,
    key text,
    source_name text,
    time_zone text,
    CONSTRAINT carriers_key_slug CHECK (((key IS NOT NULL) AND (key ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'::text) AND (length(key) <= 64))),
    CONSTRAINT carriers_logo_length CHECK ((length(logo) <= 255)),
    CONSTRAINT carriers_name_length CHECK (((length(name) >= 1) AND (length(name) <= 64))),
    CONSTRAINT carriers_type_known CHECK ((type = ANY (ARRAY['PICKUP'::text, 'DELIVERY'::text]))),
    CONSTRAINT carriers_url_length CHECK ((length(track_and_trace_url) <= 255))
);

COMMENT ON COLUMN public.carriers.channel_id IS 'null: of all channels';

COMMENT ON COLUMN public.carriers.key IS 'what other systems call the carrier, in small letters; it stays when the name changes';

COMMENT ON COLUMN public.carriers.source_name IS 'the name in records of other systems, where the carrier has been given another one here';

COMMENT ON COLUMN public.carriers.time_zone IS 'where the moments that the carrier tells without an offset are meant; null: where the channel is';

CREATE FUNCTION public.is_carrier_called(c public.carriers, word text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE((((c).name = word) OR ((c).source_name = word) OR ((c).key = lower((word COLLATE "C"))) OR ((c).key = public.slug(word))), false);

CREATE FUNCTION public.is_plain_line(value text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (public.is_line(value) AND (value !~ '[\u202a-\u202e\u2066-\u2069]'::text));

CREATE FUNCTION public.is_code(value text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (public.is_plain_line(value) AND (NORMALIZE(value, NFKC) ~ '[^\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a0\u00ad\u00b7\u1680\u180e\u2000-\u2015\u2028-\u202f\u205f-\u206f\u2212\u3000\u30fc\ufeff]'::text));

CREATE FUNCTION public.is_code_awaited(wanted text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
BEGIN
  RETURN EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(wanted));
END $$;

CREATE TABLE public.shipments (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    number integer NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    external_id text,
    status text DEFAULT 'CREATED'::text,
    expected_delivery_at timestamp with time zone,
    shipping_number text,
    email_sent boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    company_id integer,
    version integer DEFAULT 1 NOT NULL,
    sub_status text,
    status_set_at timestamp with time zone,
    status_changed_at timestamp with time zone,
    is_made_here boolean DEFAULT false NOT NULL,
    sub_status_set_at timestamp with time zone,
    source_status text,
    status_before_codes text,
    status_before_codes_set_at timestamp with time zone,
    CONSTRAINT shipments_status_known CHECK ((status = ANY (ARRAY['CREATED'::text, 'PROCESSING'::text, 'IN_TRANSIT'::text, 'OUT_FOR_DELIVERY'::text, 'DELIVERED'::text, 'CANCELED'::text, 'PARTIALLY_DELIVERED'::text, 'FAILED_DELIVERY'::text, 'EXCEPTION'::text]))),
    CONSTRAINT shipments_sub_status_known CHECK (public.is_shipment_sub_status(sub_status))
);

COMMENT ON COLUMN public.shipments.number IS 'the id that customers read; the uuid is the B2B surface''s (decision 2)';

COMMENT ON COLUMN public.shipments.company_id IS 'that of the order; kept by triggers, for indexes';

COMMENT ON COLUMN public.shipments.sub_status IS 'of the newest news that the status comes from, and after the end of any';

COMMENT ON COLUMN public.shipments.status_set_at IS 'when a person or an import changed the status; null where it follows the codes';

COMMENT ON COLUMN public.shipments.status_changed_at IS 'when the status last changed here, not by a record; null where never';

COMMENT ON COLUMN public.shipments.is_made_here IS 'made by a mutation, so that no record of another system takes it away';

COMMENT ON COLUMN public.shipments.sub_status_set_at IS 'when the record was made that says the sub-status; null where it follows the codes, or any news may';

COMMENT ON COLUMN public.shipments.source_status IS 'what the newest record says of the status, whether that counts or not; null where nobody noted it';

COMMENT ON COLUMN public.shipments.status_before_codes IS 'what a person or an import had set before the status followed the codes; null where nobody had';

COMMENT ON COLUMN public.shipments.status_before_codes_set_at IS 'as status_set_at was then';

CREATE FUNCTION public.is_code_canceled(t public.track_and_traces) RETURNS boolean
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT COALESCE((('CANCELED'::text = (is_code_canceled.t).status) OR ('CANCELED'::text = s.status)), false) AS "coalesce"
    FROM public.shipments s
   WHERE ((s.id = (is_code_canceled.t).shipment_id) AND (s.channel_id = (is_code_canceled.t).channel_id));
END;

CREATE TABLE public.tracking_events (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    track_and_trace_id uuid NOT NULL,
    channel_id integer NOT NULL,
    external_id text,
    status text NOT NULL,
    status_rank integer GENERATED ALWAYS AS (array_position(ARRAY['CREATED'::text, 'PROCESSING'::text, 'IN_TRANSIT'::text, 'OUT_FOR_DELIVERY'::text, 'FAILED_DELIVERY'::text, 'EXCEPTION'::text, 'PARTIALLY_DELIVERED'::text, 'CANCELED'::text, 'DELIVERED'::text], status)) STORED NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    recorded_by text DEFAULT COALESCE(NULLIF(current_setting('waybill.actor'::text, true), ''::text), 'system'::text) NOT NULL,
    location text,
    description text,
    is_accepted boolean DEFAULT false NOT NULL,
    sub_status text,
    expected_delivery_at timestamp with time zone,
    CONSTRAINT tracking_events_description_length CHECK ((length(description) <= 1000)),
    CONSTRAINT tracking_events_external_id_length CHECK (((length(external_id) >= 1) AND (length(external_id) <= 255))),
    CONSTRAINT tracking_events_location_length CHECK ((length(location) <= 255)),
    CONSTRAINT tracking_events_sub_status_known CHECK (public.is_shipment_sub_status(sub_status))
);

COMMENT ON COLUMN public.tracking_events.external_id IS 'the carrier''s key of the event, by which it is known when it is told again';

COMMENT ON COLUMN public.tracking_events.status_rank IS 'of events at the same moment, which carriers tell to the minute, the one of the higher rank counts as the later';

COMMENT ON COLUMN public.tracking_events.recorded_by IS 'subject of the viewer who told it';

COMMENT ON COLUMN public.tracking_events.is_accepted IS 'no longer written: whether the shipment had taken the status';

COMMENT ON COLUMN public.tracking_events.expected_delivery_at IS 'when the carrier, with this event, says that the parcel will arrive';

CREATE FUNCTION public.is_code_free(t public.track_and_traces) RETURNS boolean
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT (COALESCE((((is_code_free.t).status = 'CANCELED'::text) OR (s.status = 'CANCELED'::text) OR ((('DELIVERED'::text = (is_code_free.t).status) OR ('DELIVERED'::text = s.status)) AND (COALESCE(( SELECT max(e.occurred_at) AS max
            FROM public.tracking_events e
           WHERE ((e.track_and_trace_id = (is_code_free.t).id) AND (e.channel_id = (is_code_free.t).channel_id))), s.status_set_at, s.created_at) < (now() - '90 days'::interval)))), false) OR (EXISTS ( SELECT
            FROM public.tracking_events e
           WHERE ((e.track_and_trace_id = (is_code_free.t).id) AND (e.channel_id = (is_code_free.t).channel_id) AND ((e.status = 'CANCELED'::text) OR ((e.status = 'DELIVERED'::text) AND (e.occurred_at < (now() - '90 days'::interval)))) AND (EXISTS ( SELECT
                    FROM public.track_and_traces o
                   WHERE ((public.normalized_code(o.code) = public.normalized_code((is_code_free.t).code)) AND (NOT (o.carrier_id IS DISTINCT FROM (is_code_free.t).carrier_id)) AND (o.channel_id = (is_code_free.t).channel_id) AND (o.created_at > (is_code_free.t).created_at))))))) OR (COALESCE(((s.status = 'DELIVERED'::text) AND (s.status_set_at < (now() - '90 days'::interval))), false) AND (EXISTS ( SELECT
            FROM public.track_and_traces o
           WHERE ((public.normalized_code(o.code) = public.normalized_code((is_code_free.t).code)) AND (NOT (o.carrier_id IS DISTINCT FROM (is_code_free.t).carrier_id)) AND (o.channel_id = (is_code_free.t).channel_id) AND (o.created_at > (is_code_free.t).created_at))))))
    FROM public.shipments s
   WHERE ((s.id = (is_code_free.t).shipment_id) AND (s.channel_id = (is_code_free.t).channel_id));
END;

CREATE FUNCTION public.is_code_taken(wanted text, of_carrier integer, of_channel integer, for_order integer, for_shipment uuid, but_for uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM track_and_traces t
    WHERE normalized_code(t.code) = normalized_code(wanted) AND +t.carrier_id = of_carrier AND +t.channel_id = of_channel
      AND t.id IS DISTINCT FROM but_for
      AND (t.shipment_id IS NOT DISTINCT FROM for_shipment
        OR NOT coalesce(is_code_free(t), false) AND NOT are_of_one_consignee(t.order_id, for_order, of_channel)));
END $$;

CREATE FUNCTION public.is_currency(code text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (public.minor_units(code) IS NOT NULL);

CREATE FUNCTION public.is_day(moment timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((moment AT TIME ZONE 'UTC'::text))::time without time zone = '00:00:00'::time without time zone);

CREATE FUNCTION public.is_moment(value timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((value >= '1899-12-31 00:00:00+00'::timestamp with time zone) AND (value < '9999-01-02 00:00:00+00'::timestamp with time zone));

CREATE FUNCTION public.is_of_former_parcel(t public.track_and_traces, moment timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
BEGIN
  RETURN moment < t.created_at AND EXISTS (
    SELECT FROM track_and_traces o
    JOIN shipments s ON s.id = o.shipment_id AND s.channel_id = o.channel_id
    CROSS JOIN LATERAL (
      SELECT max(e.occurred_at) AS newest, min(e.occurred_at) FILTER (WHERE e.status = 'CANCELED') AS canceled
      FROM tracking_events e
      WHERE e.track_and_trace_id = o.id AND e.channel_id = o.channel_id
    ) e
    WHERE normalized_code(o.code) = normalized_code(t.code) AND +o.carrier_id = t.carrier_id
      AND +o.channel_id = t.channel_id AND o.created_at < t.created_at AND is_code_free(o)
      AND moment <= CASE WHEN is_code_canceled(o) THEN coalesce(e.canceled, s.status_set_at)
        ELSE coalesce(e.newest, s.status_set_at, s.created_at) + interval '90 days' END);
END $$;

CREATE FUNCTION public.is_plain(value text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (value !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]'::text);

CREATE FUNCTION public.is_shippable_class(class text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (class = ANY (ARRAY['product'::text, 'incentive'::text]));

CREATE FUNCTION public.time_zones() RETURNS SETOF text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT z.name
    FROM pg_timezone_names z
   WHERE ((z.name !~ '^(posix|right)/'::text) AND (z.name <> ALL (ARRAY['Factory'::text, 'localtime'::text, 'posixrules'::text])));
END;

CREATE FUNCTION public.is_time_zone(value text) RETURNS boolean
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT (EXISTS ( SELECT
            FROM public.time_zones() z(name)
           WHERE (z.name = is_time_zone.value))) AS "exists";
END;

CREATE FUNCTION public.is_tracking_template(value text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((value ~ '^https://[^][\s/?#@:{}<>%\\]+(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?#]|$)'::text) AND (value ~ '\{(code|postalCode|country|language|orderNumber)\}'::text) AND (value !~ '[$%]\{'::text) AND (regexp_replace(value, '\{(code|postalCode|country|language|orderNumber)\}'::text, '~'::text, 'g'::text) !~* '[\s\\{}<>"`|^\u0001-\u001f\u007f-\u009f\u2028\u2029]|%(?![0-9a-f]{2})|%s|%[0-9]+\$|%[du](?![0-9a-f])|%%?(?![0-9a-f]{2})[a-z_]\w*%|%(barcode|date|delivery|destination)\w*%|(?<=[/=])(:[a-z_]|\$[a-z_]|\[[^][]*\]|__[a-z]\w*__)|##'::text));

CREATE FUNCTION public.keep_currency() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF EXISTS (SELECT FROM orders o WHERE o.channel_id = NEW.id) THEN
    RAISE EXCEPTION 'the channel has orders'
      USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'channels', COLUMN = 'currency';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.keep_goods() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'a line that has been shipped stays the goods that it is'
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'order_items', COLUMN = TG_ARGV[0];
END $$;

CREATE FUNCTION public.last_end(day date) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((((day + 1))::timestamp without time zone AT TIME ZONE 'UTC'::text) + '12:00:00'::interval);

CREATE FUNCTION public.log_end() RETURNS bigint
    LANGUAGE sql
    AS $$
  SELECT next.byte - CASE
    WHEN next.byte % pg_size_bytes(current_setting('wal_segment_size')) = 40 THEN 40
    WHEN next.byte % current_setting('wal_block_size')::bigint = 24 THEN 24
    ELSE 0
  END
  FROM (SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS byte) next
$$;

CREATE FUNCTION public.look_for_news_of_carrier() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1470275862);
  PERFORM read_waiting_reports(array_agg(k.id), array_agg(k.code))
  FROM (
    SELECT w.id, code_of_page(w.code, c.track_and_trace_url) AS code
    FROM carriers c
    JOIN waiting_reports w ON page_host(w.code) = page_host(c.track_and_trace_url) AND may_mean_carrier(w, c)
    WHERE c.id = NEW.id
  ) k
  WHERE k.code IS NOT NULL;
  PERFORM take_waiting_reports(t)
  FROM carriers c
  JOIN waiting_reports w ON is_carrier_called(c, w.carrier) AND w.carrier_id IS DISTINCT FROM c.id
  JOIN track_and_traces t ON normalized_code(t.code) = normalized_code(w.code) AND t.carrier_id = c.id
  WHERE c.id = NEW.id
  ORDER BY t.shipment_id, t.channel_id, t.id;
  RETURN NULL;
END $$;

CREATE FUNCTION public.look_for_reported_code() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1470275862);
  IF page_host(NEW.code) IS NOT NULL THEN
    PERFORM read_waiting_reports(ARRAY[k.id], ARRAY[k.code])
    FROM (
      SELECT w.id, code_of_page(w.code, c.track_and_trace_url) AS code
      FROM waiting_reports w
      JOIN carriers c ON page_host(c.track_and_trace_url) = page_host(w.code) AND may_mean_carrier(w, c)
      WHERE w.id = NEW.id
      ORDER BY c.id
    ) k
    WHERE k.code IS NOT NULL
    LIMIT 1;
  END IF;
  PERFORM take_waiting_reports(t)
  FROM waiting_reports w
  JOIN track_and_traces t ON normalized_code(t.code) = normalized_code(w.code)
  WHERE w.id = NEW.id
  ORDER BY t.carrier_id IS NOT DISTINCT FROM w.carrier_id DESC, t.created_at DESC, t.id;
  RETURN NULL;
END $$;

CREATE FUNCTION public.look_for_waiting_reports() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1470275862);
  IF EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(NEW.code)) THEN
    PERFORM take_waiting_reports(t)
    FROM track_and_traces t
    WHERE t.id = NEW.id AND t.channel_id = NEW.channel_id
      AND EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(t.code));
  END IF;
  RETURN NULL;
END $$;

CREATE TABLE public.waiting_reports (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    code text NOT NULL,
    carrier_id integer,
    channel_ids integer[],
    company_ids integer[],
    external_id text,
    status text NOT NULL,
    sub_status text,
    occurred_at timestamp with time zone,
    occurred_local timestamp without time zone,
    expected_delivery_at timestamp with time zone,
    expected_local timestamp without time zone,
    location text,
    description text,
    told_by text DEFAULT COALESCE(NULLIF(current_setting('waybill.actor'::text, true), ''::text), 'system'::text) NOT NULL,
    told_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    carrier text,
    CONSTRAINT waiting_reports_code_length CHECK (((length(code) >= 1) AND (length(code) <= 255))),
    CONSTRAINT waiting_reports_description_length CHECK ((length(description) <= 1000)),
    CONSTRAINT waiting_reports_external_id_length CHECK (((length(external_id) >= 1) AND (length(external_id) <= 255))),
    CONSTRAINT waiting_reports_location_length CHECK ((length(location) <= 255)),
    CONSTRAINT waiting_reports_moment CHECK ((num_nonnulls(occurred_at, occurred_local) = 1)),
    CONSTRAINT waiting_reports_status_known CHECK ((status = ANY (ARRAY['CREATED'::text, 'PROCESSING'::text, 'IN_TRANSIT'::text, 'OUT_FOR_DELIVERY'::text, 'FAILED_DELIVERY'::text, 'EXCEPTION'::text, 'PARTIALLY_DELIVERED'::text, 'CANCELED'::text, 'DELIVERED'::text]))),
    CONSTRAINT waiting_reports_sub_status_known CHECK (public.is_shipment_sub_status(sub_status))
);

COMMENT ON TABLE public.waiting_reports IS 'what was told of codes that nobody had recorded; it waits for them for 30 days';

COMMENT ON COLUMN public.waiting_reports.channel_ids IS 'whose codes the teller sees; null: those of all channels';

COMMENT ON COLUMN public.waiting_reports.company_ids IS 'of which companies, in these channels; null: of all';

COMMENT ON COLUMN public.waiting_reports.occurred_local IS 'the moment where none was told with an offset: read in the zone of the carrier or channel';

COMMENT ON COLUMN public.waiting_reports.expected_local IS 'the promise where none was told with an offset';

COMMENT ON COLUMN public.waiting_reports.carrier IS 'the name or key that the teller gave in place of an id: carriers of several channels may have it';

CREATE FUNCTION public.may_mean_carrier(w public.waiting_reports, c public.carriers) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN ((((w).carrier_id = (c).id) OR (((w).carrier_id IS NULL) AND ((w).carrier IS NULL)) OR public.is_carrier_called(c, (w).carrier)) AND (((w).channel_ids IS NULL) OR ((c).channel_id IS NULL) OR ((c).channel_id = ANY ((w).channel_ids))));

CREATE FUNCTION public.money_text(amount numeric, currency text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (round(amount, GREATEST(COALESCE(public.minor_units(currency), 2), min_scale(amount))))::text;

CREATE FUNCTION public.note_due(ids integer[], of_channel_ids integer[], wordy boolean[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
  writer CONSTANT text := pg_current_xact_id()::text;
  known CONSTANT text := current_setting('waybill.due', true);
  noted text := writer;
BEGIN
  IF ids IS NULL THEN
    RETURN;
  END IF;
  IF ids[1] = ALL (ids) AND of_channel_ids[1] = ALL (of_channel_ids) THEN
    noted := concat_ws(' ', writer, ids[1], of_channel_ids[1]);
    IF known = noted AND false = ALL (wordy) THEN
      RETURN;
    END IF;
  END IF;
  INSERT INTO orders_due (order_ids, channel_ids, words, is_first)
  VALUES (ids, of_channel_ids, wordy, split_part(known, ' ', 1) IS DISTINCT FROM writer);
  noted := set_config('waybill.due', noted, true);
END $$;

CREATE FUNCTION public.note_due_codes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM note_due(array_agg(k.order_id), array_agg(k.channel_id), array_agg(true))
  FROM (
    SELECT DISTINCT b.order_id, b.channel_id
    FROM new_rows n
    JOIN old_rows o ON o.id = n.id AND o.channel_id = n.channel_id
    CROSS JOIN LATERAL (VALUES (n.order_id, n.channel_id), (o.order_id, o.channel_id)) AS b (order_id, channel_id)
    WHERE (n.code, n.order_id) IS DISTINCT FROM (o.code, o.order_id)
  ) AS k;
  RETURN NULL;
END $$;

CREATE FUNCTION public.note_due_customers() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM note_due(array_agg(o.id), array_agg(o.channel_id), array_agg(true))
  FROM orders o WHERE o.customer_id = NEW.id AND o.channel_id = NEW.channel_id;
  RETURN NULL;
END $$;

CREATE FUNCTION public.note_due_new_codes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  writer text := pg_current_xact_id()::text;
  is_known CONSTANT boolean := split_part(current_setting('waybill.due', true), ' ', 1) IS NOT DISTINCT FROM writer;
BEGIN
  INSERT INTO orders_due (order_ids, channel_ids, words, codes, is_first)
  SELECT array_agg(n.order_id), array_agg(n.channel_id), array_agg(false), array_agg(n.code), NOT is_known
  FROM written n
  HAVING count(*) > 0;
  IF FOUND AND NOT is_known THEN
    writer := set_config('waybill.due', writer, true);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.note_due_new_shipments() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM note_due(array_agg(k.order_id), array_agg(k.channel_id), array_agg(k.words))
  FROM (
    SELECT n.order_id, n.channel_id, bool_or(n.external_id IS NOT NULL) AS words
    FROM written n
    GROUP BY n.order_id, n.channel_id
  ) AS k;
  RETURN NULL;
END $$;

CREATE FUNCTION public.note_due_orders() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM note_due(array_agg(n.id), array_agg(n.channel_id), array_agg(x.words))
  FROM new_rows n
  JOIN old_rows o ON o.id = n.id AND o.channel_id = n.channel_id
  CROSS JOIN LATERAL (SELECT
    (n.external_id, n.increment_id, n.reference, n.debtor_id, n.payment_accounting_id, n.extra3, n.extra4, n.email,
      n.first_name, n.last_name, n.remarks, n.customer_id, n.company_id)
    IS DISTINCT FROM (o.external_id, o.increment_id, o.reference, o.debtor_id, o.payment_accounting_id, o.extra3, o.extra4,
      o.email, o.first_name, o.last_name, o.remarks, o.customer_id, o.company_id) AS words) AS x
  WHERE x.words OR (n.status, n.created_at, n.postage_request_date)
    IS DISTINCT FROM (o.status, o.created_at, o.postage_request_date);
  RETURN NULL;
END $$;

CREATE FUNCTION public.note_due_rows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  -- The key of the order is its own id on `orders`, and `order_id` on what hangs on it.
  IF TG_TABLE_NAME = 'orders' THEN
    PERFORM note_due(array_agg(n.id), array_agg(n.channel_id), array_agg(true)) FROM written n;
  ELSE
    PERFORM note_due(array_agg(k.order_id), array_agg(k.channel_id), array_agg(true))
    FROM (SELECT DISTINCT n.order_id, n.channel_id FROM written n) AS k;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.note_due_shipments() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM note_due(array_agg(k.order_id), array_agg(k.channel_id), array_agg(k.words))
  FROM (
    SELECT n.order_id, n.channel_id, bool_or(n.external_id IS DISTINCT FROM o.external_id) AS words
    FROM new_rows n
    JOIN old_rows o ON o.id = n.id AND o.channel_id = n.channel_id
    WHERE (n.status, n.external_id) IS DISTINCT FROM (o.status, o.external_id)
    GROUP BY n.order_id, n.channel_id
  ) AS k;
  RETURN NULL;
END $$;

CREATE FUNCTION public.note_due_statuses() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM note_due(array_agg(o.id), array_agg(o.channel_id), array_agg(false)) FROM orders o WHERE o.status = NEW.code;
  RETURN NULL;
END $$;

CREATE FUNCTION public.note_setting_of_status() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF current_setting('waybill.skipped_steps', true) = 'codes' THEN
    -- `forget_code` gives back what was set, and when.
    IF current_setting('waybill.code_gone', true) IS DISTINCT FROM 'yes' THEN
      IF OLD.status_set_at IS NOT NULL THEN
        NEW.status_before_codes := OLD.status;
        NEW.status_before_codes_set_at := OLD.status_set_at;
      END IF;
      NEW.status_set_at := NULL;
    END IF;
    RETURN NEW;
  END IF;
  NEW.status_before_codes := NULL;
  NEW.status_before_codes_set_at := NULL;
  IF NEW.status_set_at IS NOT DISTINCT FROM OLD.status_set_at THEN
    NEW.status_set_at := clock_timestamp();
  END IF;
  -- What was told of the former status says nothing of this one.
  IF NEW.sub_status = OLD.sub_status AND current_setting('waybill.sub_status', true) IS DISTINCT FROM 'given' THEN
    NEW.sub_status := NULL;
  END IF;
  IF current_setting('waybill.sub_status', true) IS DISTINCT FROM 'given' THEN
    NEW.sub_status_set_at := NULL;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.note_source_name() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  NEW.source_name := OLD.name;
  RETURN NEW;
END $$;

CREATE FUNCTION public.note_status() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  NEW.status_changed_at := statement_timestamp();
  RETURN NEW;
END $$;

CREATE FUNCTION public.note_what_source_said() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF OLD.source_status IS NULL AND OLD.status_changed_at IS NULL THEN
    NEW.source_status := OLD.status;
  END IF;
  NEW.source_payment_status := coalesce(OLD.source_payment_status, OLD.payment_status, '');
  RETURN NEW;
END $$;

CREATE FUNCTION public.words_of(value text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array_remove(string_to_array(regexp_replace(public.folded(value), '[\u0001-\u002f\u003a-\u0060\u007b-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u2000-\u206f\u20a0-\u20cf\u2100-\u214f\u2190-\u2bff\u3000-\u303f\ufe30-\ufe6f\ufeff]+'::text, ' '::text, 'g'::text), ' '::text), ''::text);

CREATE FUNCTION public.number_of(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN "left"(array_to_string(public.words_of(value), ''::text), 64);

CREATE FUNCTION public.number_use_of_code() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
  others record;
BEGIN
  SELECT count(*) > 0 AS are_there, coalesce(max(t.use_number) + 1, 0) AS next_number INTO others
  FROM track_and_traces t
  WHERE normalized_code(t.code) = normalized_code(NEW.code) AND +t.carrier_id = NEW.carrier_id
    AND +t.channel_id = NEW.channel_id AND t.id <> NEW.id;
  IF others.are_there AND NOT coalesce(is_code_free(NEW), false)
      AND is_code_taken(NEW.code, NEW.carrier_id, NEW.channel_id, NEW.order_id, NEW.shipment_id, NEW.id) THEN
    RAISE EXCEPTION 'the code is in use with this carrier'
      USING ERRCODE = 'unique_violation', CONSTRAINT = 'track_and_traces_code_unique', TABLE = 'track_and_traces';
  END IF;
  IF TG_OP = 'INSERT' OR OLD.carrier_id IS DISTINCT FROM NEW.carrier_id
      OR normalized_code(OLD.code) <> normalized_code(NEW.code) THEN
    NEW.use_number := others.next_number;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.numbers_of(texts text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT ARRAY( SELECT public.number_of(x.value) AS number_of
            FROM unnest(numbers_of.texts) x(value)) AS "array";
END;

CREATE FUNCTION public.order_progress(of_order_id integer, of_channel_id integer) RETURNS TABLE(lines bigint, canceled bigint, ordered bigint, shipped bigint, delivered bigint)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT count(*) AS count,
     COALESCE(sum(l.quantity_canceled) FILTER (WHERE g.counts), (0)::bigint) AS "coalesce",
     COALESCE(sum(g.open) FILTER (WHERE g.counts), (0)::bigint) AS "coalesce",
     (COALESCE(sum(LEAST((g.open)::bigint, l.quantity_shipped)) FILTER (WHERE g.counts), (0)::numeric))::bigint AS "coalesce",
     (COALESCE(sum(LEAST((g.open)::bigint, l.quantity_delivered)) FILTER (WHERE g.counts), (0)::numeric))::bigint AS "coalesce"
    FROM (public.order_items l
      CROSS JOIN LATERAL ( SELECT public.open_quantity(l.quantity, l.quantity_canceled) AS open,
             (public.is_shippable_class(l.class) AND (NOT (EXISTS ( SELECT
                    FROM public.order_items p
                   WHERE ((p.parent_order_item_id = l.id) AND (p.order_id = l.order_id) AND (p.channel_id = l.channel_id) AND (p.class = 'product'::text) AND (p.quantity > 0)))))) AS counts) g)
   WHERE ((l.order_id = order_progress.of_order_id) AND (l.channel_id = order_progress.of_channel_id));
END;

CREATE FUNCTION public.owner_word(kind text, id integer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN concat(':', kind, ':', id);

CREATE FUNCTION public.owned_by(kind text, ids integer[]) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT (string_agg(concat('''', public.owner_word(owned_by.kind, x.id), ''''), ' | '::text))::tsquery AS string_agg
    FROM unnest(owned_by.ids) x(id);
END;

CREATE FUNCTION public.page_host(address text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(lower("substring"(address, '(?i)^[\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff\u0001-\u001f\u007f-\u009f\u2028\u2029]*https?://([^/?#]*)'::text)), '^www\.'::text, ''::text);

CREATE FUNCTION public.percent_decoded(value text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
  RETURN convert_from((
    SELECT string_agg(
      CASE WHEN p.piece[1] ~ '^%[0-9A-Fa-f]{2}' THEN decode(replace(p.piece[1], '%', ''), 'hex')
        ELSE convert_to(p.piece[1], 'UTF8') END, '' ORDER BY p.place)
    FROM regexp_matches(value, '(?:%[0-9A-Fa-f]{2})+|[^%]+|%', 'g') WITH ORDINALITY AS p (piece, place)), 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
  RETURN NULL;
END $$;

CREATE FUNCTION public.page_parameters(query text, OUT place bigint, OUT name text, OUT value text) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT k.place,
     public.percent_decoded(k.name) AS percent_decoded,
     public.percent_decoded(k.value) AS percent_decoded
    FROM ( SELECT p.place,
             split_part(p.pair, '='::text, 1) AS name,
             substr(p.pair, (strpos(p.pair, '='::text) + 1)) AS value
            FROM regexp_split_to_table(replace(page_parameters.query, '+'::text, ' '::text), '&'::text) WITH ORDINALITY p(pair, place)
           WHERE (strpos(p.pair, '='::text) > 0)) k
   WHERE (k.value <> ''::text);
END;

CREATE FUNCTION public.page_pattern(template text, ends text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $_$
DECLARE
  piece record;
  is_first boolean := true;
  pattern text := '^';
BEGIN
  FOR piece IN
    SELECT p.part[1] AS places, regexp_replace(p.part[2], '([][\\^$.|?*+(){}/-])', '\\\1', 'g') AS words,
      regexp_replace(left(lead(p.part[2]) OVER (ORDER BY p.place), 1), '([][\\^-])', '\\\1') AS following
    FROM regexp_matches(rtrim(template, '/'),
      '((?:\{code\}|\{postalCode\}|\{country\}|\{language\}|\{orderNumber\})+)'
      '|((?:(?!\{(?:code|postalCode|country|language|orderNumber)\}).)+)', 'g') WITH ORDINALITY AS p (part, place)
    ORDER BY p.place
  LOOP
    IF piece.places IS NULL THEN
      pattern := pattern || piece.words;
    ELSIF is_first AND strpos(piece.places, '{code}') > 0 THEN
      pattern := pattern || '([^' || ends || ']+)';
      is_first := false;
    ELSE
      pattern := pattern || '[^' || ends || coalesce(piece.following, '') || ']*';
    END IF;
  END LOOP;
  RETURN pattern || '/?$';
END $_$;

CREATE FUNCTION public.pass_company_on() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  UPDATE shipments s SET company_id = NEW.company_id WHERE s.order_id = NEW.id AND s.channel_id = NEW.channel_id;
  UPDATE shipment_items x SET company_id = NEW.company_id WHERE x.order_id = NEW.id AND x.channel_id = NEW.channel_id;
  UPDATE track_and_traces t SET company_id = NEW.company_id WHERE t.order_id = NEW.id AND t.channel_id = NEW.channel_id;
  RETURN NULL;
END
$$;

CREATE FUNCTION public.phone_of(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN "right"(ltrim(regexp_replace(NORMALIZE(value, NFKC), '[^0-9]'::text, ''::text, 'g'::text), '0'::text), 9);

CREATE FUNCTION public.phones_of(texts text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT ARRAY( SELECT public.phone_of(x.value) AS phone_of
            FROM unnest(phones_of.texts) x(value)) AS "array";
END;

CREATE FUNCTION public.progress_of_code(code_id uuid, code_channel_id integer, ways text[]) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
  reached text;
  told text;
BEGIN
  FOR told IN
    SELECT e.status FROM tracking_events e
    WHERE e.track_and_trace_id = code_id AND e.channel_id = code_channel_id
    ORDER BY e.occurred_at, e.status_rank, e.id
  LOOP
    IF reached IS NULL OR reached || ' ' || told = ANY (ways) THEN
      reached := told;
    END IF;
  END LOOP;
  RETURN reached;
END $$;

CREATE FUNCTION public.progress_of_line(l public.order_items, OUT shipped bigint, OUT delivered bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
BEGIN
  SELECT greatest(own.shipped, parts.shipped), greatest(own.delivered, parts.delivered)
  INTO shipped, delivered
  FROM (
    SELECT coalesce(sum(i.quantity) FILTER (WHERE s.status IS DISTINCT FROM 'CANCELED'), 0) AS shipped,
      coalesce(sum(i.quantity) FILTER (WHERE s.status = 'DELIVERED'), 0) AS delivered
    FROM shipment_items i
    JOIN shipments s ON s.id = i.shipment_id AND s.channel_id = i.channel_id
    WHERE i.order_item_id = l.id AND i.channel_id = l.channel_id
  ) own
  CROSS JOIN (
    SELECT min(open_quantity(l.quantity, l.quantity_canceled) * least(p.quantity_shipped, o.open) / o.open) AS shipped,
      min(open_quantity(l.quantity, l.quantity_canceled) * least(p.quantity_delivered, o.open) / o.open) AS delivered
    FROM order_items p
    CROSS JOIN LATERAL (SELECT open_quantity(p.quantity, p.quantity_canceled)::bigint AS open) o
    WHERE p.parent_order_item_id = l.id AND p.order_id = l.order_id AND p.channel_id = l.channel_id
      AND p.class = 'product' AND o.open > 0
  ) parts;
END $$;

CREATE FUNCTION public.promise_end(moment timestamp with time zone, zone text) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN public.is_day(moment) THEN (((moment AT TIME ZONE 'UTC'::text) + '1 day'::interval) AT TIME ZONE zone) ELSE moment END;

CREATE FUNCTION public.told_at(told timestamp without time zone, by_carrier_id integer, in_channel_id integer) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    RETURN (told AT TIME ZONE COALESCE((SELECT c.time_zone FROM public.carriers c WHERE (c.id = told_at.by_carrier_id)), public.channel_time_zone(in_channel_id), 'UTC'::text));

CREATE FUNCTION public.promised_at(told timestamp without time zone, by_carrier_id integer, in_channel_id integer) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    RETURN CASE WHEN (told = date_trunc('day'::text, told)) THEN (told AT TIME ZONE 'UTC'::text) ELSE public.told_at(told, by_carrier_id, in_channel_id) END;

CREATE FUNCTION public.prune_feed(before timestamp with time zone, most integer) RETURNS integer
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
  begun record;
  due bigint[];
  up_to bigint;
  gone int;
  gone_with_them int;
BEGIN
  IF NOT pg_try_advisory_xact_lock(1470275863) THEN
    RETURN 0;
  END IF;
  SELECT * INTO begun FROM feed_beginnings b ORDER BY b.position DESC LIMIT 1;
  SELECT array_agg(o.id), max(o.position) INTO due, up_to
  FROM (
    SELECT x.id, x.position, bool_and(x.occurred_at < before) OVER (ORDER BY x.position) AS is_due
    FROM (
      SELECT x.id, x.position, x.occurred_at
      FROM transactions x
      WHERE x.position > coalesce(begun.done, 0) AND x.position < (SELECT max(e.position) FROM feed_ends e)
      ORDER BY x.position
      LIMIT most
    ) x
  ) o
  WHERE o.is_due;
  IF due IS NULL THEN
    RETURN 0;
  END IF;
  DELETE FROM changes c
  WHERE c.ctid = ANY (ARRAY(
    SELECT k.ctid
    FROM unnest(due) WITH ORDINALITY AS d (id, place)
    CROSS JOIN LATERAL (SELECT h.ctid FROM changes h WHERE h.transaction_id = d.id LIMIT most) k
    LIMIT most));
  GET DIAGNOSTICS gone = ROW_COUNT;
  DELETE FROM transactions x
  WHERE x.id = ANY (due) AND NOT EXISTS (SELECT FROM changes c WHERE c.transaction_id = x.id);
  GET DIAGNOSTICS gone_with_them = ROW_COUNT;
  INSERT INTO feed_beginnings AS b (position, done)
  VALUES (
    greatest(begun.position, up_to), coalesce((SELECT min(x.position) - 1 FROM transactions x WHERE x.id = ANY (due)), up_to))
  ON CONFLICT (position) DO UPDATE SET done = EXCLUDED.done;
  DELETE FROM feed_beginnings b WHERE b.position = begun.position AND b.position < up_to;
  RETURN gone + gone_with_them;
END $$;

CREATE FUNCTION public.raise_line_version() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  NEW.version := OLD.version + 1;
  RETURN NEW;
END $$;

CREATE FUNCTION public.raise_version() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  NEW.version := OLD.version + 1;
  IF NEW.last_modified_at = OLD.last_modified_at THEN
    NEW.last_modified_at := statement_timestamp();
  END IF;
  NEW.last_modified_at := greatest(NEW.last_modified_at, OLD.last_modified_at);
  RETURN NEW;
END $$;

CREATE FUNCTION public.read_waiting_reports(ids uuid[], codes text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  WITH read AS (
    SELECT r.id, r.code, row_number() OVER (
        PARTITION BY w.told_by, normalized_code(r.code), w.carrier_id, coalesce(w.external_id, r.id::text)
        ORDER BY w.told_at, w.id) > 1
      OR EXISTS (
        SELECT FROM waiting_reports o
        WHERE normalized_code(o.code) = normalized_code(r.code) AND o.id <> r.id AND o.told_by = w.told_by
          AND o.carrier_id IS NOT DISTINCT FROM w.carrier_id AND o.external_id = w.external_id) AS is_known
    FROM unnest(ids, codes) AS r (id, code)
    JOIN waiting_reports w ON w.id = r.id
  ), gone AS (
    DELETE FROM waiting_reports w USING read r WHERE w.id = r.id AND r.is_known
  )
  UPDATE waiting_reports w SET code = r.code FROM read r WHERE w.id = r.id AND NOT r.is_known;
END $$;

CREATE FUNCTION public.record_carriers() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, version, new)
    SELECT writing_transaction(), 'CARRIER', 'CREATED', n.entity_id, n.channel_id, n.version,
      jsonb_strip_nulls(n.fields)
    FROM new_rows r, recorded(ROW(r.*)::carriers) n;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, version, old, new)
    SELECT writing_transaction(), 'CARRIER', 'UPDATED', n.entity_id, n.channel_id, n.version,
      coalesce(d.old, '{}'), coalesce(d.new, '{}')
    FROM old_rows b, recorded(ROW(b.*)::carriers) o, new_rows a, recorded(ROW(a.*)::carriers) n
    CROSS JOIN LATERAL (
      SELECT jsonb_object_agg(f.key, f.value) AS old, jsonb_object_agg(f.key, n.fields -> f.key) AS new
      FROM jsonb_each(o.fields) f
      WHERE f.value <> n.fields -> f.key
    ) d
    WHERE a.id = b.id AND a.version <> b.version;
  ELSE
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, version, old)
    SELECT writing_transaction(), 'CARRIER', 'DELETED', o.entity_id, o.channel_id, o.version,
      jsonb_strip_nulls(o.fields)
    FROM old_rows r, recorded(ROW(r.*)::carriers) o;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.record_orders() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, new)
    SELECT writing_transaction(), 'ORDER', 'CREATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      jsonb_strip_nulls(n.fields)
    FROM new_rows r, recorded(ROW(r.*)::orders) n;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old, new)
    SELECT writing_transaction(), 'ORDER', 'UPDATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      coalesce(d.old, '{}'), coalesce(d.new, '{}')
    FROM old_rows b, recorded(ROW(b.*)::orders) o, new_rows a, recorded(ROW(a.*)::orders) n
    CROSS JOIN LATERAL (
      SELECT jsonb_object_agg(f.key, f.value) AS old, jsonb_object_agg(f.key, n.fields -> f.key) AS new
      FROM jsonb_each(o.fields) f
      WHERE f.value <> n.fields -> f.key
    ) d
    WHERE a.id = b.id AND o.channel_id IS NOT DISTINCT FROM n.channel_id AND a.version <> b.version;
  ELSE
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old)
    SELECT writing_transaction(), 'ORDER', 'DELETED', o.entity_id, o.channel_id, o.order_id, o.shipment_id, o.version,
      jsonb_strip_nulls(o.fields)
    FROM old_rows r, recorded(ROW(r.*)::orders) o;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.record_shipment_items() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, new)
    SELECT writing_transaction(), 'SHIPMENT_ITEM', 'CREATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      jsonb_strip_nulls(n.fields)
    FROM new_rows r, recorded(ROW(r.*)::shipment_items) n;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old, new)
    SELECT writing_transaction(), 'SHIPMENT_ITEM', 'UPDATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      coalesce(d.old, '{}'), coalesce(d.new, '{}')
    FROM old_rows b, recorded(ROW(b.*)::shipment_items) o, new_rows a, recorded(ROW(a.*)::shipment_items) n
    CROSS JOIN LATERAL (
      SELECT jsonb_object_agg(f.key, f.value) AS old, jsonb_object_agg(f.key, n.fields -> f.key) AS new
      FROM jsonb_each(o.fields) f
      WHERE f.value <> n.fields -> f.key
    ) d
    WHERE a.id = b.id AND o.channel_id IS NOT DISTINCT FROM n.channel_id AND a.version <> b.version;
  ELSE
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old)
    SELECT writing_transaction(), 'SHIPMENT_ITEM', 'DELETED', o.entity_id, o.channel_id, o.order_id, o.shipment_id, o.version,
      jsonb_strip_nulls(o.fields)
    FROM old_rows r, recorded(ROW(r.*)::shipment_items) o;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.record_shipments() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, new)
    SELECT writing_transaction(), 'SHIPMENT', 'CREATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      jsonb_strip_nulls(n.fields)
    FROM new_rows r, recorded(ROW(r.*)::shipments) n;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old, new)
    SELECT writing_transaction(), 'SHIPMENT', 'UPDATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      coalesce(d.old, '{}'), coalesce(d.new, '{}')
    FROM old_rows b, recorded(ROW(b.*)::shipments) o, new_rows a, recorded(ROW(a.*)::shipments) n
    CROSS JOIN LATERAL (
      SELECT jsonb_object_agg(f.key, f.value) AS old, jsonb_object_agg(f.key, n.fields -> f.key) AS new
      FROM jsonb_each(o.fields) f
      WHERE f.value <> n.fields -> f.key
    ) d
    WHERE a.id = b.id AND o.channel_id IS NOT DISTINCT FROM n.channel_id AND a.version <> b.version;
  ELSE
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old)
    SELECT writing_transaction(), 'SHIPMENT', 'DELETED', o.entity_id, o.channel_id, o.order_id, o.shipment_id, o.version,
      jsonb_strip_nulls(o.fields)
    FROM old_rows r, recorded(ROW(r.*)::shipments) o;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.record_track_and_traces() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, new)
    SELECT writing_transaction(), 'TRACK_AND_TRACE', 'CREATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      jsonb_strip_nulls(n.fields)
    FROM new_rows r, recorded(ROW(r.*)::track_and_traces) n;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old, new)
    SELECT writing_transaction(), 'TRACK_AND_TRACE', 'UPDATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      coalesce(d.old, '{}'), coalesce(d.new, '{}')
    FROM old_rows b, recorded(ROW(b.*)::track_and_traces) o, new_rows a, recorded(ROW(a.*)::track_and_traces) n
    CROSS JOIN LATERAL (
      SELECT jsonb_object_agg(f.key, f.value) AS old, jsonb_object_agg(f.key, n.fields -> f.key) AS new
      FROM jsonb_each(o.fields) f
      WHERE f.value <> n.fields -> f.key
    ) d
    WHERE a.id = b.id AND o.channel_id IS NOT DISTINCT FROM n.channel_id AND a.version <> b.version;
  ELSE
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old)
    SELECT writing_transaction(), 'TRACK_AND_TRACE', 'DELETED', o.entity_id, o.channel_id, o.order_id, o.shipment_id, o.version,
      jsonb_strip_nulls(o.fields)
    FROM old_rows r, recorded(ROW(r.*)::track_and_traces) o;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.record_tracking_events() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, new)
  SELECT writing_transaction(), 'TRACKING_EVENT', 'CREATED', n.id::text, n.channel_id, t.order_id, t.shipment_id, 1,
    jsonb_strip_nulls(jsonb_build_object(
      'trackAndTraceId', n.track_and_trace_id, 'externalId', n.external_id, 'status', n.status, 'subStatus', n.sub_status,
      'occurredAt', api_moment(n.occurred_at), 'expectedDeliveryAt', api_moment(n.expected_delivery_at)))
  FROM new_rows n
  JOIN track_and_traces t ON t.id = n.track_and_trace_id AND t.channel_id = n.channel_id;
  RETURN NULL;
END $$;

CREATE FUNCTION public.recorded(r public.carriers) RETURNS TABLE(entity_id text, channel_id integer, order_id integer, shipment_id uuid, version integer, fields jsonb)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT ((r).id)::text AS id,
     (r).channel_id AS channel_id,
     NULL::integer AS int4,
     NULL::uuid AS uuid,
     (r).version AS version,
     jsonb_build_object('channelId', (r).channel_id, 'key', (r).key, 'name', (r).name, 'type', (r).type, 'trackAndTraceURL', (r).track_and_trace_url, 'logo', (r).logo) AS jsonb_build_object;
END;

CREATE FUNCTION public.recorded(r public.order_items) RETURNS TABLE(entity_id text, channel_id integer, order_id integer, shipment_id uuid, version integer, fields jsonb)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT ((r).id)::text AS id,
     (r).channel_id AS channel_id,
     (r).order_id AS order_id,
     NULL::uuid AS uuid,
     (r).version AS version,
     jsonb_build_object('lineId', (r).line_id, 'quantity', (r).quantity, 'quantityCanceled', (r).quantity_canceled, 'class', (r).class, 'parentOrderItemId', (r).parent_order_item_id) AS jsonb_build_object;
END;

CREATE FUNCTION public.recorded(r public.orders) RETURNS TABLE(entity_id text, channel_id integer, order_id integer, shipment_id uuid, version integer, fields jsonb)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT ((r).id)::text AS id,
     (r).channel_id AS channel_id,
     (r).id AS id,
     NULL::uuid AS uuid,
     (r).version AS version,
     jsonb_build_object('status', (r).status, 'type', (r).type, 'externalId', (r).external_id, 'companyId', (r).company_id, 'contactId', (r).contact_id, 'customerId', (r).customer_id, 'currency', (r).currency, 'totalGross', (r).total_gross, 'totalNet', (r).total_net, 'totalTax', (r).total_tax, 'refundedTotal', (r).refunded_total, 'paymentStatus', (r).payment_status) AS jsonb_build_object;
END;

CREATE FUNCTION public.recorded(r public.shipment_items) RETURNS TABLE(entity_id text, channel_id integer, order_id integer, shipment_id uuid, version integer, fields jsonb)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT ((r).id)::text AS id,
     (r).channel_id AS channel_id,
     (r).order_id AS order_id,
     (r).shipment_id AS shipment_id,
     (r).version AS version,
     jsonb_build_object('shipmentId', (r).shipment_id, 'orderItemId', (r).order_item_id, 'name', (r).name, 'sku', (r).sku, 'quantity', (r).quantity, 'externalId', (r).external_id) AS jsonb_build_object;
END;

CREATE FUNCTION public.recorded(r public.shipments) RETURNS TABLE(entity_id text, channel_id integer, order_id integer, shipment_id uuid, version integer, fields jsonb)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT ((r).id)::text AS id,
     (r).channel_id AS channel_id,
     (r).order_id AS order_id,
     (r).id AS id,
     (r).version AS version,
     jsonb_build_object('status', (r).status, 'subStatus', (r).sub_status, 'expectedDeliveryAt', public.api_moment((r).expected_delivery_at), 'externalId', (r).external_id) AS jsonb_build_object;
END;

CREATE FUNCTION public.recorded(r public.track_and_traces) RETURNS TABLE(entity_id text, channel_id integer, order_id integer, shipment_id uuid, version integer, fields jsonb)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT ((r).id)::text AS id,
     (r).channel_id AS channel_id,
     (r).order_id AS order_id,
     (r).shipment_id AS shipment_id,
     (r).version AS version,
     jsonb_build_object('shipmentId', (r).shipment_id, 'carrierId', (r).carrier_id, 'code', (r).code, 'externalId', (r).external_id, 'expectedDeliveryAt', public.api_moment((r).expected_delivery_at), 'status', (r).status, 'subStatus', (r).sub_status) AS jsonb_build_object;
END;

CREATE FUNCTION public.refresh_due_orders() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  ids int[];
  channel_ids int[];
  wordy boolean[];
  coded record;
  noted jsonb;
  present bigint;
  held bigint;
BEGIN
  IF set_config('waybill.due', '', true) <> '' THEN
    RETURN NULL;
  END IF;
  WITH taken AS (
    DELETE FROM orders_due d WHERE d.writer = pg_current_xact_id()
    RETURNING d.order_ids, d.channel_ids, d.words, coalesce(d.codes, '{}') AS codes
  ), due AS (
    SELECT n.order_id, n.channel_id, bool_or(n.words) AS words, jsonb_agg(n.code) FILTER (WHERE n.code IS NOT NULL) AS codes
    FROM taken t
    CROSS JOIN LATERAL unnest(t.order_ids, t.channel_ids, t.words, t.codes) AS n (order_id, channel_id, words, code)
    GROUP BY n.order_id, n.channel_id
  )
  SELECT array_agg(d.order_id ORDER BY d.order_id, d.channel_id),
    array_agg(d.channel_id ORDER BY d.order_id, d.channel_id), array_agg(d.words ORDER BY d.order_id, d.channel_id),
    jsonb_agg(d.codes ORDER BY d.order_id, d.channel_id), count(o.id)
  INTO ids, channel_ids, wordy, noted, present
  FROM due d
  LEFT JOIN orders o ON o.id = d.order_id AND o.channel_id = d.channel_id;
  IF ids IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM FROM order_fulfillments f
  WHERE (f.order_id, f.channel_id) IN (SELECT * FROM unnest(ids, channel_ids))
  ORDER BY f.order_id, f.channel_id FOR UPDATE;
  GET DIAGNOSTICS held = ROW_COUNT;
  IF held = cardinality(ids) THEN
    UPDATE order_fulfillments f
    SET status = g.status, created_at = g.created_at, wanted_at = g.wanted_at
    FROM unnest(ids, channel_ids) AS d (order_id, channel_id)
    JOIN orders o ON o.id = d.order_id AND o.channel_id = d.channel_id
    CROSS JOIN LATERAL fulfillment_of_order(o.id, o.channel_id) AS g
    WHERE f.order_id = d.order_id AND f.channel_id = d.channel_id
      AND (f.status, f.created_at, f.wanted_at) IS DISTINCT FROM (g.status, g.created_at, g.wanted_at);
  ELSE
    INSERT INTO order_fulfillments AS f (order_id, channel_id, status, created_at, wanted_at)
    SELECT o.id, o.channel_id, g.status, g.created_at, g.wanted_at
    FROM unnest(ids, channel_ids) AS d (order_id, channel_id)
    JOIN orders o ON o.id = d.order_id AND o.channel_id = d.channel_id
    CROSS JOIN LATERAL fulfillment_of_order(o.id, o.channel_id) AS g
    ORDER BY o.id, o.channel_id
    ON CONFLICT (order_id, channel_id) DO UPDATE
      SET status = EXCLUDED.status, created_at = EXCLUDED.created_at, wanted_at = EXCLUDED.wanted_at
    WHERE (f.status, f.created_at, f.wanted_at) IS DISTINCT FROM (EXCLUDED.status, EXCLUDED.created_at, EXCLUDED.wanted_at);
  END IF;
  -- A tsvector has no more than a megabyte, for which an order is gathered whole.
  FOR coded IN
    SELECT d.order_id, d.channel_id, d.place, ARRAY(SELECT jsonb_array_elements_text(k.codes)) AS codes
    FROM unnest(ids, channel_ids, wordy) WITH ORDINALITY AS d (order_id, channel_id, words, place)
    CROSS JOIN LATERAL (SELECT noted -> (d.place::int - 1) AS codes) AS k
    WHERE NOT d.words AND jsonb_typeof(k.codes) = 'array'
    ORDER BY d.place
  LOOP
    UPDATE order_words w SET words = w.words || words_of_codes(coded.codes)
    WHERE w.order_id = coded.order_id AND w.channel_id = coded.channel_id AND length(w.words) < 2000;
    IF NOT FOUND THEN
      wordy[coded.place] := true;
    END IF;
  END LOOP;
  IF true = ANY (wordy) THEN
    PERFORM FROM order_words w
    WHERE (w.order_id, w.channel_id) IN (SELECT * FROM unnest(ids, channel_ids))
    ORDER BY w.order_id, w.channel_id FOR UPDATE;
    INSERT INTO order_words AS w (order_id, channel_id, words)
    SELECT o.id, o.channel_id, words_of_order(o.id, o.channel_id)
    FROM unnest(ids, channel_ids, wordy) AS d (order_id, channel_id, words)
    JOIN orders o ON o.id = d.order_id AND o.channel_id = d.channel_id
    WHERE d.words
    ORDER BY o.id, o.channel_id
    ON CONFLICT (order_id, channel_id) DO UPDATE SET words = EXCLUDED.words WHERE w.words <> EXCLUDED.words;
  END IF;
  IF present < cardinality(ids) THEN
    DELETE FROM order_fulfillments f
    WHERE (f.order_id, f.channel_id) IN (SELECT * FROM unnest(ids, channel_ids))
      AND NOT EXISTS (SELECT FROM orders o WHERE o.id = f.order_id AND o.channel_id = f.channel_id);
    DELETE FROM order_words w
    WHERE (w.order_id, w.channel_id) IN (SELECT * FROM unnest(ids, channel_ids))
      AND NOT EXISTS (SELECT FROM orders o WHERE o.id = w.order_id AND o.channel_id = w.channel_id);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.refuse_bundle() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION public.refuse_deletion() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'a shipment that is % is deleted by nobody but who may override that', OLD.status
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'shipments', COLUMN = 'status';
END $$;

CREATE FUNCTION public.refuse_future() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  refused text := (
    SELECT c.name FROM unnest(TG_ARGV) WITH ORDINALITY AS c (name, place)
    WHERE (to_jsonb(NEW) ->> c.name)::timestamptz > now() + interval '1 day'
    ORDER BY c.place LIMIT 1);
BEGIN
  RAISE EXCEPTION '% of % lies more than a day in the future', refused, TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, COLUMN = refused;
END $$;

CREATE FUNCTION public.refuse_moment() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  refused text := (
    SELECT c.name FROM unnest(TG_ARGV) WITH ORDINALITY AS c (name, place)
    WHERE NOT is_moment((to_jsonb(NEW) ->> c.name)::timestamptz)
    ORDER BY c.place LIMIT 1);
BEGIN
  RAISE EXCEPTION '% of % is of no year between 1900 and 9998', refused, TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, COLUMN = refused;
END $$;

CREATE FUNCTION public.refuse_parent() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  above int := NEW.parent_order_item_id;
BEGIN
  FOR level IN 1..8 LOOP
    IF above IS NULL THEN
      RETURN NEW;
    END IF;
    EXIT WHEN above = NEW.id;
    above := (SELECT l.parent_order_item_id FROM order_items l WHERE l.id = above AND l.channel_id = NEW.channel_id);
  END LOOP;
  IF above IS NULL THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a line is a part of itself, or of too many others'
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'order_items', COLUMN = 'parent_order_item_id';
END $$;

CREATE FUNCTION public.refuse_promise() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF is_day(NEW.expected_delivery_at) AND (NEW.expected_delivery_at AT TIME ZONE 'UTC')::date
      >= (NEW.created_at AT TIME ZONE channel_time_zone(NEW.channel_id))::date THEN
    RETURN NEW;
  END IF;
  IF NEW.expected_delivery_at = (
    SELECT o.postage_request_date FROM orders o WHERE o.id = NEW.order_id AND o.channel_id = NEW.channel_id
  ) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a shipment is expected before it was created'
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'shipments', COLUMN = 'expected_delivery_at';
END $$;

CREATE FUNCTION public.refuse_shipped_items(shipment_ids uuid[], line_ids integer[], line_channel_ids integer[]) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
  lines record;
  refused bigint;
BEGIN
  IF line_ids IS NOT NULL THEN
    SELECT array_agg(l.order_id) AS order_ids, array_agg(l.channel_id) AS channel_ids,
      bool_or(NOT is_shippable_class(l.class) OR EXISTS (
        SELECT FROM order_items p
        WHERE p.parent_order_item_id = l.id AND p.channel_id = l.channel_id AND p.class = 'product'
          AND p.quantity > 0)) AS are_refused
    INTO lines
    FROM order_items l
    WHERE (l.id, l.channel_id) IN (SELECT * FROM unnest(line_ids, line_channel_ids));
    IF lines.are_refused THEN
      RAISE EXCEPTION 'a line that is no goods, or a bundle, is not shipped itself'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'shipment_items_line_shippable', TABLE = 'shipment_items';
    END IF;
  END IF;
  IF current_setting('waybill.skipped_steps', true) = 'allowed' THEN
    RETURN;
  END IF;
  IF line_ids IS NOT NULL THEN
    WITH held AS MATERIALIZED (
      SELECT o.status
      FROM orders o
      WHERE (o.id, o.channel_id) IN (SELECT * FROM unnest(lines.order_ids, lines.channel_ids))
      ORDER BY o.id, o.channel_id
      FOR SHARE
    )
    SELECT count(*) FILTER (WHERE NOT s.is_shippable) INTO refused
    FROM held h
    LEFT JOIN order_statuses s ON s.code = h.status;
    IF refused > 0 THEN
      RAISE EXCEPTION 'the order cannot be shipped'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_order_shippable', TABLE = 'shipment_items';
    END IF;
  END IF;
  IF EXISTS (
    SELECT FROM shipments s
    WHERE s.id = ANY (shipment_ids) AND s.status IN ('DELIVERED', 'CANCELED')
      AND NOT EXISTS (
        SELECT FROM changes c
        WHERE c.shipment_id = s.id AND c.type = 'SHIPMENT' AND c.action = 'CREATED'
          AND c.transaction_id = nullif(current_setting('waybill.transaction_id', true), '')::bigint)
  ) THEN
    RAISE EXCEPTION 'a shipment that is delivered or canceled is closed for items'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'shipment_items_shipment_open', TABLE = 'shipment_items';
  END IF;
END $$;

CREATE FUNCTION public.refuse_value() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused', TG_ARGV[0], TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, COLUMN = TG_ARGV[0];
END $$;

CREATE FUNCTION public.rolled_up(of_line_id integer, of_order_id integer, in_channel_id integer) RETURNS TABLE(price_total numeric, price_total_net numeric, tax numeric, discount numeric, tax_percentage numeric, canceled integer, refunded integer)
    LANGUAGE plpgsql STABLE ROWS 1
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH RECURSIVE hanging AS (
    SELECT l.id, l.price_total, l.price_total_net, l.tax, l.discount * l.quantity AS discount, l.quantity, l.quantity_canceled,
      l.quantity_refunded, coalesce(l.exact_tax_percentage, l.tax_percentage)::numeric AS percentage, true AS is_part,
      l.quantity AS packs
    FROM order_items l
    WHERE l.id = of_line_id AND l.order_id = of_order_id AND l.channel_id = in_channel_id
    UNION ALL
    SELECT p.id, p.price_total, p.price_total_net, p.tax, p.discount * p.quantity, p.quantity, p.quantity_canceled,
      p.quantity_refunded, coalesce(p.exact_tax_percentage, p.tax_percentage)::numeric, h.is_part AND p.class = 'product',
      h.packs
    FROM hanging h
    JOIN order_items p ON p.parent_order_item_id = h.id AND p.order_id = of_order_id AND p.channel_id = in_channel_id
      AND is_shippable_class(p.class)
  ), parts AS (
    SELECT h.*, h.is_part AND h.id <> of_line_id AND h.quantity > 0 AND NOT is_bundle(h.id, in_channel_id) AS counts
    FROM hanging h
  )
  SELECT sum(p.price_total), sum(p.price_total_net), sum(p.tax), sum(p.discount),
    CASE WHEN count(DISTINCT p.percentage) FILTER (WHERE p.price_total <> 0) > 1 AND sum(p.price_total) <> 0
      THEN round((sum(p.price_total_net) - sum(p.price_total)) * 100 / sum(p.price_total), 2)
      ELSE coalesce(max(p.percentage) FILTER (WHERE p.price_total <> 0), max(p.percentage) FILTER (WHERE p.id = of_line_id))
    END,
    (min(p.packs::bigint * least(p.quantity_canceled, p.quantity) / p.quantity) FILTER (WHERE p.counts))::int,
    (min(p.packs::bigint * least(p.quantity_refunded, p.quantity) / p.quantity) FILTER (WHERE p.counts))::int
  FROM parts p;
END $$;

CREATE FUNCTION public.without_apostrophes(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(value, '[''\u0060\u00b4\u02b9-\u02bc\u2018\u2019\u201b\u2032\uff07]'::text, ''::text, 'g'::text);

CREATE FUNCTION public.search_query(term text, fields text[]) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN ((cardinality(w.words) > 0) AND ((search_query.fields IS NULL) OR (cardinality(search_query.fields) > 0))) THEN (concat_ws(' | '::text, ( SELECT string_agg(public.word_query("left"(x.word, 64), (length(x.word) > 2), search_query.fields), ' & '::text) AS string_agg
                FROM unnest(w.words) x(word)),
             CASE
                 WHEN public.has_apostrophe(search_query.term) THEN ( SELECT string_agg(public.word_query("left"(x.word, 64), (length(x.word) > 2), search_query.fields), ' & '::text) AS string_agg
                    FROM unnest(public.words_of(public.without_apostrophes(search_query.term))) x(word))
                 ELSE NULL::text
             END,
             CASE
                 WHEN ((cardinality(w.words) > 1) AND (length(w.number) > 2)) THEN public.word_query(w.number, true, search_query.fields)
                 ELSE NULL::text
             END,
             CASE
                 WHEN (w.number ~ '^0[0-9]{6,}$'::text) THEN public.word_query(ltrim(w.number, '0'::text), true, search_query.fields)
                 ELSE NULL::text
             END,
             CASE
                 WHEN (w.number ~ '^[0-9]{10,15}$'::text) THEN public.word_query(public.phone_of(w.number), false, search_query.fields)
                 ELSE NULL::text
             END))::tsquery
             ELSE NULL::tsquery
         END AS "case"
    FROM ( SELECT public.words_of(search_query.term) AS words,
             public.number_of(search_query.term) AS number) w;
END;

CREATE FUNCTION public.set_currency_ratio() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  base text := (SELECT c.currency FROM channels c WHERE c.id = NEW.channel_id);
BEGIN
  IF NEW.currency = base THEN
    IF TG_OP = 'INSERT' AND NEW.currency_ratio <> 1 OR NEW.currency_ratio <> 1 AND NEW.currency = OLD.currency THEN
      RAISE EXCEPTION 'the order is in the currency of its channel'
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'orders', COLUMN = 'currency_ratio';
    END IF;
    NEW.currency_ratio := 1;
  ELSIF NEW.currency_ratio IS NULL OR TG_OP = 'UPDATE' AND NEW.currency_ratio = OLD.currency_ratio
    AND current_setting('waybill.actor', true) IS DISTINCT FROM 'import'  -- which has looked for one already
  THEN
    NEW.currency_ratio := (
      SELECT r.rate FROM channel_rates r WHERE r.channel_id = NEW.channel_id AND r.currency = NEW.currency);
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION public.status_of_codes(progress text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN (cardinality(progress) = 0) THEN NULL::text
             WHEN ('CANCELED'::text = ALL (progress)) THEN 'CANCELED'::text
             WHEN ('DELIVERED'::text = ALL (array_remove(progress, 'CANCELED'::text))) THEN 'DELIVERED'::text
             WHEN ('EXCEPTION'::text = ANY (progress)) THEN 'EXCEPTION'::text
             WHEN ('FAILED_DELIVERY'::text = ANY (progress)) THEN 'FAILED_DELIVERY'::text
             WHEN (progress && ARRAY['DELIVERED'::text, 'PARTIALLY_DELIVERED'::text]) THEN 'PARTIALLY_DELIVERED'::text
             WHEN ('OUT_FOR_DELIVERY'::text = ANY (progress)) THEN 'OUT_FOR_DELIVERY'::text
             WHEN ('IN_TRANSIT'::text = ANY (progress)) THEN 'IN_TRANSIT'::text
             WHEN ('PROCESSING'::text = ANY (progress)) THEN 'PROCESSING'::text
             WHEN ('CREATED'::text = ANY (progress)) THEN 'CREATED'::text
             ELSE NULL::text
         END AS "case";
END;

CREATE FUNCTION public.sum_refund_items() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  UPDATE order_items l SET quantity_refunded = s.total
  FROM (
    SELECT w.order_item_id, w.order_id, w.channel_id, (
        SELECT coalesce(sum(i.quantity), 0) FROM refund_items i
        WHERE i.order_item_id = w.order_item_id AND i.order_id = w.order_id AND i.channel_id = w.channel_id) AS total
    FROM (SELECT DISTINCT order_item_id, order_id, channel_id FROM written) w
  ) s
  WHERE l.id = s.order_item_id AND l.order_id = s.order_id AND l.channel_id = s.channel_id
    AND l.quantity_refunded <> s.total;
  RETURN NULL;
END $$;

CREATE FUNCTION public.sum_refunds() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  UPDATE orders o SET refunded_total = s.total, last_modified_at = statement_timestamp()
  FROM (
    SELECT w.order_id, w.channel_id, (
        SELECT coalesce(sum(r.amount), 0) FROM refunds r
        WHERE r.order_id = w.order_id AND r.channel_id = w.channel_id) AS total
    FROM (SELECT DISTINCT order_id, channel_id FROM written) w
  ) s
  WHERE o.id = s.order_id AND o.channel_id = s.channel_id
    AND (o.refunded_total <> s.total OR current_setting('waybill.finishing', true) IS DISTINCT FROM 'held');
  RETURN NULL;
END $$;

CREATE FUNCTION public.take_commit_number() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  taken bigint;
BEGIN
  INSERT INTO commits (transaction_id) VALUES (NEW.id) RETURNING number INTO taken;
  taken := set_config('waybill.commit_number', taken::text, true);
  RETURN NULL;
END $$;

CREATE FUNCTION public.take_company_of_order() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  NEW.company_id := NULL;
  SELECT o.company_id INTO NEW.company_id
  FROM orders o
  WHERE o.id = NEW.order_id AND o.channel_id = NEW.channel_id
  FOR KEY SHARE;
  RETURN NEW;
END
$$;

CREATE FUNCTION public.tally_order_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE order_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, status, type, export_status, count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status, id AS key FROM added) AS k
    GROUP BY channel_id, created_on, modified_on, status, type, export_status;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, status, type, export_status, -count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status, id AS key FROM removed) AS k
    GROUP BY channel_id, created_on, modified_on, status, type, export_status;
  ELSE
    INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, status, type, export_status, sum(k.n), min(k.key), max(k.key)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status, 1 AS n, id AS key FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status, -1, id FROM removed
    ) AS k
    GROUP BY channel_id, created_on, modified_on, status, type, export_status
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.tally_order_fulfillment_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE order_fulfillment_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO order_fulfillment_days (channel_id, created_on, status, n)
    SELECT k.*, count(*)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, status FROM added) AS k
    GROUP BY channel_id, created_on, status;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO order_fulfillment_days (channel_id, created_on, status, n)
    SELECT k.*, -count(*)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, status FROM removed) AS k
    GROUP BY channel_id, created_on, status;
  ELSE
    INSERT INTO order_fulfillment_days (channel_id, created_on, status, n)
    SELECT channel_id, created_on, status, sum(k.n)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, status, 1 AS n FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, status, -1 FROM removed
    ) AS k
    GROUP BY channel_id, created_on, status
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.tally_orders() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE order_tallies;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO order_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), status, count(*)
    FROM added
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING grouping(company_id) = 1 OR company_id IS NOT NULL;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO order_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), status, -count(*)
    FROM removed
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING grouping(company_id) = 1 OR company_id IS NOT NULL;
  ELSE
    INSERT INTO order_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), status, sum(n)
    FROM (
      SELECT channel_id, company_id, status, 1 AS n FROM added
      UNION ALL
      SELECT channel_id, company_id, status, -1 FROM removed
    ) AS changed
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING sum(n) <> 0 AND (grouping(company_id) = 1 OR company_id IS NOT NULL);
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION public.tally_shipment_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE shipment_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, expected_on, status, count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on, status, order_id AS key FROM added) AS k
    GROUP BY channel_id, created_on, modified_on, expected_on, status;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, expected_on, status, -count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on, status, order_id AS key FROM removed) AS k
    GROUP BY channel_id, created_on, modified_on, expected_on, status;
  ELSE
    INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, expected_on, status, sum(k.n), min(k.key), max(k.key)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on, status, 1 AS n, order_id AS key FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on, status, -1, order_id FROM removed
    ) AS k
    GROUP BY channel_id, created_on, modified_on, expected_on, status
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.tally_shipment_item_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE shipment_item_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, quantity, count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity, order_item_id AS key FROM added) AS k
    GROUP BY channel_id, created_on, modified_on, quantity;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, quantity, -count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity, order_item_id AS key FROM removed) AS k
    GROUP BY channel_id, created_on, modified_on, quantity;
  ELSE
    INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, quantity, sum(k.n), min(k.key), max(k.key)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity, 1 AS n, order_item_id AS key FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity, -1, order_item_id FROM removed
    ) AS k
    GROUP BY channel_id, created_on, modified_on, quantity
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.tally_shipments() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE shipment_tallies;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO shipment_tallies (channel_id, company_id, status, n)
    SELECT a.channel_id, k.company_id, coalesce(a.status, ''), count(*)
    FROM added a
    CROSS JOIN LATERAL unnest(ARRAY[0, a.company_id]) AS k (company_id)
    WHERE k.company_id IS NOT NULL
    GROUP BY a.channel_id, k.company_id, a.status;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO shipment_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), coalesce(status, ''), -count(*)
    FROM removed
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING grouping(company_id) = 1 OR company_id IS NOT NULL;
  ELSE
    INSERT INTO shipment_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), coalesce(status, ''), sum(n)
    FROM (
      SELECT channel_id, company_id, status, 1 AS n FROM added
      UNION ALL
      SELECT channel_id, company_id, status, -1 FROM removed
    ) AS changed
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING sum(n) <> 0 AND (grouping(company_id) = 1 OR company_id IS NOT NULL);
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION public.tally_track_and_trace_days() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE track_and_trace_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n)
    SELECT k.*, count(*)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id FROM added) AS k
    GROUP BY channel_id, created_on, modified_on, carrier_id;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n)
    SELECT k.*, -count(*)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id FROM removed) AS k
    GROUP BY channel_id, created_on, modified_on, carrier_id;
  ELSE
    INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n)
    SELECT channel_id, created_on, modified_on, carrier_id, sum(k.n)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id, 1 AS n FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id, -1 FROM removed
    ) AS k
    GROUP BY channel_id, created_on, modified_on, carrier_id
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION public.tell_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM pg_notify('waybill_changes', TG_TABLE_NAME);
  RETURN NULL;
END
$$;

CREATE FUNCTION public.unpack_changed_item() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  DELETE FROM parcel_items p
  WHERE p.shipment_item_id = NEW.id AND p.channel_id = NEW.channel_id
    AND (OLD.shipment_id <> NEW.shipment_id OR OLD.order_item_id <> NEW.order_item_id OR NEW.quantity < (
      SELECT sum(o.quantity) FROM parcel_items o WHERE o.shipment_item_id = NEW.id AND o.channel_id = NEW.channel_id));
  RETURN NULL;
END $$;

CREATE FUNCTION public.unpack_moved_code() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  DELETE FROM parcel_items p WHERE p.track_and_trace_id = NEW.id AND p.channel_id = NEW.channel_id;
  RETURN NULL;
END $$;

CREATE FUNCTION public.utc_day(moment timestamp with time zone) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((moment AT TIME ZONE 'UTC'::text))::date;

CREATE FUNCTION public.utc_start(day date) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((day)::timestamp without time zone AT TIME ZONE 'UTC'::text);

CREATE FUNCTION public.words_of_codes(codes text[]) RETURNS tsvector
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
  prefix CONSTANT text := field_word('CODE', '');
  found text[] := '{}';
  code text;
BEGIN
  FOREACH code IN ARRAY codes LOOP
    found := found || words_of(left(code, 4000));
    IF code ~ '[^0-9A-Za-z]' THEN
      found := found || number_of(left(code, 200));
    END IF;
  END LOOP;
  RETURN array_to_tsvector(ARRAY(
    SELECT DISTINCT k.lexeme
    FROM unnest(found) AS w (word)
    CROSS JOIN LATERAL (VALUES (left(w.word, 64)), (prefix || left(w.word, 64))) AS k (lexeme)
    WHERE w.word <> ''));
END $$;

CREATE FUNCTION public.words_of_order(of_order_id integer, of_channel_id integer) RETURNS tsvector
    LANGUAGE plpgsql STABLE COST 1000
    AS $$
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

CREATE FUNCTION public.writing_transaction() RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
  known text := current_setting('waybill.transaction_id', true);
  made bigint;
BEGIN
  IF known <> '' THEN
    IF current_setting('waybill.commit_number', true) <> '' THEN
      UPDATE commits SET number = nextval('commit_numbers')
      WHERE number = current_setting('waybill.commit_number')::bigint RETURNING number INTO made;
      made := set_config('waybill.commit_number', made::text, true);
    END IF;
    RETURN known::bigint;
  END IF;
  INSERT INTO transactions (actor, request_id)
  VALUES (
    coalesce(nullif(current_setting('waybill.actor', true), ''), 'system'),
    nullif(current_setting('waybill.request_id', true), ''))
  RETURNING id INTO made;
  made := set_config('waybill.transaction_id', made::text, true);
  RETURN made;
END $$;

CREATE TABLE public.api_key_channels (
    api_key_id integer NOT NULL,
    channel_id integer NOT NULL
);

CREATE TABLE public.api_key_companies (
    api_key_id integer NOT NULL,
    channel_id integer NOT NULL,
    company_id integer NOT NULL
);

CREATE TABLE public.api_keys (
    id integer NOT NULL,
    name text NOT NULL,
    key_hash bytea NOT NULL,
    scopes text[] DEFAULT '{}'::text[] NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    prefix text,
    networks cidr[],
    former_key_hash bytea,
    former_expires_at timestamp with time zone,
    CONSTRAINT api_keys_former_key_ends CHECK (((former_key_hash IS NULL) OR ((length(former_key_hash) = 32) AND (former_expires_at IS NOT NULL)))),
    CONSTRAINT api_keys_hash_sha256 CHECK ((length(key_hash) = 32))
);

COMMENT ON COLUMN public.api_keys.prefix IS 'the first characters of the key, to know it by; null of a key that was made elsewhere';

COMMENT ON COLUMN public.api_keys.networks IS 'where it may come from; null is anywhere';

COMMENT ON COLUMN public.api_keys.former_key_hash IS 'of the key that this one replaces, which is good until former_expires_at';

ALTER TABLE public.api_keys ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.api_keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.application_callers (
    application_id integer NOT NULL,
    caller text NOT NULL,
    CONSTRAINT application_callers_caller_form CHECK ((caller ~ '^((api_key|storefront_key):[1-9][0-9]*|staff|partner|contact|customer|anonymous)$'::text))
);

COMMENT ON TABLE public.application_callers IS 'to whom the ids of an application''s documents mean something';

COMMENT ON COLUMN public.application_callers.caller IS 'a key by its id, or all viewers of a kind; anonymous has no credential';

CREATE TABLE public.applications (
    id integer NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT applications_name_form CHECK (((name ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'::text) AND (length(name) <= 64)))
);

COMMENT ON TABLE public.applications IS 'programs that have registered their documents';

ALTER TABLE public.applications ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.applications_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.audit_entries (
    id bigint NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL
);

COMMENT ON TABLE public.audit_entries IS 'what operators did by command; of orders and shipments, changes tell it too';

COMMENT ON COLUMN public.audit_entries.subject IS 'of what, by its id: never a name or an e-mail, which somebody may have to be forgotten by';

ALTER TABLE public.audit_entries ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.audit_entries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.carrier_descriptions (
    carrier_id integer NOT NULL,
    language text NOT NULL,
    value text,
    CONSTRAINT carrier_descriptions_language_iso CHECK ((language ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT carrier_descriptions_length CHECK ((length(value) <= 255))
);

ALTER TABLE public.carriers ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.carriers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.changes (
    id bigint NOT NULL,
    transaction_id bigint NOT NULL,
    type text NOT NULL,
    action text NOT NULL,
    entity_id text NOT NULL,
    channel_id integer,
    order_id integer,
    shipment_id uuid,
    version integer NOT NULL,
    old jsonb,
    new jsonb,
    CONSTRAINT changes_action_known CHECK ((action = ANY (ARRAY['CREATED'::text, 'UPDATED'::text, 'DELETED'::text]))),
    CONSTRAINT changes_type_known CHECK ((type = ANY (ARRAY['ORDER'::text, 'ORDER_ITEM'::text, 'SHIPMENT'::text, 'SHIPMENT_ITEM'::text, 'TRACK_AND_TRACE'::text, 'TRACKING_EVENT'::text, 'CARRIER'::text])))
);

COMMENT ON COLUMN public.changes.transaction_id IS 'a row of transactions; without a constraint, which would be checked row by row';

COMMENT ON COLUMN public.changes.channel_id IS 'null for carriers of all channels';

COMMENT ON COLUMN public.changes.version IS 'of the row after the change, or when it was deleted';

ALTER TABLE public.changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.channel_pages (
    channel_id integer NOT NULL,
    name text,
    accent text,
    help_url text,
    languages text[],
    picture_origin text,
    logo bytea,
    logo_type text,
    CONSTRAINT channel_pages_accent_rgb CHECK ((accent ~ '^#[0-9a-f]{6}$'::text)),
    CONSTRAINT channel_pages_help_url_http CHECK (((help_url ~ '^(https?|mailto|tel):'::text) AND (length(help_url) <= 2000))),
    CONSTRAINT channel_pages_languages_some CHECK ((cardinality(languages) > 0)),
    CONSTRAINT channel_pages_logo_size CHECK ((length(logo) <= 65536)),
    CONSTRAINT channel_pages_logo_type_known CHECK ((logo_type = ANY (ARRAY['image/svg+xml'::text, 'image/png'::text, 'image/webp'::text]))),
    CONSTRAINT channel_pages_logo_typed CHECK (((logo IS NULL) = (logo_type IS NULL))),
    CONSTRAINT channel_pages_name_length CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT channel_pages_picture_origin_https CHECK ((picture_origin ~ '^https://[a-z0-9.:-]+$'::text))
);

COMMENT ON TABLE public.channel_pages IS 'the shop''s own of its pages; where a column is null, or there is no row, they are plain';

COMMENT ON COLUMN public.channel_pages.name IS 'what customers call the shop; null is the name of the channel';

COMMENT ON COLUMN public.channel_pages.accent IS 'colour of links and buttons, which the command finds legible';

COMMENT ON COLUMN public.channel_pages.languages IS 'ISO 639-1 codes in small letters, the first for who reads none of them; null is all there are';

COMMENT ON COLUMN public.channel_pages.picture_origin IS 'from where pages may show pictures of goods; null is from nowhere, so that nobody else learns who looks';

CREATE TABLE public.channel_rates (
    channel_id integer NOT NULL,
    currency text NOT NULL,
    rate numeric NOT NULL,
    CONSTRAINT channel_rates_currency_known CHECK (public.is_currency(currency)),
    CONSTRAINT channel_rates_rate_positive CHECK (((rate > (0)::numeric) AND (rate < '10000000000'::numeric)))
);

COMMENT ON COLUMN public.channel_rates.rate IS 'units of the currency for one of the channel''s';

ALTER TABLE public.channels ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.channels_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE SEQUENCE public.commit_numbers
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.commits (
    number bigint DEFAULT nextval('public.commit_numbers'::regclass) NOT NULL,
    transaction_id bigint NOT NULL
);

COMMENT ON TABLE public.commits IS 'transactions that have no position yet; a row is gone when it has been given';

COMMENT ON COLUMN public.commits.number IS 'taken when the last change of the transaction had been made, without a lock';

CREATE TABLE public.companies (
    id integer NOT NULL,
    channel_id integer NOT NULL,
    external_id text,
    name text NOT NULL,
    parent_id integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT companies_id_not_zero CHECK ((id <> 0)),
    CONSTRAINT companies_parent_other CHECK ((parent_id <> id))
);

ALTER TABLE public.companies ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.companies_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.company_sources (
    company_id integer NOT NULL,
    channel_id integer NOT NULL,
    name text NOT NULL,
    id text NOT NULL
);

CREATE TABLE public.contact_companies (
    contact_id integer NOT NULL,
    channel_id integer NOT NULL,
    company_id integer NOT NULL
);

CREATE TABLE public.contact_sessions (
    id uuid NOT NULL,
    channel_id integer NOT NULL,
    contact_id integer NOT NULL,
    refresh_hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT contact_sessions_lifetime CHECK ((expires_at > created_at)),
    CONSTRAINT contact_sessions_refresh_sha256 CHECK ((length(refresh_hash) = 32))
);

COMMENT ON COLUMN public.contact_sessions.refresh_hash IS 'SHA-256 of the refresh token that is good; those before it, and no others, end the session';

CREATE SEQUENCE public.user_ids
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.contacts (
    id integer DEFAULT nextval('public.user_ids'::regclass) NOT NULL,
    channel_id integer NOT NULL,
    email text NOT NULL,
    first_name text DEFAULT ''::text NOT NULL,
    last_name text DEFAULT ''::text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    password_hash text
);

COMMENT ON COLUMN public.contacts.password_hash IS 'argon2id; null of who cannot log in here';

CREATE TABLE public.customer_sessions (
    id bigint NOT NULL,
    channel_id integer NOT NULL,
    customer_id integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT customer_sessions_lifetime CHECK ((expires_at > created_at))
);

ALTER TABLE public.customer_sessions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.customer_sessions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.customers (
    id integer DEFAULT nextval('public.user_ids'::regclass) NOT NULL,
    channel_id integer NOT NULL,
    email text,
    first_name text DEFAULT ''::text NOT NULL,
    last_name text DEFAULT ''::text NOT NULL,
    phone text,
    gender text,
    password_hash text,
    api_token_hash bytea,
    is_suspended boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    external_id text,
    merged_into_id integer,
    CONSTRAINT customers_external_id_length CHECK (((length(external_id) >= 1) AND (length(external_id) <= 255))),
    CONSTRAINT customers_gender_known CHECK ((gender = ANY (ARRAY['M'::text, 'F'::text, 'U'::text]))),
    CONSTRAINT customers_known_by CHECK ((num_nonnulls(email, phone, external_id, merged_into_id) > 0)),
    CONSTRAINT customers_merged_has_no_password CHECK (((merged_into_id IS NULL) OR (password_hash IS NULL))),
    CONSTRAINT customers_merged_into_other CHECK ((merged_into_id <> id))
);

COMMENT ON COLUMN public.customers.external_id IS 'key in the system it was imported from';

COMMENT ON COLUMN public.customers.merged_into_id IS 'the customer who has the orders now: what is found by the keys of this one is that one''s';

CREATE TABLE public.document_modes (
    caller text NOT NULL,
    mode text NOT NULL,
    CONSTRAINT document_modes_caller_form CHECK ((caller ~ '^((api_key|storefront_key):[1-9][0-9]*|staff|partner|contact|customer|anonymous)$'::text)),
    CONSTRAINT document_modes_known CHECK ((mode = ANY (ARRAY['off'::text, 'log'::text, 'safelist'::text, 'id-only'::text])))
);

COMMENT ON TABLE public.document_modes IS 'whose documents have to be registered; DOCUMENT_MODE is that of all others';

CREATE TABLE public.feed_beginnings (
    "position" bigint NOT NULL,
    done bigint NOT NULL
);

COMMENT ON TABLE public.feed_beginnings IS 'the beginning of the feed: the row with the highest position; none while nothing has been pruned';

COMMENT ON COLUMN public.feed_beginnings."position" IS 'the last of which changes are gone';

COMMENT ON COLUMN public.feed_beginnings.done IS 'up to here all are gone, so that the next batch begins behind what is dead';

CREATE TABLE public.feed_ends (
    "position" bigint NOT NULL,
    number bigint NOT NULL,
    missing bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    missing_until xid8[] DEFAULT '{}'::xid8[] NOT NULL
);

COMMENT ON TABLE public.feed_ends IS 'the end of the feed: the row with the highest position';

COMMENT ON COLUMN public.feed_ends."position" IS 'the last that was given';

COMMENT ON COLUMN public.feed_ends.number IS 'of commits: up to here all have a position but the missing ones';

COMMENT ON COLUMN public.feed_ends.missing IS 'numbers whose transactions were not there: they are on their way, or were taken back';

COMMENT ON COLUMN public.feed_ends.missing_until IS 'of each: when all transactions before this one are over, it is not on its way any more';

CREATE TABLE public.idempotency_keys (
    actor text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    response bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    scopes text[] DEFAULT '{orders:read,shipments:read}'::text[] NOT NULL,
    order_ids integer[],
    channel_ids integer[],
    CONSTRAINT idempotency_keys_hash_sha256 CHECK ((length(request_hash) = 32)),
    CONSTRAINT idempotency_keys_key_length CHECK (((length(key) >= 1) AND (length(key) <= 255)))
);

COMMENT ON COLUMN public.idempotency_keys.actor IS 'subject of the viewer: keys of different callers never meet';

COMMENT ON COLUMN public.idempotency_keys.request_hash IS 'of document, operation name and variables';

COMMENT ON COLUMN public.idempotency_keys.scopes IS 'that opened fields of the answer; all that can where nobody noted them';

COMMENT ON COLUMN public.idempotency_keys.order_ids IS 'whose rows the answer shows; null where nobody noted them';

COMMENT ON COLUMN public.idempotency_keys.channel_ids IS 'of these orders, one by one; of an answer without orders, those that the caller could see';

CREATE TABLE public.login_addresses (
    key_hash bytea NOT NULL,
    account_hash bytea NOT NULL,
    good_at timestamp with time zone NOT NULL,
    CONSTRAINT login_addresses_account_sha256 CHECK ((length(account_hash) = 32)),
    CONSTRAINT login_addresses_key_sha256 CHECK ((length(key_hash) = 32))
);

COMMENT ON TABLE public.login_addresses IS 'from where customers have logged in: twenty addresses of each, for thirty days';

COMMENT ON COLUMN public.login_addresses.key_hash IS 'HMAC of an e-mail of a channel together with a client address';

COMMENT ON COLUMN public.login_addresses.account_hash IS 'HMAC of the e-mail alone';

COMMENT ON COLUMN public.login_addresses.good_at IS 'when the last login from there was good';

CREATE TABLE public.login_attempts (
    key_hash bytea NOT NULL,
    attempted_at timestamp with time zone[] NOT NULL,
    latest_at timestamp with time zone NOT NULL,
    CONSTRAINT login_attempts_key_sha256 CHECK ((length(key_hash) = 32))
);

COMMENT ON COLUMN public.login_attempts.key_hash IS 'HMAC of what attempts are counted for, and of the name of the count';

COMMENT ON COLUMN public.login_attempts.attempted_at IS 'the counted attempts of the last minute or hour, oldest first; as many as are allowed at most';

ALTER TABLE public.order_addresses ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.order_addresses_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.order_days (
    channel_id integer NOT NULL,
    created_on date NOT NULL,
    modified_on date NOT NULL,
    status text NOT NULL,
    type text NOT NULL,
    export_status text NOT NULL,
    n bigint NOT NULL,
    lowest integer NOT NULL,
    highest integer NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.1', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE public.order_days IS 'how many rows of orders there are, by days of UTC and by what lists filter by: the sum of n';

COMMENT ON COLUMN public.order_days.lowest IS 'no id of those rows is lower, and none is higher than `highest`; what is gone may widen this';

CREATE TABLE public.order_fulfillment_days (
    channel_id integer NOT NULL,
    created_on date NOT NULL,
    status text NOT NULL,
    n bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.1', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE public.order_fulfillment_days IS 'how many rows of order_fulfillments there are, by days of UTC and by what lists filter by: the sum of n';

CREATE TABLE public.order_fulfillments (
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    status text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    wanted_at timestamp with time zone
);

COMMENT ON TABLE public.order_fulfillments IS 'how far orders are fulfilled; kept by triggers, as of the commit of each write';

COMMENT ON COLUMN public.order_fulfillments.created_at IS 'as the order has it, so that an index can hold it beside the status';

COMMENT ON COLUMN public.order_fulfillments.wanted_at IS 'postage_request_date of an order of which some is still to be shipped; null otherwise';

CREATE TABLE public.order_item_sources (
    order_item_id integer NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    name text NOT NULL,
    id text NOT NULL
);

ALTER TABLE public.order_items ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.order_items_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.order_links (
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    generation integer NOT NULL,
    CONSTRAINT order_links_generation_positive CHECK ((generation > 0))
);

COMMENT ON TABLE public.order_links IS 'orders of which links were revoked; of all others the links of generation 1 are good';

COMMENT ON COLUMN public.order_links.generation IS 'of the links that are good; those of earlier ones were revoked';

CREATE TABLE public.order_sources (
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    name text NOT NULL,
    id text NOT NULL
);

CREATE TABLE public.order_status_sets (
    id integer NOT NULL,
    name text NOT NULL,
    description text
);

ALTER TABLE public.order_status_sets ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.order_status_sets_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.order_status_successors (
    status_id integer NOT NULL,
    next_status_id integer NOT NULL
);

CREATE TABLE public.order_statuses (
    id integer NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    order_type text NOT NULL,
    description text,
    priority integer,
    is_default boolean DEFAULT false NOT NULL,
    is_public boolean DEFAULT true NOT NULL,
    is_editable boolean DEFAULT false NOT NULL,
    is_deletable boolean DEFAULT false NOT NULL,
    customer_status text,
    status_set_id integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    is_shippable boolean DEFAULT true NOT NULL,
    CONSTRAINT order_statuses_customer_status_known CHECK ((customer_status = ANY (ARRAY['pending'::text, 'processing'::text, 'completed'::text, 'canceled'::text, 'closed'::text, 'fraud'::text]))),
    CONSTRAINT order_statuses_order_type_known CHECK ((order_type = ANY (ARRAY['QUOTATION'::text, 'ORDER'::text, 'REQUEST'::text]))),
    CONSTRAINT order_statuses_public_has_word CHECK (((NOT is_public) OR (customer_status IS NOT NULL))),
    CONSTRAINT order_statuses_type_known CHECK ((type = ANY (ARRAY['SYSTEM'::text, 'CUSTOM'::text])))
);

COMMENT ON COLUMN public.order_statuses.customer_status IS 'the word that customers read; a status without one is not shown to them';

COMMENT ON COLUMN public.order_statuses.is_shippable IS 'whether goods of orders in this status may be put into shipments';

ALTER TABLE public.order_statuses ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.order_statuses_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.order_tallies (
    channel_id integer NOT NULL,
    company_id integer NOT NULL,
    status text NOT NULL,
    n bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000');

COMMENT ON COLUMN public.order_tallies.company_id IS '0: all orders of the channel, with or without a company';

CREATE TABLE public.order_words (
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    words tsvector NOT NULL
);

COMMENT ON TABLE public.order_words IS 'the words that orders are found by; kept by triggers, as of the commit of each write';

CREATE UNLOGGED TABLE public.orders_due (
    writer xid8 DEFAULT pg_current_xact_id() NOT NULL,
    order_ids integer[] NOT NULL,
    channel_ids integer[] NOT NULL,
    words boolean[] NOT NULL,
    is_first boolean NOT NULL,
    codes text[]
);

COMMENT ON TABLE public.orders_due IS 'orders whose words or fulfillment the present transaction counts anew when it commits; empty otherwise';

COMMENT ON COLUMN public.orders_due.codes IS 'one by one with the orders, where nothing but a new code has come to their words';

ALTER TABLE public.orders ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.orders_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.outbox_events (
    id bigint NOT NULL,
    channel_id integer NOT NULL,
    type text NOT NULL,
    password_link_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT outbox_events_type_known CHECK ((type = 'CUSTOMER_PASSWORD_LINK'::text))
);

COMMENT ON TABLE public.outbox_events IS 'what a partner has to deliver; gone when it says that it has, or when there is nothing to deliver any more';

ALTER TABLE public.outbox_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.parcel_items (
    track_and_trace_id uuid NOT NULL,
    shipment_item_id uuid NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    quantity integer NOT NULL,
    CONSTRAINT parcel_items_quantity_positive CHECK ((quantity > 0))
);

COMMENT ON TABLE public.parcel_items IS 'how many of an item of a shipment are in the parcel of one of its codes; without rows nobody has said';

CREATE TABLE public.password_links (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    channel_id integer NOT NULL,
    customer_id integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT password_links_lifetime CHECK ((expires_at > created_at))
);

COMMENT ON TABLE public.password_links IS 'each opens one customer once: it is gone when it has been used. What is sent is signed with the secret of the service';

CREATE TABLE public.products (
    id integer NOT NULL,
    channel_id integer NOT NULL,
    sku text NOT NULL,
    names jsonb NOT NULL,
    slugs jsonb DEFAULT '{}'::jsonb NOT NULL,
    descriptions jsonb DEFAULT '{}'::jsonb NOT NULL,
    short_descriptions jsonb DEFAULT '{}'::jsonb NOT NULL,
    images jsonb DEFAULT '[]'::jsonb NOT NULL,
    is_hidden boolean DEFAULT false NOT NULL,
    status text DEFAULT 'A'::text NOT NULL,
    is_orderable boolean DEFAULT true NOT NULL,
    manufacturer text DEFAULT ''::text NOT NULL,
    manufacturer_code text DEFAULT ''::text NOT NULL,
    supplier text DEFAULT ''::text NOT NULL,
    supplier_code text DEFAULT ''::text NOT NULL,
    ean_code text DEFAULT ''::text NOT NULL,
    package text DEFAULT ''::text NOT NULL,
    package_unit text DEFAULT ''::text NOT NULL,
    package_unit_quantity text DEFAULT ''::text NOT NULL,
    minimum_quantity numeric(12,3) DEFAULT 1 NOT NULL,
    unit integer DEFAULT 1 NOT NULL,
    purchase_unit integer DEFAULT 1 NOT NULL,
    purchase_minimum_quantity integer DEFAULT 1 NOT NULL,
    inventory_quantity integer DEFAULT 0 NOT NULL,
    CONSTRAINT products_status_known CHECK ((status = ANY (ARRAY['A'::text, 'N'::text, 'P'::text, 'S'::text, 'R'::text, 'T'::text])))
);

COMMENT ON COLUMN public.products.names IS 'object: two-letter upper-case language to text; slugs and descriptions alike';

COMMENT ON COLUMN public.products.images IS 'array of {"language", "url", "mimeType", "alt"}';

ALTER TABLE public.products ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.products_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.refund_items (
    refund_id uuid NOT NULL,
    order_item_id integer NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    quantity integer DEFAULT 0 NOT NULL,
    amount numeric NOT NULL,
    CONSTRAINT refund_items_amount_not_negative CHECK ((amount >= (0)::numeric)),
    CONSTRAINT refund_items_quantity_not_negative CHECK ((quantity >= 0))
);

COMMENT ON COLUMN public.refund_items.amount IS 'with tax, in the currency of the order';

CREATE TABLE public.refunds (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    external_id text,
    amount numeric NOT NULL,
    reason text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    is_made_here boolean DEFAULT false NOT NULL,
    CONSTRAINT refunds_amount_not_negative CHECK ((amount >= (0)::numeric)),
    CONSTRAINT refunds_external_id_line CHECK ((public.is_line(external_id) AND (length(external_id) <= 255))),
    CONSTRAINT refunds_reason_length CHECK ((length(reason) <= 255))
);

COMMENT ON COLUMN public.refunds.external_id IS 'key of the refund in the system that it comes from';

COMMENT ON COLUMN public.refunds.amount IS 'with tax, in the currency of the order: all of it, whatever its lines say';

COMMENT ON COLUMN public.refunds.is_made_here IS 'recorded by a mutation: a record that does not list its key leaves it. Those without a key are, too';

CREATE TABLE public.schema_migration_steps (
    migration text NOT NULL,
    step text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.shipment_days (
    channel_id integer NOT NULL,
    created_on date NOT NULL,
    modified_on date NOT NULL,
    expected_on date,
    status text,
    n bigint NOT NULL,
    lowest integer NOT NULL,
    highest integer NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.1', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE public.shipment_days IS 'how many rows of shipments there are, by days of UTC and by what lists filter by: the sum of n';

COMMENT ON COLUMN public.shipment_days.lowest IS 'no order_id of those rows is lower, and none is higher than `highest`; what is gone may widen this';

CREATE TABLE public.shipment_item_days (
    channel_id integer NOT NULL,
    created_on date NOT NULL,
    modified_on date NOT NULL,
    quantity integer,
    n bigint NOT NULL,
    lowest integer NOT NULL,
    highest integer NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.1', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE public.shipment_item_days IS 'how many rows of shipment_items there are, by days of UTC and by what lists filter by: the sum of n';

COMMENT ON COLUMN public.shipment_item_days.lowest IS 'no order_item_id of those rows is lower, and none is higher than `highest`; what is gone may widen this';

ALTER TABLE public.shipment_items ALTER COLUMN number ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.shipment_items_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.shipment_sources (
    shipment_id uuid NOT NULL,
    order_id integer NOT NULL,
    channel_id integer NOT NULL,
    name text NOT NULL,
    id text NOT NULL
);

CREATE TABLE public.shipment_status_successors (
    status text NOT NULL,
    next_status text NOT NULL,
    needs_override boolean DEFAULT false NOT NULL
);

COMMENT ON COLUMN public.shipment_status_successors.needs_override IS 'whether only who may override the lifecycle takes the step';

CREATE VIEW public.shipment_status_followers AS
 WITH RECURSIVE following(status, next_status) AS (
         SELECT shipment_status_successors.status,
            shipment_status_successors.next_status
           FROM public.shipment_status_successors
        UNION
         SELECT f.status,
            n.next_status
           FROM (following f
             JOIN public.shipment_status_successors n ON ((n.status = f.next_status)))
        )
 SELECT status,
    next_status
   FROM following;

COMMENT ON VIEW public.shipment_status_followers IS 'what may come after a status, in one step or several';

CREATE TABLE public.shipment_tallies (
    channel_id integer NOT NULL,
    company_id integer NOT NULL,
    status text NOT NULL,
    n bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000');

COMMENT ON COLUMN public.shipment_tallies.company_id IS '0: all shipments of the channel, with or without a company';

COMMENT ON COLUMN public.shipment_tallies.status IS 'empty where the shipment has none';

ALTER TABLE public.shipments ALTER COLUMN number ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.shipments_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.storefront_keys (
    id integer NOT NULL,
    channel_id integer NOT NULL,
    key_hash bytea NOT NULL,
    name text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    requests_per_minute integer DEFAULT 100 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    prefix text,
    networks cidr[],
    former_key_hash bytea,
    former_expires_at timestamp with time zone,
    expires_at timestamp with time zone,
    CONSTRAINT storefront_keys_former_key_ends CHECK (((former_key_hash IS NULL) OR ((length(former_key_hash) = 32) AND (former_expires_at IS NOT NULL)))),
    CONSTRAINT storefront_keys_hash_sha256 CHECK ((length(key_hash) = 32)),
    CONSTRAINT storefront_keys_rate_positive CHECK ((requests_per_minute > 0))
);

COMMENT ON COLUMN public.storefront_keys.prefix IS 'the first characters of the key, to know it by; null of a key that was made elsewhere';

COMMENT ON COLUMN public.storefront_keys.networks IS 'where it may come from; null is anywhere';

COMMENT ON COLUMN public.storefront_keys.former_key_hash IS 'of the key that this one replaces, which is good until former_expires_at';

ALTER TABLE public.storefront_keys ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.storefront_keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.timelines (
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    noted_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.track_and_trace_days (
    channel_id integer NOT NULL,
    created_on date NOT NULL,
    modified_on date NOT NULL,
    carrier_id integer,
    n bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.1', autovacuum_vacuum_threshold='1000');

COMMENT ON TABLE public.track_and_trace_days IS 'how many rows of track_and_traces there are, by days of UTC and by what lists filter by: the sum of n';

CREATE TABLE public.transactions (
    id bigint NOT NULL,
    "position" bigint,
    actor text NOT NULL,
    request_id text,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON COLUMN public.transactions."position" IS 'place in the order of commits; null until it has been given after the commit';

COMMENT ON COLUMN public.transactions.actor IS 'subject of the viewer who wrote; import, or system where nobody was named';

COMMENT ON COLUMN public.transactions.occurred_at IS 'of the first change: later than that of whom the transaction had to wait for';

ALTER TABLE public.transactions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.transactions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.trusted_document_uses (
    document_id bigint NOT NULL,
    last_used_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.trusted_document_uses IS 'when documents were last asked for, to some minutes';

CREATE TABLE public.trusted_documents (
    id bigint NOT NULL,
    application_id integer NOT NULL,
    document_id text NOT NULL,
    text text NOT NULL,
    hash bytea NOT NULL,
    significant_hash bytea NOT NULL,
    operations text[] NOT NULL,
    fields text[] NOT NULL,
    versions text[] DEFAULT '{}'::text[] NOT NULL,
    registered_at timestamp with time zone DEFAULT now() NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT trusted_documents_hash_length CHECK ((length(hash) = 32)),
    CONSTRAINT trusted_documents_id_form CHECK ((document_id ~ '^[!-~]{1,200}$'::text)),
    CONSTRAINT trusted_documents_significant_hash_length CHECK ((length(significant_hash) = 32))
);

COMMENT ON TABLE public.trusted_documents IS 'GraphQL documents that applications have registered';

COMMENT ON COLUMN public.trusted_documents.document_id IS 'by which its application asks for it, besides sha256:<hash>';

COMMENT ON COLUMN public.trusted_documents.hash IS 'SHA-256 of the text';

COMMENT ON COLUMN public.trusted_documents.significant_hash IS 'SHA-256 of the text without blanks, commas and comments that mean nothing';

COMMENT ON COLUMN public.trusted_documents.operations IS 'their names; empty where the only one has none';

COMMENT ON COLUMN public.trusted_documents.fields IS 'what it selects, as Type.field: of an interface the fields of its types, too';

COMMENT ON COLUMN public.trusted_documents.versions IS 'of the application that have it, the newest last; empty where none was named';

COMMENT ON COLUMN public.trusted_documents.retired_at IS 'since when it means nothing any more';

ALTER TABLE public.trusted_documents ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.trusted_documents_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhook_attempts (
    id bigint NOT NULL,
    delivery_id uuid NOT NULL,
    started_at timestamp with time zone NOT NULL,
    milliseconds integer NOT NULL,
    status integer,
    error text,
    headers jsonb NOT NULL,
    answer bytea
);

COMMENT ON TABLE public.webhook_attempts IS 'the log: each request that was made, or could not be';

COMMENT ON COLUMN public.webhook_attempts.status IS 'of the answer; null where none came, and error says why';

COMMENT ON COLUMN public.webhook_attempts.headers IS 'of the request, without what is secret';

COMMENT ON COLUMN public.webhook_attempts.answer IS 'the beginning of its body';

ALTER TABLE public.webhook_attempts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.webhook_attempts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhook_deliverers (
    id uuid NOT NULL,
    alive_until timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.webhook_deliverers IS 'the processes that deliver: what one of them serves is anybody''s after alive_until';

CREATE SEQUENCE public.webhook_places
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.webhook_deliveries (
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    place bigint DEFAULT nextval('public.webhook_places'::regclass) NOT NULL,
    lane text NOT NULL,
    type text NOT NULL,
    event jsonb NOT NULL,
    order_id integer,
    shipment_id uuid,
    state text DEFAULT 'WAITING'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone NOT NULL,
    media_type text,
    body bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    tried_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT webhook_deliveries_state_known CHECK ((state = ANY (ARRAY['WAITING'::text, 'DELIVERED'::text, 'FAILED'::text, 'WITHHELD'::text])))
)
WITH (fillfactor='80', autovacuum_vacuum_scale_factor='0.05');

COMMENT ON TABLE public.webhook_deliveries IS 'one for an endpoint and an event; what has ended is kept for the log';

COMMENT ON COLUMN public.webhook_deliveries.id IS 'made of the endpoint and the event: the same event is never two';

COMMENT ON COLUMN public.webhook_deliveries.place IS 'of those of a lane the lower one is delivered first';

COMMENT ON COLUMN public.webhook_deliveries.lane IS 'what has an order of its own: that of an order waits for its own alone';

COMMENT ON COLUMN public.webhook_deliveries.body IS 'what is sent, frozen before the first attempt; null before';

COMMENT ON COLUMN public.webhook_deliveries.tried_at IS 'when the first attempt since the last time that it was made to wait was made';

CREATE TABLE public.webhook_endpoints (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    owner text NOT NULL,
    api_key_id integer,
    url text NOT NULL,
    description text,
    types text[] NOT NULL,
    channel_ids integer[],
    company_ids integer[],
    shipment_statuses text[],
    order_statuses text[],
    header_names text[] DEFAULT '{}'::text[] NOT NULL,
    header_values text[] DEFAULT '{}'::text[] NOT NULL,
    document text,
    envelope text DEFAULT 'STANDARD'::text NOT NULL,
    signature text DEFAULT 'V1'::text NOT NULL,
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_secret_until timestamp with time zone,
    concurrency integer DEFAULT 10 NOT NULL,
    rate integer,
    disabled_at timestamp with time zone,
    disabled_reason text,
    "position" bigint NOT NULL,
    number bigint NOT NULL,
    held bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    late_until timestamp with time zone DEFAULT now() NOT NULL,
    lost_at timestamp with time zone,
    replay_position bigint,
    replay_number bigint,
    replay_end bigint,
    replay_from timestamp with time zone,
    replay_until timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    failing_since timestamp with time zone,
    paused_until timestamp with time zone,
    delivered_at timestamp with time zone,
    deliverer uuid,
    revision bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_modified_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    asked_until timestamp with time zone,
    moved_below bigint,
    CONSTRAINT webhook_endpoints_concurrency_bounds CHECK (((concurrency >= 1) AND (concurrency <= 100))),
    CONSTRAINT webhook_endpoints_description_length CHECK ((length(description) <= 255)),
    CONSTRAINT webhook_endpoints_document_length CHECK ((length(document) <= 100000)),
    CONSTRAINT webhook_endpoints_envelope_known CHECK ((envelope = ANY (ARRAY['STANDARD'::text, 'CLOUD_EVENTS'::text]))),
    CONSTRAINT webhook_endpoints_headers_in_pairs CHECK ((cardinality(header_names) = cardinality(header_values))),
    CONSTRAINT webhook_endpoints_rate_bounds CHECK (((rate >= 1) AND (rate <= 1000))),
    CONSTRAINT webhook_endpoints_reason_if_disabled CHECK (((disabled_at IS NULL) = (disabled_reason IS NULL))),
    CONSTRAINT webhook_endpoints_reason_known CHECK ((disabled_reason = ANY (ARRAY['BY_OWNER'::text, 'GONE'::text, 'FAILING'::text, 'OWNER_ENDED'::text, 'DOCUMENT_INVALID'::text]))),
    CONSTRAINT webhook_endpoints_signature_known CHECK ((signature = ANY (ARRAY['V1'::text, 'V1A'::text]))),
    CONSTRAINT webhook_endpoints_url_length CHECK ((length(url) <= 2048))
)
WITH (fillfactor='50');

COMMENT ON TABLE public.webhook_endpoints IS 'who is called, and how far in the feed of changes they have been told';

COMMENT ON COLUMN public.webhook_endpoints.owner IS 'subject of the viewer whose sight decides what is told: partner:<id of the API key> or staff:<id>';

COMMENT ON COLUMN public.webhook_endpoints.api_key_id IS 'the key of a partner, with which the endpoint goes; null of staff';

COMMENT ON COLUMN public.webhook_endpoints.secret IS 'what is signed with, as it is: whoever reads it can sign';

COMMENT ON COLUMN public.webhook_endpoints."position" IS 'with number: the place of the last change that was read for it';

COMMENT ON COLUMN public.webhook_endpoints.held IS 'transactions behind the place that are known already';

COMMENT ON COLUMN public.webhook_endpoints.late_until IS 'up to when shipments have been looked for that became late';

COMMENT ON COLUMN public.webhook_endpoints.lost_at IS 'when changes were found to be kept no more that it had not been told';

COMMENT ON COLUMN public.webhook_endpoints.replay_position IS 'as position, of a replay that is under way up to replay_end; null without one';

COMMENT ON COLUMN public.webhook_endpoints.failures IS 'since the last success: attempts that reached nobody, and orders that failed for the first time; ten are a receiver that is away';

COMMENT ON COLUMN public.webhook_endpoints.deliverer IS 'the process that serves it, as long as that one is alive';

COMMENT ON COLUMN public.webhook_endpoints.revision IS 'counts what the process that serves it has to read anew';

COMMENT ON COLUMN public.webhook_endpoints.asked_until IS 'until when the receiver asked to be left alone; paused_until, where that is later, is for one that is away';

COMMENT ON COLUMN public.webhook_endpoints.moved_below IS 'deliveries with a lower place are of before the endpoint was last moved in the feed, and are told again; null if it never was';

ALTER TABLE ONLY public.tracking_events
    ADD CONSTRAINT tracking_events_external_id_unique UNIQUE (track_and_trace_id, external_id, channel_id);

CREATE FUNCTION public.take_waiting_reports(r public.track_and_traces) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
 WITH taken AS (
          DELETE FROM public.waiting_reports w
           WHERE ((public.normalized_code(w.code) = public.normalized_code((take_waiting_reports.r).code)) AND (w.told_at > (now() - '30 days'::interval)) AND ((w.carrier_id = (take_waiting_reports.r).carrier_id) OR ((w.carrier_id IS NULL) AND (w.carrier IS NULL)) OR ((take_waiting_reports.r).carrier_id IS NULL) OR (EXISTS ( SELECT
                    FROM public.carriers c
                   WHERE ((c.id = (take_waiting_reports.r).carrier_id) AND public.is_carrier_called(c.*, w.carrier))))) AND ((w.channel_ids IS NULL) OR ((take_waiting_reports.r).channel_id = ANY (w.channel_ids))) AND ((w.company_ids IS NULL) OR ((take_waiting_reports.r).company_id = ANY (w.company_ids))) AND (NOT public.is_before_parcel(take_waiting_reports.r, COALESCE(w.occurred_at, public.told_at(w.occurred_local, COALESCE((take_waiting_reports.r).carrier_id, w.carrier_id), (take_waiting_reports.r).channel_id)))))
           RETURNING w.id,
             w.code,
             w.carrier_id,
             w.channel_ids,
             w.company_ids,
             w.external_id,
             w.status,
             w.sub_status,
             w.occurred_at,
             w.occurred_local,
             w.expected_delivery_at,
             w.expected_local,
             w.location,
             w.description,
             w.told_by,
             w.told_at,
             w.carrier
         )
  INSERT INTO public.tracking_events (track_and_trace_id, channel_id, external_id, status, sub_status, occurred_at, expected_delivery_at, location, description, recorded_by)  SELECT (take_waiting_reports.r).id AS id,
             (take_waiting_reports.r).channel_id AS channel_id,
             w.external_id,
             w.status,
             w.sub_status,
             COALESCE(w.occurred_at, public.told_at(w.occurred_local, COALESCE((take_waiting_reports.r).carrier_id, w.carrier_id), (take_waiting_reports.r).channel_id)) AS "coalesce",
             COALESCE(w.expected_delivery_at, public.promised_at(w.expected_local, COALESCE((take_waiting_reports.r).carrier_id, w.carrier_id), (take_waiting_reports.r).channel_id)) AS "coalesce",
             w.location,
             w.description,
             w.told_by
            FROM taken w
           ORDER BY w.told_at, w.id ON CONFLICT ON CONSTRAINT tracking_events_external_id_unique DO NOTHING;
END;

ALTER TABLE ONLY public.api_key_channels
    ADD CONSTRAINT api_key_channels_pk PRIMARY KEY (api_key_id, channel_id);

ALTER TABLE ONLY public.api_key_companies
    ADD CONSTRAINT api_key_companies_pk PRIMARY KEY (api_key_id, channel_id, company_id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_hash_unique UNIQUE (key_hash);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_name_unique UNIQUE (name);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.application_callers
    ADD CONSTRAINT application_callers_pk PRIMARY KEY (application_id, caller);

ALTER TABLE ONLY public.applications
    ADD CONSTRAINT applications_name_unique UNIQUE (name);

ALTER TABLE ONLY public.applications
    ADD CONSTRAINT applications_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_entries
    ADD CONSTRAINT audit_entries_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.carrier_descriptions
    ADD CONSTRAINT carrier_descriptions_pk PRIMARY KEY (carrier_id, language);

ALTER TABLE ONLY public.carriers
    ADD CONSTRAINT carriers_key_unique UNIQUE NULLS NOT DISTINCT (channel_id, key);

ALTER TABLE ONLY public.carriers
    ADD CONSTRAINT carriers_name_unique UNIQUE NULLS NOT DISTINCT (channel_id, name);

ALTER TABLE ONLY public.carriers
    ADD CONSTRAINT carriers_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.channel_pages
    ADD CONSTRAINT channel_pages_pk PRIMARY KEY (channel_id);

ALTER TABLE ONLY public.channel_rates
    ADD CONSTRAINT channel_rates_pk PRIMARY KEY (channel_id, currency);

ALTER TABLE ONLY public.channels
    ADD CONSTRAINT channels_code_unique UNIQUE (code);

ALTER TABLE ONLY public.channels
    ADD CONSTRAINT channels_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.commits
    ADD CONSTRAINT commits_pk PRIMARY KEY (number);

ALTER TABLE ONLY public.companies
    ADD CONSTRAINT companies_external_id_unique UNIQUE (external_id, channel_id);

ALTER TABLE ONLY public.companies
    ADD CONSTRAINT companies_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.company_sources
    ADD CONSTRAINT company_sources_pk PRIMARY KEY (company_id, channel_id, name, id);

ALTER TABLE ONLY public.contact_companies
    ADD CONSTRAINT contact_companies_pk PRIMARY KEY (contact_id, channel_id, company_id);

ALTER TABLE ONLY public.contact_sessions
    ADD CONSTRAINT contact_sessions_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.customer_sessions
    ADD CONSTRAINT customer_sessions_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.document_modes
    ADD CONSTRAINT document_modes_pk PRIMARY KEY (caller);

ALTER TABLE ONLY public.feed_beginnings
    ADD CONSTRAINT feed_beginnings_pk PRIMARY KEY ("position");

ALTER TABLE ONLY public.feed_ends
    ADD CONSTRAINT feed_ends_pk PRIMARY KEY ("position");

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pk PRIMARY KEY (actor, key);

ALTER TABLE ONLY public.login_addresses
    ADD CONSTRAINT login_addresses_pk PRIMARY KEY (key_hash);

ALTER TABLE ONLY public.login_attempts
    ADD CONSTRAINT login_attempts_pk PRIMARY KEY (key_hash);

ALTER TABLE ONLY public.order_addresses
    ADD CONSTRAINT order_addresses_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.order_fulfillments
    ADD CONSTRAINT order_fulfillments_pk PRIMARY KEY (order_id, channel_id);

ALTER TABLE ONLY public.order_item_sources
    ADD CONSTRAINT order_item_sources_pk PRIMARY KEY (order_item_id, channel_id, name, id);

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_line_unique UNIQUE (order_id, line, channel_id);

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_of_order UNIQUE (id, order_id, channel_id);

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.order_links
    ADD CONSTRAINT order_links_pk PRIMARY KEY (order_id, channel_id);

ALTER TABLE ONLY public.order_sources
    ADD CONSTRAINT order_sources_pk PRIMARY KEY (order_id, channel_id, name, id);

ALTER TABLE ONLY public.order_status_sets
    ADD CONSTRAINT order_status_sets_name_unique UNIQUE (name);

ALTER TABLE ONLY public.order_status_sets
    ADD CONSTRAINT order_status_sets_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.order_status_successors
    ADD CONSTRAINT order_status_successors_pk PRIMARY KEY (status_id, next_status_id);

ALTER TABLE ONLY public.order_statuses
    ADD CONSTRAINT order_statuses_code_unique UNIQUE (code);

ALTER TABLE ONLY public.order_statuses
    ADD CONSTRAINT order_statuses_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.order_words
    ADD CONSTRAINT order_words_pk PRIMARY KEY (order_id, channel_id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_external_id_unique UNIQUE (external_id, channel_id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_uuid_unique UNIQUE (uuid, channel_id);

ALTER TABLE ONLY public.outbox_events
    ADD CONSTRAINT outbox_events_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.parcel_items
    ADD CONSTRAINT parcel_items_pk PRIMARY KEY (track_and_trace_id, shipment_item_id, channel_id);

ALTER TABLE ONLY public.password_links
    ADD CONSTRAINT password_links_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_sku_unique UNIQUE (sku, channel_id);

ALTER TABLE ONLY public.refund_items
    ADD CONSTRAINT refund_items_pk PRIMARY KEY (refund_id, order_item_id, channel_id);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_of_order UNIQUE (id, order_id, channel_id);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.schema_migration_steps
    ADD CONSTRAINT schema_migration_steps_pk PRIMARY KEY (migration, step);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pk PRIMARY KEY (name);

ALTER TABLE ONLY public.shipment_items
    ADD CONSTRAINT shipment_items_number_unique UNIQUE (number, channel_id);

ALTER TABLE ONLY public.shipment_items
    ADD CONSTRAINT shipment_items_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.shipment_sources
    ADD CONSTRAINT shipment_sources_pk PRIMARY KEY (shipment_id, channel_id, name, id);

ALTER TABLE ONLY public.shipment_status_successors
    ADD CONSTRAINT shipment_status_successors_pk PRIMARY KEY (status, next_status);

ALTER TABLE ONLY public.shipments
    ADD CONSTRAINT shipments_external_id_unique UNIQUE (external_id, order_id, channel_id);

ALTER TABLE ONLY public.shipments
    ADD CONSTRAINT shipments_number_unique UNIQUE (number, channel_id);

ALTER TABLE ONLY public.shipments
    ADD CONSTRAINT shipments_of_order UNIQUE (id, order_id, channel_id);

ALTER TABLE ONLY public.shipments
    ADD CONSTRAINT shipments_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.storefront_keys
    ADD CONSTRAINT storefront_keys_hash_unique UNIQUE (key_hash);

ALTER TABLE ONLY public.storefront_keys
    ADD CONSTRAINT storefront_keys_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.timelines
    ADD CONSTRAINT timelines_pk PRIMARY KEY (system_identifier, timeline);

ALTER TABLE ONLY public.track_and_traces
    ADD CONSTRAINT track_and_traces_code_unique UNIQUE (code, carrier_id, channel_id, use_number);

ALTER TABLE ONLY public.track_and_traces
    ADD CONSTRAINT track_and_traces_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.tracking_events
    ADD CONSTRAINT tracking_events_pk PRIMARY KEY (id, channel_id);

ALTER TABLE ONLY public.transactions
    ADD CONSTRAINT transactions_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.transactions
    ADD CONSTRAINT transactions_position_unique UNIQUE ("position");

ALTER TABLE ONLY public.trusted_document_uses
    ADD CONSTRAINT trusted_document_uses_pk PRIMARY KEY (document_id);

ALTER TABLE ONLY public.trusted_documents
    ADD CONSTRAINT trusted_documents_document_id_unique UNIQUE (application_id, document_id);

ALTER TABLE ONLY public.trusted_documents
    ADD CONSTRAINT trusted_documents_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.waiting_reports
    ADD CONSTRAINT waiting_reports_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT webhook_attempts_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_deliverers
    ADD CONSTRAINT webhook_deliverers_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pk PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pk PRIMARY KEY (id);

CREATE INDEX api_key_channels_channel ON public.api_key_channels USING btree (channel_id);

CREATE INDEX api_key_companies_company ON public.api_key_companies USING btree (company_id, channel_id);

CREATE UNIQUE INDEX api_keys_former_key ON public.api_keys USING btree (former_key_hash);

CREATE INDEX changes_left_shipment ON public.changes USING btree (((old ->> 'shipmentId'::text))) WHERE ((action = 'UPDATED'::text) AND (old ? 'shipmentId'::text));

CREATE INDEX changes_order ON public.changes USING btree (order_id, id) WHERE (type = ANY (ARRAY['ORDER'::text, 'ORDER_ITEM'::text]));

CREATE INDEX changes_shipment ON public.changes USING btree (shipment_id, id) WHERE (shipment_id IS NOT NULL);

CREATE UNIQUE INDEX changes_transaction ON public.changes USING btree (transaction_id, id);

CREATE INDEX channels_delivered_status ON public.channels USING btree (delivered_status);

CREATE INDEX channels_shipped_status ON public.channels USING btree (shipped_status);

CREATE INDEX companies_channel ON public.companies USING btree (channel_id);

CREATE INDEX companies_parent ON public.companies USING btree (parent_id, channel_id);

CREATE INDEX company_sources_source ON public.company_sources USING btree (name, id);

CREATE INDEX contact_companies_company ON public.contact_companies USING btree (company_id, channel_id);

CREATE INDEX contact_sessions_contact ON public.contact_sessions USING btree (contact_id, channel_id);

CREATE INDEX contact_sessions_expiry ON public.contact_sessions USING btree (expires_at);

CREATE UNIQUE INDEX contacts_email_unique ON public.contacts USING btree (channel_id, lower(email));

CREATE INDEX customer_sessions_customer ON public.customer_sessions USING btree (customer_id, channel_id);

CREATE INDEX customer_sessions_expiry ON public.customer_sessions USING btree (expires_at);

CREATE UNIQUE INDEX customers_email_unique ON public.customers USING btree (channel_id, lower(email));

CREATE UNIQUE INDEX customers_external_id_unique ON public.customers USING btree (external_id, channel_id) WHERE (external_id IS NOT NULL);

CREATE INDEX customers_merged_into ON public.customers USING btree (merged_into_id, channel_id) WHERE (merged_into_id IS NOT NULL);

CREATE INDEX customers_phone_alone ON public.customers USING btree (channel_id, phone, id) WHERE ((email IS NULL) AND (external_id IS NULL));

CREATE INDEX idempotency_keys_created ON public.idempotency_keys USING btree (created_at);

CREATE INDEX login_addresses_account ON public.login_addresses USING btree (account_hash, good_at);

CREATE INDEX login_addresses_good ON public.login_addresses USING btree (good_at);

CREATE INDEX login_attempts_latest ON public.login_attempts USING btree (latest_at);

CREATE INDEX order_addresses_order ON public.order_addresses USING btree (order_id, channel_id);

CREATE INDEX order_days_key ON public.order_days USING btree (channel_id, created_on);

CREATE INDEX order_fulfillment_days_key ON public.order_fulfillment_days USING btree (channel_id, created_on);

CREATE INDEX order_fulfillments_channel_status ON public.order_fulfillments USING btree (channel_id, status, created_at DESC, order_id);

CREATE INDEX order_fulfillments_status ON public.order_fulfillments USING btree (status, created_at DESC, order_id) INCLUDE (channel_id);

CREATE INDEX order_fulfillments_wanted ON public.order_fulfillments USING btree (wanted_at, order_id, channel_id) WHERE (wanted_at IS NOT NULL);

CREATE INDEX order_item_sources_item ON public.order_item_sources USING btree (order_item_id, order_id, channel_id);

CREATE UNIQUE INDEX order_items_line_id ON public.order_items USING btree (order_id, line_id, channel_id) WHERE (line_id IS NOT NULL);

CREATE INDEX order_items_order ON public.order_items USING btree (order_id, id);

CREATE INDEX order_items_parent ON public.order_items USING btree (parent_order_item_id, order_id, channel_id) WHERE (parent_order_item_id IS NOT NULL);

CREATE INDEX order_items_sku ON public.order_items USING btree (sku);

CREATE INDEX order_sources_source ON public.order_sources USING btree (name, id);

CREATE INDEX order_status_successors_next ON public.order_status_successors USING btree (next_status_id);

CREATE INDEX order_statuses_set ON public.order_statuses USING btree (status_set_id);

CREATE INDEX order_tallies_key ON public.order_tallies USING btree (company_id, channel_id, status);

CREATE INDEX order_words_words ON public.order_words USING gin (words);

CREATE INDEX orders_channel ON public.orders USING btree (channel_id, created_at DESC, id);

CREATE INDEX orders_channel_last_modified ON public.orders USING btree (channel_id, last_modified_at DESC, id);

CREATE INDEX orders_channel_status ON public.orders USING btree (channel_id, status, created_at DESC, id);

CREATE INDEX orders_channel_status_last_modified ON public.orders USING btree (channel_id, status, last_modified_at DESC, id);

CREATE UNIQUE INDEX orders_company ON public.orders USING btree (company_id, channel_id, created_at DESC, id) INCLUDE (status);

CREATE INDEX orders_company_last_modified ON public.orders USING btree (company_id, channel_id, last_modified_at DESC, id) INCLUDE (status);

CREATE INDEX orders_company_status ON public.orders USING btree (company_id, channel_id, status, created_at DESC, id);

CREATE INDEX orders_contact ON public.orders USING btree (contact_id, channel_id);

CREATE INDEX orders_created ON public.orders USING btree (created_at DESC, id) INCLUDE (channel_id);

CREATE INDEX orders_customer ON public.orders USING btree (customer_id, channel_id, id DESC);

CREATE INDEX orders_due_writer ON public.orders_due USING btree (writer);

CREATE INDEX orders_exported ON public.orders USING btree (exported_at, id) INCLUDE (channel_id) WHERE (exported_at IS NOT NULL);

CREATE INDEX orders_increment ON public.orders USING btree (increment_id, channel_id) WHERE (increment_id IS NOT NULL);

CREATE INDEX orders_last_modified ON public.orders USING btree (last_modified_at DESC, id) INCLUDE (channel_id);

CREATE INDEX orders_original_order ON public.orders USING btree (original_order_id) WHERE (original_order_id IS NOT NULL);

CREATE INDEX orders_reference ON public.orders USING btree (reference) WHERE (reference IS NOT NULL);

CREATE INDEX orders_status ON public.orders USING btree (status, created_at DESC, id) INCLUDE (channel_id);

CREATE INDEX orders_status_id ON public.orders USING btree (status, id) INCLUDE (channel_id, created_at, last_modified_at);

CREATE INDEX orders_total_gross ON public.orders USING btree (total_gross, id) INCLUDE (channel_id);

CREATE INDEX orders_total_gross_down ON public.orders USING btree (total_gross DESC, id) INCLUDE (channel_id);

CREATE INDEX orders_valid_until ON public.orders USING btree (valid_until, id) INCLUDE (channel_id);

CREATE INDEX outbox_events_channel ON public.outbox_events USING btree (channel_id, id);

CREATE INDEX outbox_events_password_link ON public.outbox_events USING btree (password_link_id, channel_id);

CREATE INDEX parcel_items_shipment_item ON public.parcel_items USING btree (shipment_item_id, channel_id);

CREATE INDEX password_links_customer ON public.password_links USING btree (customer_id, channel_id);

CREATE INDEX password_links_expiry ON public.password_links USING btree (expires_at);

CREATE INDEX products_channel ON public.products USING btree (channel_id);

CREATE INDEX refund_items_order_item ON public.refund_items USING btree (order_item_id, order_id, channel_id);

CREATE UNIQUE INDEX refunds_external_id ON public.refunds USING btree (order_id, external_id, channel_id) WHERE (external_id IS NOT NULL);

CREATE INDEX refunds_order ON public.refunds USING btree (order_id, channel_id, created_at, id);

CREATE INDEX shipment_days_key ON public.shipment_days USING btree (channel_id, created_on);

CREATE INDEX shipment_item_days_key ON public.shipment_item_days USING btree (channel_id, created_on);

CREATE INDEX shipment_items_channel ON public.shipment_items USING btree (channel_id, created_at DESC, id);

CREATE INDEX shipment_items_channel_last_modified ON public.shipment_items USING btree (channel_id, last_modified_at DESC, id);

CREATE INDEX shipment_items_company ON public.shipment_items USING btree (company_id, channel_id, created_at DESC, id);

CREATE INDEX shipment_items_company_last_modified ON public.shipment_items USING btree (company_id, channel_id, last_modified_at DESC, id);

CREATE INDEX shipment_items_created ON public.shipment_items USING btree (created_at DESC, id);

CREATE UNIQUE INDEX shipment_items_external_id_unique ON public.shipment_items USING btree (order_id, external_id, channel_id) WHERE (external_id IS NOT NULL);

CREATE INDEX shipment_items_last_modified ON public.shipment_items USING btree (last_modified_at DESC, id);

CREATE INDEX shipment_items_name ON public.shipment_items USING btree (name, id) INCLUDE (channel_id, quantity, created_at, last_modified_at);

CREATE INDEX shipment_items_name_down ON public.shipment_items USING btree (name DESC NULLS LAST, id) INCLUDE (channel_id, quantity, created_at, last_modified_at);

CREATE INDEX shipment_items_of_shipment ON public.shipment_items USING btree (shipment_id, order_item_id) INCLUDE (id, channel_id);

CREATE INDEX shipment_items_order ON public.shipment_items USING btree (order_id, channel_id);

CREATE INDEX shipment_items_order_item ON public.shipment_items USING btree (order_item_id, order_id, channel_id);

CREATE INDEX shipment_items_quantity ON public.shipment_items USING btree (quantity, id) INCLUDE (channel_id, created_at, last_modified_at);

CREATE INDEX shipment_items_sku_down ON public.shipment_items USING btree (sku DESC NULLS LAST, id) INCLUDE (channel_id, quantity, created_at, last_modified_at);

CREATE INDEX shipment_items_sku_id ON public.shipment_items USING btree (sku, id) INCLUDE (channel_id, quantity, created_at, last_modified_at);

CREATE INDEX shipment_sources_id ON public.shipment_sources USING btree (id, order_id, channel_id);

CREATE INDEX shipment_sources_shipment ON public.shipment_sources USING btree (shipment_id, order_id, channel_id);

CREATE INDEX shipment_tallies_key ON public.shipment_tallies USING btree (company_id, channel_id, status);

CREATE INDEX shipments_awaited ON public.shipments USING btree (channel_id, expected_delivery_at, id) INCLUDE (status, created_at, last_modified_at) WHERE ((expected_delivery_at IS NOT NULL) AND (status IS DISTINCT FROM 'DELIVERED'::text) AND (status IS DISTINCT FROM 'CANCELED'::text));

CREATE INDEX shipments_channel ON public.shipments USING btree (channel_id, created_at DESC, id);

CREATE INDEX shipments_channel_expected ON public.shipments USING btree (channel_id, expected_delivery_at, id);

CREATE INDEX shipments_channel_last_modified ON public.shipments USING btree (channel_id, last_modified_at DESC, id);

CREATE INDEX shipments_channel_status ON public.shipments USING btree (channel_id, status, created_at DESC, id);

CREATE INDEX shipments_channel_status_expected ON public.shipments USING btree (channel_id, status, expected_delivery_at, id);

CREATE INDEX shipments_channel_status_last_modified ON public.shipments USING btree (channel_id, status, last_modified_at DESC, id);

CREATE INDEX shipments_company ON public.shipments USING btree (company_id, channel_id, created_at DESC, id) INCLUDE (order_id);

CREATE INDEX shipments_company_last_modified ON public.shipments USING btree (company_id, channel_id, last_modified_at DESC, id) INCLUDE (order_id);

CREATE INDEX shipments_company_status ON public.shipments USING btree (company_id, channel_id, status, created_at DESC, id) INCLUDE (order_id);

CREATE INDEX shipments_created ON public.shipments USING btree (created_at DESC, id) INCLUDE (channel_id);

CREATE INDEX shipments_expected ON public.shipments USING btree (expected_delivery_at, id) INCLUDE (channel_id);

CREATE INDEX shipments_last_modified ON public.shipments USING btree (last_modified_at DESC, id) INCLUDE (channel_id);

CREATE INDEX shipments_order ON public.shipments USING btree (order_id, channel_id);

CREATE INDEX shipments_status ON public.shipments USING btree (status, created_at DESC, id) INCLUDE (channel_id);

CREATE INDEX shipments_status_id ON public.shipments USING btree (status, id) INCLUDE (channel_id, created_at, last_modified_at, expected_delivery_at);

CREATE INDEX storefront_keys_channel ON public.storefront_keys USING btree (channel_id);

CREATE UNIQUE INDEX storefront_keys_former_key ON public.storefront_keys USING btree (former_key_hash);

CREATE INDEX track_and_trace_days_key ON public.track_and_trace_days USING btree (channel_id, created_on);

CREATE INDEX track_and_traces_carrier ON public.track_and_traces USING btree (carrier_id, created_at DESC, id);

CREATE INDEX track_and_traces_carrier_id ON public.track_and_traces USING btree (carrier_id, id) INCLUDE (channel_id, created_at, last_modified_at);

CREATE INDEX track_and_traces_carrier_shipment ON public.track_and_traces USING btree (carrier_id, channel_id, shipment_id);

CREATE INDEX track_and_traces_channel ON public.track_and_traces USING btree (channel_id, created_at DESC, id);

CREATE INDEX track_and_traces_channel_last_modified ON public.track_and_traces USING btree (channel_id, last_modified_at DESC, id);

CREATE UNIQUE INDEX track_and_traces_code_use ON public.track_and_traces USING btree (public.normalized_code(code), carrier_id, channel_id, use_number);

CREATE INDEX track_and_traces_company ON public.track_and_traces USING btree (company_id, channel_id, created_at DESC, id);

CREATE INDEX track_and_traces_company_last_modified ON public.track_and_traces USING btree (company_id, channel_id, last_modified_at DESC, id);

CREATE INDEX track_and_traces_created ON public.track_and_traces USING btree (created_at DESC, id);

CREATE UNIQUE INDEX track_and_traces_external_id_unique ON public.track_and_traces USING btree (order_id, external_id, channel_id) WHERE (external_id IS NOT NULL);

CREATE INDEX track_and_traces_last_modified ON public.track_and_traces USING btree (last_modified_at DESC, id);

CREATE INDEX track_and_traces_of_shipment ON public.track_and_traces USING btree (shipment_id, created_at, id) INCLUDE (channel_id);

CREATE INDEX track_and_traces_order ON public.track_and_traces USING btree (order_id, channel_id);

CREATE INDEX tracking_events_newest ON public.tracking_events USING btree (track_and_trace_id, occurred_at DESC, status_rank DESC, id DESC);

CREATE INDEX trusted_documents_fields ON public.trusted_documents USING gin (fields);

CREATE INDEX trusted_documents_hash ON public.trusted_documents USING btree (application_id, hash);

CREATE INDEX trusted_documents_significant_hash ON public.trusted_documents USING btree (application_id, significant_hash);

CREATE INDEX waiting_reports_age ON public.waiting_reports USING btree (told_at);

CREATE INDEX waiting_reports_carrier ON public.waiting_reports USING btree (carrier_id);

CREATE INDEX waiting_reports_code ON public.waiting_reports USING btree (public.normalized_code(code));

CREATE UNIQUE INDEX waiting_reports_external_id_unique ON public.waiting_reports USING btree (told_by, public.normalized_code(code), carrier_id, external_id) NULLS NOT DISTINCT WHERE (external_id IS NOT NULL);

CREATE INDEX waiting_reports_page ON public.waiting_reports USING btree (public.page_host(code)) WHERE (public.page_host(code) IS NOT NULL);

CREATE INDEX waiting_reports_told ON public.waiting_reports USING btree (told_by, told_at);

CREATE INDEX webhook_attempts_age ON public.webhook_attempts USING btree (started_at);

CREATE INDEX webhook_attempts_of_delivery ON public.webhook_attempts USING btree (delivery_id, id);

CREATE INDEX webhook_deliveries_ended ON public.webhook_deliveries USING btree (ended_at);

CREATE INDEX webhook_deliveries_listed ON public.webhook_deliveries USING btree (endpoint_id, place);

CREATE INDEX webhook_deliveries_waiting ON public.webhook_deliveries USING btree (endpoint_id, place) WHERE (state = 'WAITING'::text);

CREATE INDEX webhook_endpoints_api_key ON public.webhook_endpoints USING btree (api_key_id);

CREATE INDEX webhook_endpoints_owner ON public.webhook_endpoints USING btree (owner, id);

CREATE TRIGGER api_key_channels_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.api_key_channels FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER api_key_companies_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.api_key_companies FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER api_keys_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.api_keys FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER application_callers_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.application_callers FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER applications_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.applications FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER carrier_descriptions_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.carrier_descriptions FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER carriers_channel_of_codes BEFORE UPDATE OF channel_id ON public.carriers FOR EACH ROW WHEN (((new.channel_id IS NOT NULL) AND (new.channel_id IS DISTINCT FROM old.channel_id))) EXECUTE FUNCTION public.check_codes_of_carrier();

CREATE TRIGGER carriers_key_given BEFORE INSERT OR UPDATE ON public.carriers FOR EACH ROW EXECUTE FUNCTION public.give_carrier_key();

CREATE TRIGGER carriers_moments_new BEFORE INSERT ON public.carriers FOR EACH ROW WHEN (((NOT public.is_moment(new.created_at)) OR (NOT public.is_moment(new.last_modified_at)))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at');

CREATE TRIGGER carriers_moments_other BEFORE UPDATE OF created_at, last_modified_at ON public.carriers FOR EACH ROW WHEN ((((new.created_at IS DISTINCT FROM old.created_at) AND (NOT public.is_moment(new.created_at))) OR ((new.last_modified_at IS DISTINCT FROM old.last_modified_at) AND (NOT public.is_moment(new.last_modified_at))))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at');

CREATE TRIGGER carriers_name_new BEFORE INSERT ON public.carriers FOR EACH ROW WHEN ((NOT public.is_plain_line(new.name))) EXECUTE FUNCTION public.refuse_value('name');

CREATE TRIGGER carriers_name_other BEFORE UPDATE OF name ON public.carriers FOR EACH ROW WHEN (((new.name <> old.name) AND (NOT public.is_plain_line(new.name)))) EXECUTE FUNCTION public.refuse_value('name');

CREATE CONSTRAINT TRIGGER carriers_news_came AFTER INSERT OR UPDATE OF channel_id, key, name, source_name, track_and_trace_url ON public.carriers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.look_for_news_of_carrier();

CREATE TRIGGER carriers_record_created AFTER INSERT ON public.carriers REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_carriers();

CREATE TRIGGER carriers_record_deleted AFTER DELETE ON public.carriers REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_carriers();

CREATE TRIGGER carriers_record_updated AFTER UPDATE ON public.carriers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_carriers();

CREATE TRIGGER carriers_renamed BEFORE UPDATE OF name ON public.carriers FOR EACH ROW WHEN (((new.name <> old.name) AND (new.source_name IS NULL))) EXECUTE FUNCTION public.note_source_name();

CREATE TRIGGER carriers_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.carriers FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER carriers_time_zone_new BEFORE INSERT ON public.carriers FOR EACH ROW WHEN (((new.time_zone <> 'UTC'::text) AND (NOT public.is_time_zone(new.time_zone)))) EXECUTE FUNCTION public.refuse_value('time_zone');

CREATE TRIGGER carriers_time_zone_other BEFORE UPDATE OF time_zone ON public.carriers FOR EACH ROW WHEN (((new.time_zone <> COALESCE(old.time_zone, 'UTC'::text)) AND (NOT public.is_time_zone(new.time_zone)))) EXECUTE FUNCTION public.refuse_value('time_zone');

CREATE TRIGGER carriers_url_new BEFORE INSERT ON public.carriers FOR EACH ROW WHEN ((NOT public.is_tracking_template(new.track_and_trace_url))) EXECUTE FUNCTION public.refuse_value('track_and_trace_url');

CREATE TRIGGER carriers_url_other BEFORE UPDATE OF track_and_trace_url ON public.carriers FOR EACH ROW WHEN (((new.track_and_trace_url IS DISTINCT FROM old.track_and_trace_url) AND (NOT public.is_tracking_template(new.track_and_trace_url)))) EXECUTE FUNCTION public.refuse_value('track_and_trace_url');

CREATE TRIGGER carriers_version BEFORE UPDATE ON public.carriers FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER channel_pages_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.channel_pages FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER channels_currency_new BEFORE INSERT ON public.channels FOR EACH ROW WHEN ((NOT public.is_currency(new.currency))) EXECUTE FUNCTION public.refuse_value('currency');

CREATE TRIGGER channels_currency_other BEFORE UPDATE OF currency ON public.channels FOR EACH ROW WHEN (((new.currency <> old.currency) AND (NOT public.is_currency(new.currency)))) EXECUTE FUNCTION public.refuse_value('currency');

CREATE TRIGGER channels_currency_stays BEFORE UPDATE OF currency ON public.channels FOR EACH ROW WHEN ((new.currency <> old.currency)) EXECUTE FUNCTION public.keep_currency();

CREATE TRIGGER channels_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.channels FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER channels_time_zone_new BEFORE INSERT ON public.channels FOR EACH ROW WHEN (((new.time_zone <> 'UTC'::text) AND (NOT public.is_time_zone(new.time_zone)))) EXECUTE FUNCTION public.refuse_value('time_zone');

CREATE TRIGGER channels_time_zone_other BEFORE UPDATE OF time_zone ON public.channels FOR EACH ROW WHEN (((new.time_zone <> old.time_zone) AND (NOT public.is_time_zone(new.time_zone)))) EXECUTE FUNCTION public.refuse_value('time_zone');

CREATE TRIGGER companies_name_new BEFORE INSERT ON public.companies FOR EACH ROW WHEN ((NOT public.is_plain_line(new.name))) EXECUTE FUNCTION public.refuse_value('name');

CREATE TRIGGER companies_name_other BEFORE UPDATE OF name ON public.companies FOR EACH ROW WHEN (((new.name IS DISTINCT FROM old.name) AND (NOT public.is_plain_line(new.name)))) EXECUTE FUNCTION public.refuse_value('name');

CREATE TRIGGER companies_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.companies FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER contact_companies_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.contact_companies FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER contact_sessions_end AFTER UPDATE OF revoked_at, expires_at ON public.contact_sessions FOR EACH ROW WHEN (((new.revoked_at IS DISTINCT FROM old.revoked_at) OR (new.expires_at < old.expires_at))) EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER contact_sessions_go AFTER DELETE ON public.contact_sessions FOR EACH ROW WHEN (((old.revoked_at IS NULL) AND (old.expires_at > now()))) EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER contact_sessions_go_all AFTER TRUNCATE ON public.contact_sessions FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER contacts_end_sessions AFTER UPDATE OF password_hash, is_active ON public.contacts FOR EACH ROW WHEN (((new.password_hash IS DISTINCT FROM old.password_hash) OR (NOT new.is_active))) EXECUTE FUNCTION public.end_contact_sessions();

CREATE TRIGGER contacts_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.contacts FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER customers_due_update AFTER UPDATE OF email, phone ON public.customers FOR EACH ROW WHEN (((old.email IS DISTINCT FROM new.email) OR (old.phone IS DISTINCT FROM new.phone))) EXECUTE FUNCTION public.note_due_customers();

CREATE TRIGGER customers_first_name_new BEFORE INSERT ON public.customers FOR EACH ROW WHEN ((NOT public.is_plain(new.first_name))) EXECUTE FUNCTION public.refuse_value('first_name');

CREATE TRIGGER customers_first_name_other BEFORE UPDATE OF first_name ON public.customers FOR EACH ROW WHEN (((new.first_name IS DISTINCT FROM old.first_name) AND (NOT public.is_plain(new.first_name)))) EXECUTE FUNCTION public.refuse_value('first_name');

CREATE TRIGGER customers_last_name_new BEFORE INSERT ON public.customers FOR EACH ROW WHEN ((NOT public.is_plain(new.last_name))) EXECUTE FUNCTION public.refuse_value('last_name');

CREATE TRIGGER customers_last_name_other BEFORE UPDATE OF last_name ON public.customers FOR EACH ROW WHEN (((new.last_name IS DISTINCT FROM old.last_name) AND (NOT public.is_plain(new.last_name)))) EXECUTE FUNCTION public.refuse_value('last_name');

CREATE TRIGGER customers_moments_new BEFORE INSERT ON public.customers FOR EACH ROW WHEN (((NOT public.is_moment(new.created_at)) OR (NOT public.is_moment(new.last_modified_at)))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at');

CREATE TRIGGER customers_moments_other BEFORE UPDATE OF created_at, last_modified_at ON public.customers FOR EACH ROW WHEN ((((new.created_at IS DISTINCT FROM old.created_at) AND (NOT public.is_moment(new.created_at))) OR ((new.last_modified_at IS DISTINCT FROM old.last_modified_at) AND (NOT public.is_moment(new.last_modified_at))))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at');

CREATE TRIGGER document_modes_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.document_modes FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER order_addresses_city_new BEFORE INSERT ON public.order_addresses FOR EACH ROW WHEN ((NOT public.is_plain(new.city))) EXECUTE FUNCTION public.refuse_value('city');

CREATE TRIGGER order_addresses_city_other BEFORE UPDATE OF city ON public.order_addresses FOR EACH ROW WHEN (((new.city <> old.city) AND (NOT public.is_plain(new.city)))) EXECUTE FUNCTION public.refuse_value('city');

CREATE TRIGGER order_addresses_company_new BEFORE INSERT ON public.order_addresses FOR EACH ROW WHEN ((NOT public.is_plain(new.company))) EXECUTE FUNCTION public.refuse_value('company');

CREATE TRIGGER order_addresses_company_other BEFORE UPDATE OF company ON public.order_addresses FOR EACH ROW WHEN (((new.company IS DISTINCT FROM old.company) AND (NOT public.is_plain(new.company)))) EXECUTE FUNCTION public.refuse_value('company');

CREATE TRIGGER order_addresses_due_delete AFTER DELETE ON public.order_addresses REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_rows();

CREATE TRIGGER order_addresses_due_insert AFTER INSERT ON public.order_addresses REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_rows();

CREATE TRIGGER order_addresses_due_update AFTER UPDATE ON public.order_addresses REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_rows();

CREATE TRIGGER order_addresses_first_name_new BEFORE INSERT ON public.order_addresses FOR EACH ROW WHEN ((NOT public.is_plain(new.first_name))) EXECUTE FUNCTION public.refuse_value('first_name');

CREATE TRIGGER order_addresses_first_name_other BEFORE UPDATE OF first_name ON public.order_addresses FOR EACH ROW WHEN (((new.first_name IS DISTINCT FROM old.first_name) AND (NOT public.is_plain(new.first_name)))) EXECUTE FUNCTION public.refuse_value('first_name');

CREATE TRIGGER order_addresses_last_name_new BEFORE INSERT ON public.order_addresses FOR EACH ROW WHEN ((NOT public.is_plain(new.last_name))) EXECUTE FUNCTION public.refuse_value('last_name');

CREATE TRIGGER order_addresses_last_name_other BEFORE UPDATE OF last_name ON public.order_addresses FOR EACH ROW WHEN (((new.last_name IS DISTINCT FROM old.last_name) AND (NOT public.is_plain(new.last_name)))) EXECUTE FUNCTION public.refuse_value('last_name');

CREATE TRIGGER order_addresses_street_new BEFORE INSERT ON public.order_addresses FOR EACH ROW WHEN ((NOT public.is_plain(new.street))) EXECUTE FUNCTION public.refuse_value('street');

CREATE TRIGGER order_addresses_street_other BEFORE UPDATE OF street ON public.order_addresses FOR EACH ROW WHEN (((new.street <> old.street) AND (NOT public.is_plain(new.street)))) EXECUTE FUNCTION public.refuse_value('street');

CREATE TRIGGER order_days_fold AFTER INSERT ON public.order_days REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (((random() < (0.0625)::double precision) AND (current_setting('transaction_isolation'::text) = 'read committed'::text))) EXECUTE FUNCTION public.fold_order_days();

CREATE TRIGGER order_fulfillment_days_fold AFTER INSERT ON public.order_fulfillment_days REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (((random() < (0.0625)::double precision) AND (current_setting('transaction_isolation'::text) = 'read committed'::text))) EXECUTE FUNCTION public.fold_order_fulfillment_days();

CREATE TRIGGER order_fulfillments_tally_days_delete AFTER DELETE ON public.order_fulfillments REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.tally_order_fulfillment_days();

CREATE TRIGGER order_fulfillments_tally_days_insert AFTER INSERT ON public.order_fulfillments REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_order_fulfillment_days();

CREATE TRIGGER order_fulfillments_tally_days_truncate AFTER TRUNCATE ON public.order_fulfillments FOR EACH STATEMENT EXECUTE FUNCTION public.tally_order_fulfillment_days();

CREATE TRIGGER order_fulfillments_tally_days_update AFTER UPDATE ON public.order_fulfillments REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_order_fulfillment_days();

CREATE TRIGGER order_items_amounts_new BEFORE INSERT ON public.order_items FOR EACH ROW WHEN ((NOT public.are_amounts('JPY'::text, ARRAY[new.price_total, new.price_total_net, new.tax], NULL::numeric[]))) EXECUTE FUNCTION public.check_line_amounts();

CREATE TRIGGER order_items_amounts_other BEFORE UPDATE OF price_total, price_total_net, tax ON public.order_items FOR EACH ROW WHEN (((new.price_total <> old.price_total) OR (new.price_total_net <> old.price_total_net) OR (new.tax <> old.tax))) EXECUTE FUNCTION public.check_line_amounts();

CREATE CONSTRAINT TRIGGER order_items_bundle_new AFTER INSERT ON public.order_items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.parent_order_item_id IS NOT NULL) AND (new.class = 'product'::text) AND (new.quantity > 0))) EXECUTE FUNCTION public.refuse_bundle();

CREATE CONSTRAINT TRIGGER order_items_bundle_other AFTER UPDATE OF parent_order_item_id, class, quantity ON public.order_items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.parent_order_item_id IS NOT NULL) AND (new.class = 'product'::text) AND (new.quantity > 0) AND ((new.parent_order_item_id IS DISTINCT FROM old.parent_order_item_id) OR (new.class <> old.class) OR (old.quantity <= 0)))) EXECUTE FUNCTION public.refuse_bundle();

CREATE TRIGGER order_items_canceled_new BEFORE INSERT ON public.order_items FOR EACH ROW WHEN (((new.quantity_canceled < 0) OR (new.quantity_canceled > GREATEST(new.quantity, 0)))) EXECUTE FUNCTION public.refuse_value('quantity_canceled');

CREATE TRIGGER order_items_canceled_other BEFORE UPDATE OF quantity, quantity_canceled ON public.order_items FOR EACH ROW WHEN ((((new.quantity <> old.quantity) OR (new.quantity_canceled <> old.quantity_canceled)) AND ((new.quantity_canceled < 0) OR (new.quantity_canceled > GREATEST(new.quantity, 0))))) EXECUTE FUNCTION public.refuse_value('quantity_canceled');

CREATE TRIGGER order_items_class_stays BEFORE UPDATE OF class ON public.order_items FOR EACH ROW WHEN (((old.quantity_shipped > 0) AND public.is_shippable_class(old.class) AND (NOT public.is_shippable_class(new.class)))) EXECUTE FUNCTION public.keep_goods('class');

CREATE TRIGGER order_items_count_bundle BEFORE UPDATE OF quantity, quantity_canceled ON public.order_items FOR EACH ROW WHEN (((new.quantity IS DISTINCT FROM old.quantity) OR (new.quantity_canceled IS DISTINCT FROM old.quantity_canceled))) EXECUTE FUNCTION public.count_bundle();

CREATE TRIGGER order_items_count_part_created AFTER INSERT ON public.order_items FOR EACH ROW WHEN ((new.parent_order_item_id IS NOT NULL)) EXECUTE FUNCTION public.count_bundle_of_part();

CREATE TRIGGER order_items_count_part_deleted AFTER DELETE ON public.order_items FOR EACH ROW WHEN ((old.parent_order_item_id IS NOT NULL)) EXECUTE FUNCTION public.count_bundle_of_part();

CREATE TRIGGER order_items_count_part_updated AFTER UPDATE OF quantity, quantity_canceled, class, parent_order_item_id ON public.order_items FOR EACH ROW WHEN ((((new.parent_order_item_id IS NOT NULL) OR (old.parent_order_item_id IS NOT NULL)) AND ((new.quantity <> old.quantity) OR (new.quantity_canceled <> old.quantity_canceled) OR (new.class <> old.class) OR (new.parent_order_item_id IS DISTINCT FROM old.parent_order_item_id)))) EXECUTE FUNCTION public.count_bundle_of_part();

CREATE TRIGGER order_items_due_delete AFTER DELETE ON public.order_items REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_rows();

CREATE TRIGGER order_items_due_insert AFTER INSERT ON public.order_items REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_rows();

CREATE TRIGGER order_items_follow AFTER UPDATE ON public.order_items REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.follow_order_items();

CREATE TRIGGER order_items_moments_new BEFORE INSERT ON public.order_items FOR EACH ROW WHEN ((NOT public.is_moment(new.request_date))) EXECUTE FUNCTION public.refuse_moment('request_date');

CREATE TRIGGER order_items_moments_other BEFORE UPDATE OF request_date ON public.order_items FOR EACH ROW WHEN (((new.request_date IS DISTINCT FROM old.request_date) AND (NOT public.is_moment(new.request_date)))) EXECUTE FUNCTION public.refuse_moment('request_date');

CREATE TRIGGER order_items_name_new BEFORE INSERT ON public.order_items FOR EACH ROW WHEN ((NOT public.is_plain_line(new.name))) EXECUTE FUNCTION public.refuse_value('name');

CREATE TRIGGER order_items_name_other BEFORE UPDATE OF name ON public.order_items FOR EACH ROW WHEN (((new.name <> old.name) AND (NOT public.is_plain_line(new.name)))) EXECUTE FUNCTION public.refuse_value('name');

CREATE TRIGGER order_items_parent_new BEFORE INSERT ON public.order_items FOR EACH ROW WHEN ((new.parent_order_item_id IS NOT NULL)) EXECUTE FUNCTION public.refuse_parent();

CREATE TRIGGER order_items_parent_other BEFORE UPDATE OF parent_order_item_id ON public.order_items FOR EACH ROW WHEN (((new.parent_order_item_id IS NOT NULL) AND (new.parent_order_item_id IS DISTINCT FROM old.parent_order_item_id))) EXECUTE FUNCTION public.refuse_parent();

CREATE TRIGGER order_items_prices_new BEFORE INSERT ON public.order_items FOR EACH ROW WHEN ((NOT public.are_prices(ARRAY[new.original_price, new.price, new.price_net, new.customer_price, new.cost_price, new.discount], NULL::numeric[]))) EXECUTE FUNCTION public.refuse_value('price');

CREATE TRIGGER order_items_prices_other BEFORE UPDATE OF original_price, price, price_net, customer_price, cost_price, discount ON public.order_items FOR EACH ROW WHEN ((NOT public.are_prices(ARRAY[new.original_price, new.price, new.price_net, new.customer_price, new.cost_price, new.discount], ARRAY[old.original_price, old.price, old.price_net, old.customer_price, old.cost_price, old.discount]))) EXECUTE FUNCTION public.refuse_value('price');

CREATE TRIGGER order_items_sku_new BEFORE INSERT ON public.order_items FOR EACH ROW WHEN ((NOT public.is_plain_line(new.sku))) EXECUTE FUNCTION public.refuse_value('sku');

CREATE TRIGGER order_items_sku_other BEFORE UPDATE OF sku ON public.order_items FOR EACH ROW WHEN (((new.sku <> old.sku) AND (NOT public.is_plain_line(new.sku)))) EXECUTE FUNCTION public.refuse_value('sku');

CREATE TRIGGER order_items_sku_stays BEFORE UPDATE OF sku ON public.order_items FOR EACH ROW WHEN (((old.quantity_shipped > 0) AND (lower(new.sku) <> lower(old.sku)))) EXECUTE FUNCTION public.keep_goods('sku');

CREATE TRIGGER order_items_version BEFORE UPDATE OF quantity, quantity_canceled, class, parent_order_item_id ON public.order_items FOR EACH ROW WHEN (((new.quantity <> old.quantity) OR (new.quantity_canceled <> old.quantity_canceled) OR (new.class <> old.class) OR (new.parent_order_item_id IS DISTINCT FROM old.parent_order_item_id))) EXECUTE FUNCTION public.raise_line_version();

CREATE TRIGGER order_status_sets_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.order_status_sets FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER order_status_successors_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.order_status_successors FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER order_statuses_due_update AFTER UPDATE OF customer_status, order_type ON public.order_statuses FOR EACH ROW WHEN (((old.customer_status IS DISTINCT FROM new.customer_status) OR (old.order_type IS DISTINCT FROM new.order_type))) EXECUTE FUNCTION public.note_due_statuses();

CREATE TRIGGER order_statuses_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.order_statuses FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER order_tallies_fold AFTER INSERT ON public.order_tallies REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (((random() < (0.0625)::double precision) AND (current_setting('transaction_isolation'::text) = 'read committed'::text))) EXECUTE FUNCTION public.fold_tallies();

CREATE TRIGGER orders_amounts_new BEFORE INSERT ON public.orders FOR EACH ROW WHEN ((NOT public.are_amounts(new.currency, ARRAY[new.total_gross, new.total_net, new.total_tax, new.sub_total, new.discount_amount, new.invoiced_total, new.refunded_total, new.postage_gross, new.postage_net, new.postage_tax, new.payment_gross, new.payment_net, new.payment_tax], NULL::numeric[]))) EXECUTE FUNCTION public.refuse_value('total_net');

CREATE TRIGGER orders_amounts_other BEFORE UPDATE OF currency, total_gross, total_net, total_tax, sub_total, discount_amount, invoiced_total, refunded_total, postage_gross, postage_net, postage_tax, payment_gross, payment_net, payment_tax ON public.orders FOR EACH ROW WHEN ((NOT public.are_amounts(new.currency, ARRAY[new.total_gross, new.total_net, new.total_tax, new.sub_total, new.discount_amount, new.invoiced_total, new.refunded_total, new.postage_gross, new.postage_net, new.postage_tax, new.payment_gross, new.payment_net, new.payment_tax],
        CASE
            WHEN (new.currency = old.currency) THEN ARRAY[old.total_gross, old.total_net, old.total_tax, old.sub_total, old.discount_amount, old.invoiced_total, old.refunded_total, old.postage_gross, old.postage_net, old.postage_tax, old.payment_gross, old.payment_net, old.payment_tax]
            ELSE NULL::numeric[]
        END))) EXECUTE FUNCTION public.refuse_value('total_net');

CREATE TRIGGER orders_currency_new BEFORE INSERT ON public.orders FOR EACH ROW WHEN ((NOT public.is_currency(new.currency))) EXECUTE FUNCTION public.refuse_value('currency');

CREATE TRIGGER orders_currency_other BEFORE UPDATE OF currency ON public.orders FOR EACH ROW WHEN (((new.currency <> old.currency) AND (NOT public.is_currency(new.currency)))) EXECUTE FUNCTION public.refuse_value('currency');

CREATE CONSTRAINT TRIGGER orders_due_at_commit AFTER INSERT ON public.orders_due DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.is_first) EXECUTE FUNCTION public.refresh_due_orders();

CREATE TRIGGER orders_due_delete AFTER DELETE ON public.orders REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_rows();

CREATE TRIGGER orders_due_insert AFTER INSERT ON public.orders REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_rows();

CREATE TRIGGER orders_due_truncate AFTER TRUNCATE ON public.orders FOR EACH STATEMENT EXECUTE FUNCTION public.forget_found_orders();

CREATE TRIGGER orders_due_update AFTER UPDATE ON public.orders REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_orders();

CREATE TRIGGER orders_moments_new BEFORE INSERT ON public.orders FOR EACH ROW WHEN (((NOT public.is_moment(new.created_at)) OR (NOT public.is_moment(new.last_modified_at)) OR (NOT public.is_moment(new.source_modified_at)) OR (NOT public.is_moment(new.postage_request_date)) OR (NOT public.is_moment(new.status_date)) OR (NOT public.is_moment(new.payment_status_date)) OR (NOT public.is_moment(new.email_date)) OR (NOT public.is_moment(new.valid_until)) OR (NOT public.is_moment(new.exported_at)))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at', 'source_modified_at', 'postage_request_date', 'status_date', 'payment_status_date', 'email_date', 'valid_until', 'exported_at');

CREATE TRIGGER orders_moments_other BEFORE UPDATE OF created_at, last_modified_at, source_modified_at, postage_request_date, status_date, payment_status_date, email_date, valid_until, exported_at ON public.orders FOR EACH ROW WHEN ((((new.created_at IS DISTINCT FROM old.created_at) AND (NOT public.is_moment(new.created_at))) OR ((new.last_modified_at IS DISTINCT FROM old.last_modified_at) AND (NOT public.is_moment(new.last_modified_at))) OR ((new.source_modified_at IS DISTINCT FROM old.source_modified_at) AND (NOT public.is_moment(new.source_modified_at))) OR ((new.postage_request_date IS DISTINCT FROM old.postage_request_date) AND (NOT public.is_moment(new.postage_request_date))) OR ((new.status_date IS DISTINCT FROM old.status_date) AND (NOT public.is_moment(new.status_date))) OR ((new.payment_status_date IS DISTINCT FROM old.payment_status_date) AND (NOT public.is_moment(new.payment_status_date))) OR ((new.email_date IS DISTINCT FROM old.email_date) AND (NOT public.is_moment(new.email_date))) OR ((new.valid_until IS DISTINCT FROM old.valid_until) AND (NOT public.is_moment(new.valid_until))) OR ((new.exported_at IS DISTINCT FROM old.exported_at) AND (NOT public.is_moment(new.exported_at))))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at', 'source_modified_at', 'postage_request_date', 'status_date', 'payment_status_date', 'email_date', 'valid_until', 'exported_at');

CREATE TRIGGER orders_pass_company_on AFTER UPDATE OF company_id ON public.orders FOR EACH ROW WHEN ((old.company_id IS DISTINCT FROM new.company_id)) EXECUTE FUNCTION public.pass_company_on();

CREATE TRIGGER orders_past_new BEFORE INSERT ON public.orders FOR EACH ROW WHEN (((new.created_at > (now() + '1 day'::interval)) OR (new.source_modified_at > (now() + '1 day'::interval)))) EXECUTE FUNCTION public.refuse_future('created_at', 'source_modified_at');

CREATE TRIGGER orders_past_other BEFORE UPDATE OF created_at, source_modified_at ON public.orders FOR EACH ROW WHEN ((((new.created_at IS DISTINCT FROM old.created_at) AND (new.created_at > (now() + '1 day'::interval))) OR ((new.source_modified_at IS DISTINCT FROM old.source_modified_at) AND (new.source_modified_at > (now() + '1 day'::interval))))) EXECUTE FUNCTION public.refuse_future('created_at', 'source_modified_at');

CREATE TRIGGER orders_ratio_new BEFORE INSERT ON public.orders FOR EACH ROW WHEN ((new.currency_ratio IS DISTINCT FROM (1)::numeric)) EXECUTE FUNCTION public.set_currency_ratio();

CREATE TRIGGER orders_ratio_other BEFORE UPDATE OF currency, currency_ratio ON public.orders FOR EACH ROW WHEN (((new.currency <> old.currency) OR (new.currency_ratio IS DISTINCT FROM old.currency_ratio))) EXECUTE FUNCTION public.set_currency_ratio();

CREATE TRIGGER orders_record_created AFTER INSERT ON public.orders REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_orders();

CREATE TRIGGER orders_record_deleted AFTER DELETE ON public.orders REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_orders();

CREATE TRIGGER orders_record_updated AFTER UPDATE ON public.orders REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_orders();

CREATE TRIGGER orders_source_said BEFORE UPDATE OF status, payment_status ON public.orders FOR EACH ROW WHEN (((old.external_id IS NOT NULL) AND ((old.source_status IS NULL) OR (old.source_payment_status IS NULL)) AND ((new.status IS DISTINCT FROM old.status) OR (new.payment_status IS DISTINCT FROM old.payment_status)) AND (current_setting('waybill.actor'::text, true) IS DISTINCT FROM 'import'::text))) EXECUTE FUNCTION public.note_what_source_said();

CREATE TRIGGER orders_status_set BEFORE UPDATE OF status ON public.orders FOR EACH ROW WHEN (((new.status <> old.status) AND (current_setting('waybill.actor'::text, true) IS DISTINCT FROM 'import'::text))) EXECUTE FUNCTION public.note_status();

CREATE TRIGGER orders_tally_days_delete AFTER DELETE ON public.orders REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.tally_order_days();

CREATE TRIGGER orders_tally_days_insert AFTER INSERT ON public.orders REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_order_days();

CREATE TRIGGER orders_tally_days_truncate AFTER TRUNCATE ON public.orders FOR EACH STATEMENT EXECUTE FUNCTION public.tally_order_days();

CREATE TRIGGER orders_tally_days_update AFTER UPDATE ON public.orders REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_order_days();

CREATE TRIGGER orders_tally_delete AFTER DELETE ON public.orders REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.tally_orders();

CREATE TRIGGER orders_tally_insert AFTER INSERT ON public.orders REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_orders();

CREATE TRIGGER orders_tally_truncate AFTER TRUNCATE ON public.orders FOR EACH STATEMENT EXECUTE FUNCTION public.tally_orders();

CREATE TRIGGER orders_tally_update AFTER UPDATE ON public.orders REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_orders();

CREATE TRIGGER orders_version BEFORE UPDATE ON public.orders FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER parcel_items_created AFTER INSERT ON public.parcel_items REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.check_parcel_items();

CREATE TRIGGER parcel_items_updated AFTER UPDATE ON public.parcel_items REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.check_parcel_items();

CREATE TRIGGER refund_items_amount BEFORE INSERT OR UPDATE OF amount ON public.refund_items FOR EACH ROW EXECUTE FUNCTION public.check_refund();

CREATE TRIGGER refund_items_sum_delete AFTER DELETE ON public.refund_items REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.sum_refund_items();

CREATE TRIGGER refund_items_sum_insert AFTER INSERT ON public.refund_items REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.sum_refund_items();

CREATE TRIGGER refund_items_sum_update AFTER UPDATE ON public.refund_items REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.sum_refund_items();

CREATE TRIGGER refunds_amount BEFORE INSERT OR UPDATE OF amount ON public.refunds FOR EACH ROW EXECUTE FUNCTION public.check_refund();

CREATE TRIGGER refunds_moments_new BEFORE INSERT ON public.refunds FOR EACH ROW WHEN (((NOT public.is_moment(new.created_at)) OR (NOT public.is_moment(new.last_modified_at)))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at');

CREATE TRIGGER refunds_moments_other BEFORE UPDATE OF created_at, last_modified_at ON public.refunds FOR EACH ROW WHEN ((((new.created_at IS DISTINCT FROM old.created_at) AND (NOT public.is_moment(new.created_at))) OR ((new.last_modified_at IS DISTINCT FROM old.last_modified_at) AND (NOT public.is_moment(new.last_modified_at))))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at');

CREATE TRIGGER refunds_past_new BEFORE INSERT ON public.refunds FOR EACH ROW WHEN ((new.created_at > (now() + '1 day'::interval))) EXECUTE FUNCTION public.refuse_future('created_at');

CREATE TRIGGER refunds_past_other BEFORE UPDATE OF created_at ON public.refunds FOR EACH ROW WHEN (((new.created_at IS DISTINCT FROM old.created_at) AND (new.created_at > (now() + '1 day'::interval)))) EXECUTE FUNCTION public.refuse_future('created_at');

CREATE TRIGGER refunds_sum_delete AFTER DELETE ON public.refunds REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.sum_refunds();

CREATE TRIGGER refunds_sum_insert AFTER INSERT ON public.refunds REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.sum_refunds();

CREATE TRIGGER refunds_sum_update AFTER UPDATE ON public.refunds REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.sum_refunds();

CREATE TRIGGER shipment_days_fold AFTER INSERT ON public.shipment_days REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (((random() < (0.0625)::double precision) AND (current_setting('transaction_isolation'::text) = 'read committed'::text))) EXECUTE FUNCTION public.fold_shipment_days();

CREATE TRIGGER shipment_item_days_fold AFTER INSERT ON public.shipment_item_days REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (((random() < (0.0625)::double precision) AND (current_setting('transaction_isolation'::text) = 'read committed'::text))) EXECUTE FUNCTION public.fold_shipment_item_days();

CREATE TRIGGER shipment_items_allowed_created AFTER INSERT ON public.shipment_items REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.check_shipped_items();

CREATE TRIGGER shipment_items_allowed_deleted AFTER DELETE ON public.shipment_items REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.check_shipped_items();

CREATE TRIGGER shipment_items_allowed_updated AFTER UPDATE ON public.shipment_items REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.check_shipped_items();

CREATE TRIGGER shipment_items_changed_is_unpacked AFTER UPDATE OF shipment_id, order_item_id, quantity ON public.shipment_items FOR EACH ROW WHEN (((old.shipment_id <> new.shipment_id) OR (old.order_item_id <> new.order_item_id) OR (new.quantity < old.quantity))) EXECUTE FUNCTION public.unpack_changed_item();

CREATE TRIGGER shipment_items_count_created AFTER INSERT ON public.shipment_items REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_shipped_of_items();

CREATE TRIGGER shipment_items_count_deleted AFTER DELETE ON public.shipment_items REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_shipped_of_items();

CREATE TRIGGER shipment_items_count_updated AFTER UPDATE ON public.shipment_items REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_shipped_of_items();

CREATE TRIGGER shipment_items_moments_new BEFORE INSERT ON public.shipment_items FOR EACH ROW WHEN (((NOT public.is_moment(new.created_at)) OR (NOT public.is_moment(new.last_modified_at)))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at');

CREATE TRIGGER shipment_items_moments_other BEFORE UPDATE OF created_at, last_modified_at ON public.shipment_items FOR EACH ROW WHEN ((((new.created_at IS DISTINCT FROM old.created_at) AND (NOT public.is_moment(new.created_at))) OR ((new.last_modified_at IS DISTINCT FROM old.last_modified_at) AND (NOT public.is_moment(new.last_modified_at))))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at');

CREATE TRIGGER shipment_items_name_new BEFORE INSERT ON public.shipment_items FOR EACH ROW WHEN ((NOT public.is_plain(new.name))) EXECUTE FUNCTION public.refuse_value('name');

CREATE TRIGGER shipment_items_name_other BEFORE UPDATE OF name ON public.shipment_items FOR EACH ROW WHEN (((new.name IS DISTINCT FROM old.name) AND (NOT public.is_plain(new.name)))) EXECUTE FUNCTION public.refuse_value('name');

CREATE TRIGGER shipment_items_record_created AFTER INSERT ON public.shipment_items REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_shipment_items();

CREATE TRIGGER shipment_items_record_deleted AFTER DELETE ON public.shipment_items REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_shipment_items();

CREATE TRIGGER shipment_items_record_updated AFTER UPDATE ON public.shipment_items REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_shipment_items();

CREATE TRIGGER shipment_items_sku_new BEFORE INSERT ON public.shipment_items FOR EACH ROW WHEN ((NOT public.is_plain(new.sku))) EXECUTE FUNCTION public.refuse_value('sku');

CREATE TRIGGER shipment_items_sku_other BEFORE UPDATE OF sku ON public.shipment_items FOR EACH ROW WHEN (((new.sku IS DISTINCT FROM old.sku) AND (NOT public.is_plain(new.sku)))) EXECUTE FUNCTION public.refuse_value('sku');

CREATE TRIGGER shipment_items_take_company BEFORE INSERT OR UPDATE OF order_id, channel_id, company_id ON public.shipment_items FOR EACH ROW EXECUTE FUNCTION public.take_company_of_order();

CREATE TRIGGER shipment_items_tally_days_delete AFTER DELETE ON public.shipment_items REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipment_item_days();

CREATE TRIGGER shipment_items_tally_days_insert AFTER INSERT ON public.shipment_items REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipment_item_days();

CREATE TRIGGER shipment_items_tally_days_truncate AFTER TRUNCATE ON public.shipment_items FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipment_item_days();

CREATE TRIGGER shipment_items_tally_days_update AFTER UPDATE ON public.shipment_items REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipment_item_days();

CREATE TRIGGER shipment_items_version BEFORE UPDATE ON public.shipment_items FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER shipment_tallies_fold AFTER INSERT ON public.shipment_tallies REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (((random() < (0.0625)::double precision) AND (current_setting('transaction_isolation'::text) = 'read committed'::text))) EXECUTE FUNCTION public.fold_tallies();

CREATE TRIGGER shipments_allowed_created AFTER INSERT ON public.shipments REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.check_shipped_orders();

CREATE TRIGGER shipments_closed_stay BEFORE DELETE ON public.shipments FOR EACH ROW WHEN (((old.status = ANY (ARRAY['DELIVERED'::text, 'CANCELED'::text])) AND (current_setting('waybill.overridden_steps'::text, true) IS DISTINCT FROM 'allowed'::text) AND (current_setting('waybill.skipped_steps'::text, true) IS DISTINCT FROM 'allowed'::text))) EXECUTE FUNCTION public.refuse_deletion();

CREATE TRIGGER shipments_count_updated AFTER UPDATE ON public.shipments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_shipped_of_shipments();

CREATE TRIGGER shipments_due_delete AFTER DELETE ON public.shipments REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_rows();

CREATE TRIGGER shipments_due_insert AFTER INSERT ON public.shipments REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_new_shipments();

CREATE TRIGGER shipments_due_update AFTER UPDATE ON public.shipments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_shipments();

CREATE TRIGGER shipments_external_id_new BEFORE INSERT ON public.shipments FOR EACH ROW WHEN (((NOT public.is_line(new.external_id)) OR (length(new.external_id) > 255))) EXECUTE FUNCTION public.refuse_value('external_id');

CREATE TRIGGER shipments_external_id_other BEFORE UPDATE OF external_id ON public.shipments FOR EACH ROW WHEN (((new.external_id IS DISTINCT FROM old.external_id) AND ((NOT public.is_line(new.external_id)) OR (length(new.external_id) > 255)))) EXECUTE FUNCTION public.refuse_value('external_id');

CREATE TRIGGER shipments_moments_new BEFORE INSERT ON public.shipments FOR EACH ROW WHEN (((NOT public.is_moment(new.created_at)) OR (NOT public.is_moment(new.last_modified_at)) OR (NOT public.is_moment(new.expected_delivery_at)) OR (NOT public.is_moment(new.status_set_at)))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at', 'expected_delivery_at', 'status_set_at');

CREATE TRIGGER shipments_moments_other BEFORE UPDATE OF created_at, last_modified_at, expected_delivery_at, status_set_at ON public.shipments FOR EACH ROW WHEN ((((new.created_at IS DISTINCT FROM old.created_at) AND (NOT public.is_moment(new.created_at))) OR ((new.last_modified_at IS DISTINCT FROM old.last_modified_at) AND (NOT public.is_moment(new.last_modified_at))) OR ((new.expected_delivery_at IS DISTINCT FROM old.expected_delivery_at) AND (NOT public.is_moment(new.expected_delivery_at))) OR ((new.status_set_at IS DISTINCT FROM old.status_set_at) AND (NOT public.is_moment(new.status_set_at))))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at', 'expected_delivery_at', 'status_set_at');

CREATE TRIGGER shipments_past_new BEFORE INSERT ON public.shipments FOR EACH ROW WHEN (((new.created_at > (now() + '1 day'::interval)) OR (new.status_set_at > (now() + '1 day'::interval)))) EXECUTE FUNCTION public.refuse_future('created_at', 'status_set_at');

CREATE TRIGGER shipments_past_other BEFORE UPDATE OF created_at, status_set_at ON public.shipments FOR EACH ROW WHEN ((((new.created_at IS DISTINCT FROM old.created_at) AND (new.created_at > (now() + '1 day'::interval))) OR ((new.status_set_at IS DISTINCT FROM old.status_set_at) AND (new.status_set_at > (now() + '1 day'::interval))))) EXECUTE FUNCTION public.refuse_future('created_at', 'status_set_at');

CREATE TRIGGER shipments_promise_new BEFORE INSERT ON public.shipments FOR EACH ROW WHEN ((new.expected_delivery_at < (new.created_at - '25:00:00'::interval))) EXECUTE FUNCTION public.refuse_promise();

CREATE TRIGGER shipments_promise_other BEFORE UPDATE OF expected_delivery_at ON public.shipments FOR EACH ROW WHEN (((new.expected_delivery_at IS DISTINCT FROM old.expected_delivery_at) AND (new.expected_delivery_at < (new.created_at - '25:00:00'::interval)))) EXECUTE FUNCTION public.refuse_promise();

CREATE TRIGGER shipments_record_created AFTER INSERT ON public.shipments REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_shipments();

CREATE TRIGGER shipments_record_deleted AFTER DELETE ON public.shipments REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_shipments();

CREATE TRIGGER shipments_record_updated AFTER UPDATE ON public.shipments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_shipments();

CREATE TRIGGER shipments_status_follows BEFORE UPDATE OF status ON public.shipments FOR EACH ROW WHEN (((old.status <> new.status) OR ((new.status IS NULL) AND (old.status IS NOT NULL)))) EXECUTE FUNCTION public.check_shipment_status();

CREATE TRIGGER shipments_status_is_set BEFORE UPDATE OF status ON public.shipments FOR EACH ROW WHEN ((old.status IS DISTINCT FROM new.status)) EXECUTE FUNCTION public.note_setting_of_status();

CREATE TRIGGER shipments_status_set BEFORE UPDATE OF status ON public.shipments FOR EACH ROW WHEN (((new.status IS DISTINCT FROM old.status) AND ((current_setting('waybill.actor'::text, true) IS DISTINCT FROM 'import'::text) OR (current_setting('waybill.skipped_steps'::text, true) = 'codes'::text)))) EXECUTE FUNCTION public.note_status();

CREATE TRIGGER shipments_take_company BEFORE INSERT OR UPDATE OF order_id, channel_id, company_id ON public.shipments FOR EACH ROW EXECUTE FUNCTION public.take_company_of_order();

CREATE TRIGGER shipments_tally_days_delete AFTER DELETE ON public.shipments REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipment_days();

CREATE TRIGGER shipments_tally_days_insert AFTER INSERT ON public.shipments REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipment_days();

CREATE TRIGGER shipments_tally_days_truncate AFTER TRUNCATE ON public.shipments FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipment_days();

CREATE TRIGGER shipments_tally_days_update AFTER UPDATE ON public.shipments REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipment_days();

CREATE TRIGGER shipments_tally_delete AFTER DELETE ON public.shipments REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipments();

CREATE TRIGGER shipments_tally_insert AFTER INSERT ON public.shipments REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipments();

CREATE TRIGGER shipments_tally_truncate AFTER TRUNCATE ON public.shipments FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipments();

CREATE TRIGGER shipments_tally_update AFTER UPDATE ON public.shipments REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_shipments();

CREATE TRIGGER shipments_version BEFORE UPDATE ON public.shipments FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER storefront_keys_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.storefront_keys FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE TRIGGER track_and_trace_days_fold AFTER INSERT ON public.track_and_trace_days REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (((random() < (0.0625)::double precision) AND (current_setting('transaction_isolation'::text) = 'read committed'::text))) EXECUTE FUNCTION public.fold_track_and_trace_days();

CREATE TRIGGER track_and_traces_carrier_created AFTER INSERT ON public.track_and_traces REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.check_carriers_of_codes();

CREATE TRIGGER track_and_traces_carrier_updated AFTER UPDATE ON public.track_and_traces REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.check_carriers_of_codes();

CREATE TRIGGER track_and_traces_code_new BEFORE INSERT ON public.track_and_traces FOR EACH ROW WHEN ((NOT public.is_code(new.code))) EXECUTE FUNCTION public.refuse_value('code');

CREATE TRIGGER track_and_traces_code_other BEFORE UPDATE OF code ON public.track_and_traces FOR EACH ROW WHEN (((new.code <> old.code) AND (NOT public.is_code(new.code)))) EXECUTE FUNCTION public.refuse_value('code');

CREATE TRIGGER track_and_traces_deleted_is_followed AFTER DELETE ON public.track_and_traces FOR EACH ROW EXECUTE FUNCTION public.follow_moved_code();

CREATE TRIGGER track_and_traces_due_delete AFTER DELETE ON public.track_and_traces REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_rows();

CREATE TRIGGER track_and_traces_due_insert AFTER INSERT ON public.track_and_traces REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_new_codes();

CREATE TRIGGER track_and_traces_due_update AFTER UPDATE ON public.track_and_traces REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.note_due_codes();

CREATE TRIGGER track_and_traces_moments_new BEFORE INSERT ON public.track_and_traces FOR EACH ROW WHEN (((NOT public.is_moment(new.created_at)) OR (NOT public.is_moment(new.last_modified_at)) OR (NOT public.is_moment(new.expected_delivery_at)))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at', 'expected_delivery_at');

CREATE TRIGGER track_and_traces_moments_other BEFORE UPDATE OF created_at, last_modified_at, expected_delivery_at ON public.track_and_traces FOR EACH ROW WHEN ((((new.created_at IS DISTINCT FROM old.created_at) AND (NOT public.is_moment(new.created_at))) OR ((new.last_modified_at IS DISTINCT FROM old.last_modified_at) AND (NOT public.is_moment(new.last_modified_at))) OR ((new.expected_delivery_at IS DISTINCT FROM old.expected_delivery_at) AND (NOT public.is_moment(new.expected_delivery_at))))) EXECUTE FUNCTION public.refuse_moment('created_at', 'last_modified_at', 'expected_delivery_at');

CREATE TRIGGER track_and_traces_moved_is_followed AFTER UPDATE OF shipment_id ON public.track_and_traces FOR EACH ROW WHEN ((old.shipment_id <> new.shipment_id)) EXECUTE FUNCTION public.follow_moved_code();

CREATE TRIGGER track_and_traces_moved_is_unpacked AFTER UPDATE OF shipment_id ON public.track_and_traces FOR EACH ROW WHEN ((old.shipment_id <> new.shipment_id)) EXECUTE FUNCTION public.unpack_moved_code();

CREATE TRIGGER track_and_traces_record_created AFTER INSERT ON public.track_and_traces REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_track_and_traces();

CREATE TRIGGER track_and_traces_record_deleted AFTER DELETE ON public.track_and_traces REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_track_and_traces();

CREATE TRIGGER track_and_traces_record_updated AFTER UPDATE ON public.track_and_traces REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_track_and_traces();

CREATE TRIGGER track_and_traces_take_company BEFORE INSERT OR UPDATE OF order_id, channel_id, company_id ON public.track_and_traces FOR EACH ROW EXECUTE FUNCTION public.take_company_of_order();

CREATE TRIGGER track_and_traces_tally_days_delete AFTER DELETE ON public.track_and_traces REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.tally_track_and_trace_days();

CREATE TRIGGER track_and_traces_tally_days_insert AFTER INSERT ON public.track_and_traces REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_track_and_trace_days();

CREATE TRIGGER track_and_traces_tally_days_truncate AFTER TRUNCATE ON public.track_and_traces FOR EACH STATEMENT EXECUTE FUNCTION public.tally_track_and_trace_days();

CREATE TRIGGER track_and_traces_tally_days_update AFTER UPDATE ON public.track_and_traces REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.tally_track_and_trace_days();

CREATE TRIGGER track_and_traces_use_new BEFORE INSERT ON public.track_and_traces FOR EACH ROW WHEN ((new.carrier_id IS NOT NULL)) EXECUTE FUNCTION public.number_use_of_code();

CREATE TRIGGER track_and_traces_use_other BEFORE UPDATE OF code, carrier_id, shipment_id ON public.track_and_traces FOR EACH ROW WHEN (((new.carrier_id IS NOT NULL) AND ((new.code <> old.code) OR (new.carrier_id IS DISTINCT FROM old.carrier_id) OR (new.shipment_id <> old.shipment_id)))) EXECUTE FUNCTION public.number_use_of_code();

CREATE TRIGGER track_and_traces_version BEFORE UPDATE ON public.track_and_traces FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER track_and_traces_waited_for AFTER INSERT ON public.track_and_traces REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.give_waiting_reports();

CREATE TRIGGER track_and_traces_waited_for_changed AFTER UPDATE OF code, carrier_id ON public.track_and_traces FOR EACH ROW WHEN (((old.code <> new.code) OR (old.carrier_id IS DISTINCT FROM new.carrier_id))) EXECUTE FUNCTION public.give_waiting_reports_to_code();

CREATE CONSTRAINT TRIGGER track_and_traces_waited_for_meanwhile AFTER INSERT OR UPDATE OF code, carrier_id ON public.track_and_traces DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.look_for_waiting_reports();

CREATE TRIGGER tracking_events_added_are_recorded AFTER INSERT ON public.tracking_events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.record_tracking_events();

CREATE TRIGGER tracking_events_are_followed AFTER INSERT ON public.tracking_events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.follow_events();

CREATE TRIGGER tracking_events_moments_new BEFORE INSERT ON public.tracking_events FOR EACH ROW WHEN (((NOT public.is_moment(new.occurred_at)) OR (NOT public.is_moment(new.recorded_at)) OR (NOT public.is_moment(new.expected_delivery_at)))) EXECUTE FUNCTION public.refuse_moment('occurred_at', 'recorded_at', 'expected_delivery_at');

CREATE TRIGGER tracking_events_moments_other BEFORE UPDATE OF occurred_at, recorded_at, expected_delivery_at ON public.tracking_events FOR EACH ROW WHEN ((((new.occurred_at IS DISTINCT FROM old.occurred_at) AND (NOT public.is_moment(new.occurred_at))) OR ((new.recorded_at IS DISTINCT FROM old.recorded_at) AND (NOT public.is_moment(new.recorded_at))) OR ((new.expected_delivery_at IS DISTINCT FROM old.expected_delivery_at) AND (NOT public.is_moment(new.expected_delivery_at))))) EXECUTE FUNCTION public.refuse_moment('occurred_at', 'recorded_at', 'expected_delivery_at');

CREATE TRIGGER tracking_events_past_new BEFORE INSERT ON public.tracking_events FOR EACH ROW WHEN ((new.occurred_at > (now() + '1 day'::interval))) EXECUTE FUNCTION public.refuse_future('occurred_at');

CREATE TRIGGER tracking_events_past_other BEFORE UPDATE OF occurred_at ON public.tracking_events FOR EACH ROW WHEN (((new.occurred_at IS DISTINCT FROM old.occurred_at) AND (new.occurred_at > (now() + '1 day'::interval)))) EXECUTE FUNCTION public.refuse_future('occurred_at');

CREATE TRIGGER tracking_events_promise_is_followed AFTER INSERT ON public.tracking_events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.follow_promises();

CREATE CONSTRAINT TRIGGER transactions_take_number AFTER INSERT ON public.transactions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new."position" IS NULL)) EXECUTE FUNCTION public.take_commit_number();

CREATE TRIGGER trusted_documents_tell AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.trusted_documents FOR EACH STATEMENT EXECUTE FUNCTION public.tell_change();

CREATE CONSTRAINT TRIGGER waiting_reports_code_came AFTER INSERT OR UPDATE OF code ON public.waiting_reports DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.look_for_reported_code();

ALTER TABLE ONLY public.api_key_channels
    ADD CONSTRAINT api_key_channels_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.api_key_channels
    ADD CONSTRAINT api_key_channels_key_fk FOREIGN KEY (api_key_id) REFERENCES public.api_keys(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.api_key_companies
    ADD CONSTRAINT api_key_companies_channel_fk FOREIGN KEY (api_key_id, channel_id) REFERENCES public.api_key_channels(api_key_id, channel_id);

ALTER TABLE ONLY public.api_key_companies
    ADD CONSTRAINT api_key_companies_company_fk FOREIGN KEY (company_id, channel_id) REFERENCES public.companies(id, channel_id);

ALTER TABLE ONLY public.application_callers
    ADD CONSTRAINT application_callers_application_fk FOREIGN KEY (application_id) REFERENCES public.applications(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.carrier_descriptions
    ADD CONSTRAINT carrier_descriptions_carrier_fk FOREIGN KEY (carrier_id) REFERENCES public.carriers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.carriers
    ADD CONSTRAINT carriers_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.channel_pages
    ADD CONSTRAINT channel_pages_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.channel_rates
    ADD CONSTRAINT channel_rates_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.channels
    ADD CONSTRAINT channels_delivered_status_fk FOREIGN KEY (delivered_status) REFERENCES public.order_statuses(code);

ALTER TABLE ONLY public.channels
    ADD CONSTRAINT channels_shipped_status_fk FOREIGN KEY (shipped_status) REFERENCES public.order_statuses(code);

ALTER TABLE ONLY public.companies
    ADD CONSTRAINT companies_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.companies
    ADD CONSTRAINT companies_parent_fk FOREIGN KEY (parent_id, channel_id) REFERENCES public.companies(id, channel_id);

ALTER TABLE ONLY public.company_sources
    ADD CONSTRAINT company_sources_company_fk FOREIGN KEY (company_id, channel_id) REFERENCES public.companies(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.contact_companies
    ADD CONSTRAINT contact_companies_company_fk FOREIGN KEY (company_id, channel_id) REFERENCES public.companies(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.contact_companies
    ADD CONSTRAINT contact_companies_contact_fk FOREIGN KEY (contact_id, channel_id) REFERENCES public.contacts(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.contact_sessions
    ADD CONSTRAINT contact_sessions_contact_fk FOREIGN KEY (contact_id, channel_id) REFERENCES public.contacts(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.customer_sessions
    ADD CONSTRAINT customer_sessions_customer_fk FOREIGN KEY (customer_id, channel_id) REFERENCES public.customers(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_merged_into_fk FOREIGN KEY (merged_into_id, channel_id) REFERENCES public.customers(id, channel_id);

ALTER TABLE ONLY public.order_addresses
    ADD CONSTRAINT order_addresses_order_fk FOREIGN KEY (order_id, channel_id) REFERENCES public.orders(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.order_item_sources
    ADD CONSTRAINT order_item_sources_item_fk FOREIGN KEY (order_item_id, order_id, channel_id) REFERENCES public.order_items(id, order_id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_order_fk FOREIGN KEY (order_id, channel_id) REFERENCES public.orders(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_parent_fk FOREIGN KEY (parent_order_item_id, order_id, channel_id) REFERENCES public.order_items(id, order_id, channel_id);

ALTER TABLE ONLY public.order_links
    ADD CONSTRAINT order_links_order_fk FOREIGN KEY (order_id, channel_id) REFERENCES public.orders(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.order_sources
    ADD CONSTRAINT order_sources_order_fk FOREIGN KEY (order_id, channel_id) REFERENCES public.orders(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.order_status_successors
    ADD CONSTRAINT order_status_successors_next_fk FOREIGN KEY (next_status_id) REFERENCES public.order_statuses(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.order_status_successors
    ADD CONSTRAINT order_status_successors_status_fk FOREIGN KEY (status_id) REFERENCES public.order_statuses(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.order_statuses
    ADD CONSTRAINT order_statuses_set_fk FOREIGN KEY (status_set_id) REFERENCES public.order_status_sets(id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_company_fk FOREIGN KEY (company_id, channel_id) REFERENCES public.companies(id, channel_id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_contact_fk FOREIGN KEY (contact_id, channel_id) REFERENCES public.contacts(id, channel_id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_customer_fk FOREIGN KEY (customer_id, channel_id) REFERENCES public.customers(id, channel_id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_status_fk FOREIGN KEY (status) REFERENCES public.order_statuses(code);

ALTER TABLE ONLY public.outbox_events
    ADD CONSTRAINT outbox_events_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.outbox_events
    ADD CONSTRAINT outbox_events_password_link_fk FOREIGN KEY (password_link_id, channel_id) REFERENCES public.password_links(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.parcel_items
    ADD CONSTRAINT parcel_items_shipment_item_fk FOREIGN KEY (shipment_item_id, channel_id) REFERENCES public.shipment_items(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.parcel_items
    ADD CONSTRAINT parcel_items_track_and_trace_fk FOREIGN KEY (track_and_trace_id, channel_id) REFERENCES public.track_and_traces(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.password_links
    ADD CONSTRAINT password_links_customer_fk FOREIGN KEY (customer_id, channel_id) REFERENCES public.customers(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.refund_items
    ADD CONSTRAINT refund_items_order_item_fk FOREIGN KEY (order_item_id, order_id, channel_id) REFERENCES public.order_items(id, order_id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refund_items
    ADD CONSTRAINT refund_items_refund_fk FOREIGN KEY (refund_id, order_id, channel_id) REFERENCES public.refunds(id, order_id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_order_fk FOREIGN KEY (order_id, channel_id) REFERENCES public.orders(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.shipment_items
    ADD CONSTRAINT shipment_items_order_item_fk FOREIGN KEY (order_item_id, order_id, channel_id) REFERENCES public.order_items(id, order_id, channel_id);

ALTER TABLE ONLY public.shipment_items
    ADD CONSTRAINT shipment_items_shipment_fk FOREIGN KEY (shipment_id, order_id, channel_id) REFERENCES public.shipments(id, order_id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.shipment_sources
    ADD CONSTRAINT shipment_sources_shipment_fk FOREIGN KEY (shipment_id, order_id, channel_id) REFERENCES public.shipments(id, order_id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.shipments
    ADD CONSTRAINT shipments_order_fk FOREIGN KEY (order_id, channel_id) REFERENCES public.orders(id, channel_id);

ALTER TABLE ONLY public.storefront_keys
    ADD CONSTRAINT storefront_keys_channel_fk FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.track_and_traces
    ADD CONSTRAINT track_and_traces_carrier_fk FOREIGN KEY (carrier_id) REFERENCES public.carriers(id);

ALTER TABLE ONLY public.track_and_traces
    ADD CONSTRAINT track_and_traces_shipment_fk FOREIGN KEY (shipment_id, order_id, channel_id) REFERENCES public.shipments(id, order_id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tracking_events
    ADD CONSTRAINT tracking_events_track_and_trace_fk FOREIGN KEY (track_and_trace_id, channel_id) REFERENCES public.track_and_traces(id, channel_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.trusted_document_uses
    ADD CONSTRAINT trusted_document_uses_document_fk FOREIGN KEY (document_id) REFERENCES public.trusted_documents(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.trusted_documents
    ADD CONSTRAINT trusted_documents_application_fk FOREIGN KEY (application_id) REFERENCES public.applications(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.waiting_reports
    ADD CONSTRAINT waiting_reports_carrier_fk FOREIGN KEY (carrier_id) REFERENCES public.carriers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT webhook_attempts_delivery_fk FOREIGN KEY (delivery_id) REFERENCES public.webhook_deliveries(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_endpoint_fk FOREIGN KEY (endpoint_id) REFERENCES public.webhook_endpoints(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_api_key_fk FOREIGN KEY (api_key_id) REFERENCES public.api_keys(id) ON DELETE CASCADE;
