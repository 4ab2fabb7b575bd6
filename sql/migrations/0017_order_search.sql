-- What orders are found by: their words, and how far they are fulfilled (decision 28).

-- step: say what words are
-- Orders are found by words (decision 28). A word is a run of letters and digits without case and accents; how it is
-- composed does not matter, nor what locale the server has: `lower` may know ASCII alone.
CREATE FUNCTION folded(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value ~ '^[\u0001-\u007f]*$' THEN lower(value) ELSE
  replace(replace(replace(replace(translate(
    lower(regexp_replace(normalize(value, NFKD), '[\u0300-\u036f]', '', 'g')),
    'ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩςАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЂЄЅІЈЉЊЋЏØøŁłĐđÐðıÆŒÞẞ',
    'αβγδεζηθικλμνξοπρστυφχψωσабвгдежзийклмнопрстуфхцчшщъыьэюяђєѕіјљњћџoollddddiæœþß'),
    'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th') END;
CREATE FUNCTION words_of(value text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_remove(string_to_array(regexp_replace(
  folded(value),
  '[\u0001-\u002f\u003a-\u0060\u007b-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u2000-\u206f\u20a0-\u20cf\u2100-\u214f\u2190-\u2bff\u3000-\u303f\ufe30-\ufe6f\ufeff]+',
  ' ', 'g'), ' '), '');
-- A number that people write with blanks and hyphens or without: a code, a telephone number, a postal code.
CREATE FUNCTION number_of(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(array_to_string(words_of(value), ''), 64);
-- The last digits of a telephone number, which are the same with and without the code of its country.
CREATE FUNCTION phone_of(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN right(ltrim(regexp_replace(normalize(value, NFKC), '[^0-9]', '', 'g'), '0'), 9);

-- step: say what a search asks for
-- A word of one field of OrderSearchFields. No word has a colon, so nobody who searches in all fields finds these.
CREATE FUNCTION field_word(field text, word text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN concat(':', array_position(ARRAY[
  'ID', 'ACCOUNTING_ID', 'DEBTOR_ID', 'EXTERNAL_ORDER_ID', 'EXTRA3', 'EXTRA4', 'INVOICE_ADDRESS_COMPANY',
  'INVOICE_ADDRESS_FIRST_NAME', 'INVOICE_ADDRESS_LAST_NAME', 'RECIPIENT_COMPANY', 'RECIPIENT_EMAIL',
  'RECIPIENT_FIRST_NAME', 'RECIPIENT_LAST_NAME', 'REFERENCE', 'REMARKS', 'ITEM_EAN_CODE', 'ITEM_MANUFACTURER',
  'ITEM_MANUFACTURER_CODE', 'ITEM_NAME', 'ITEM_NOTES', 'ITEM_SKU', 'ITEM_SUPPLIER', 'ITEM_SUPPLIER_CODE', 'CITY', 'CODE',
  'CUSTOMER_EMAIL', 'CUSTOMER_NAME', 'PHONE', 'POSTAL_CODE', 'SHIPMENT_EXTERNAL_ID'
], field), ':', word);
-- One word, or the beginning of one, in any of the fields; null are all.
CREATE FUNCTION word_query(word text, is_beginning boolean, fields text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT concat('(', string_agg(concat('''', x.lexeme, '''', CASE WHEN is_beginning THEN ':*' END), ' | '), ')')
  FROM (
    SELECT word AS lexeme WHERE fields IS NULL
    UNION ALL
    SELECT field_word(f.field, word) FROM unnest(fields) AS f (field)
  ) AS x;
END;
-- All words, each as the beginning of one from three letters on; or the whole of them as one number, with or without the
-- zeros before it, or the end of a telephone number.
CREATE FUNCTION search_query(term text, fields text[]) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE WHEN cardinality(w.words) > 0 AND (fields IS NULL OR cardinality(fields) > 0) THEN concat_ws(' | ',
    (SELECT string_agg(word_query(left(x.word, 64), length(x.word) > 2, fields), ' & ') FROM unnest(w.words) AS x (word)),
    CASE WHEN cardinality(w.words) > 1 AND length(w.number) > 2 THEN word_query(w.number, true, fields) END,
    CASE WHEN w.number ~ '^0[0-9]{6,}$' THEN word_query(ltrim(w.number, '0'), true, fields) END,
    CASE WHEN w.number ~ '^[0-9]{10,15}$' THEN word_query(phone_of(w.number), false, fields) END
  )::tsquery END
  FROM (SELECT words_of(term) AS words, number_of(term) AS number) AS w;
END;
-- One of these words, whole, in a field.
CREATE FUNCTION any_of(words text[], field text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT string_agg(word_query(x.word, false, ARRAY[field]), ' | ')::tsquery
  FROM unnest(words) AS x (word)
  WHERE x.word <> '';
END;
-- Whose an order is, among its words: so what one company or customer finds costs by what it has.
CREATE FUNCTION owner_word(kind text, id int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN concat(':', kind, ':', id);
CREATE FUNCTION owned_by(kind text, ids int[]) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT string_agg(concat('''', owner_word(kind, x.id), ''''), ' | ')::tsquery FROM unnest(ids) AS x (id);
END;
CREATE FUNCTION numbers_of(texts text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT ARRAY(SELECT number_of(x.value) FROM unnest(texts) AS x (value));
END;
CREATE FUNCTION phones_of(texts text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT ARRAY(SELECT phone_of(x.value) FROM unnest(texts) AS x (value));
END;

-- step: say by which words an order is found
-- Each word twice, with its field and without. Of numbers the whole is a word too, of telephone numbers every end of six
-- digits or more. A tsvector holds a megabyte of words; the order's own come first.
CREATE FUNCTION words_of_order(of_order_id int, of_channel_id int) RETURNS tsvector
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

-- step: say how far an order is fulfilled
-- As `fulfillmentStatus` of the order has it. `wanted_at`: when it was asked for, while some of it is to be shipped.
CREATE FUNCTION fulfillment_of_order(
  of_order_id int, of_channel_id int, OUT status text, OUT created_at timestamptz, OUT wanted_at timestamptz
)
LANGUAGE plpgsql STABLE AS $$
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

-- step: make room for what orders are found by
CREATE TABLE order_words (
  order_id   int NOT NULL,
  channel_id int NOT NULL,
  words      tsvector NOT NULL,
  CONSTRAINT order_words_pk PRIMARY KEY (order_id, channel_id)
);
COMMENT ON TABLE order_words IS 'the words that orders are found by; kept by triggers, as of the commit of each write';
CREATE TABLE order_fulfillments (
  order_id   int NOT NULL,
  channel_id int NOT NULL,
  status     text NOT NULL,
  created_at timestamptz NOT NULL,
  wanted_at  timestamptz,
  CONSTRAINT order_fulfillments_pk PRIMARY KEY (order_id, channel_id)
);
COMMENT ON TABLE order_fulfillments IS 'how far orders are fulfilled; kept by triggers, as of the commit of each write';
COMMENT ON COLUMN order_fulfillments.created_at IS 'as the order has it, so that an index can hold it beside the status';
COMMENT ON COLUMN order_fulfillments.wanted_at IS 'postage_request_date of an order of which some is still to be shipped; null otherwise';
CREATE INDEX order_fulfillments_status ON order_fulfillments (status, created_at DESC, order_id) INCLUDE (channel_id);
CREATE INDEX order_fulfillments_channel_status ON order_fulfillments (channel_id, status, created_at DESC, order_id);
CREATE INDEX order_fulfillments_wanted ON order_fulfillments (wanted_at, order_id, channel_id) WHERE wanted_at IS NOT NULL;
-- What a transaction has still to do before it commits: its own rows, which nobody else ever sees. The first of them has it
-- done.
CREATE UNLOGGED TABLE orders_due (
  writer      xid8 NOT NULL DEFAULT pg_current_xact_id(),
  order_ids   int[] NOT NULL,
  channel_ids int[] NOT NULL,
  words       boolean[] NOT NULL,
  is_first    boolean NOT NULL
);
COMMENT ON TABLE orders_due IS 'orders whose words or fulfillment the present transaction counts anew when it commits; empty otherwise';
CREATE INDEX orders_due_writer ON orders_due (writer);

-- step: count anew once, when a transaction commits
-- Rows are locked, in one sequence, before anything is looked at: of two who write the same order, the second sees what
-- the first has written.
CREATE FUNCTION refresh_due_orders() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  ids int[];
  channel_ids int[];
  wordy boolean[];
BEGIN
  PERFORM set_config('waybill.due', '', true);
  WITH taken AS (
    DELETE FROM orders_due d WHERE d.writer = pg_current_xact_id() RETURNING d.order_ids, d.channel_ids, d.words
  ), due AS (
    SELECT n.order_id, n.channel_id, bool_or(n.words) AS words
    FROM taken t
    CROSS JOIN LATERAL unnest(t.order_ids, t.channel_ids, t.words) AS n (order_id, channel_id, words)
    GROUP BY n.order_id, n.channel_id
  )
  SELECT array_agg(d.order_id ORDER BY d.order_id, d.channel_id),
    array_agg(d.channel_id ORDER BY d.order_id, d.channel_id), array_agg(d.words ORDER BY d.order_id, d.channel_id)
  INTO ids, channel_ids, wordy
  FROM due d;
  IF ids IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM FROM order_fulfillments f
  WHERE (f.order_id, f.channel_id) IN (SELECT * FROM unnest(ids, channel_ids))
  ORDER BY f.order_id, f.channel_id FOR UPDATE;
  INSERT INTO order_fulfillments AS f (order_id, channel_id, status, created_at, wanted_at)
  SELECT o.id, o.channel_id, g.status, g.created_at, g.wanted_at
  FROM unnest(ids, channel_ids) AS d (order_id, channel_id)
  JOIN orders o ON o.id = d.order_id AND o.channel_id = d.channel_id
  CROSS JOIN LATERAL fulfillment_of_order(o.id, o.channel_id) AS g
  ORDER BY o.id, o.channel_id
  ON CONFLICT (order_id, channel_id) DO UPDATE
    SET status = EXCLUDED.status, created_at = EXCLUDED.created_at, wanted_at = EXCLUDED.wanted_at
  WHERE (f.status, f.created_at, f.wanted_at) IS DISTINCT FROM (EXCLUDED.status, EXCLUDED.created_at, EXCLUDED.wanted_at);
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
  DELETE FROM order_fulfillments f
  WHERE (f.order_id, f.channel_id) IN (SELECT * FROM unnest(ids, channel_ids))
    AND NOT EXISTS (SELECT FROM orders o WHERE o.id = f.order_id AND o.channel_id = f.channel_id);
  DELETE FROM order_words w
  WHERE (w.order_id, w.channel_id) IN (SELECT * FROM unnest(ids, channel_ids))
    AND NOT EXISTS (SELECT FROM orders o WHERE o.id = w.order_id AND o.channel_id = w.channel_id);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER orders_due_at_commit AFTER INSERT ON orders_due DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.is_first) EXECUTE FUNCTION refresh_due_orders();

-- step: note which orders are due
-- Of what one statement writes. A transition table has the columns of its table, so each has its own comparison.
CREATE FUNCTION note_due(ids int[], of_channel_ids int[], wordy boolean[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  writer CONSTANT text := pg_current_xact_id()::text;
BEGIN
  IF ids IS NOT NULL THEN
    INSERT INTO orders_due (order_ids, channel_ids, words, is_first)
    VALUES (ids, of_channel_ids, wordy, current_setting('waybill.due', true) IS DISTINCT FROM writer);
    PERFORM set_config('waybill.due', writer, true);
  END IF;
END $$;
CREATE FUNCTION note_due_rows() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE FUNCTION note_due_orders() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE FUNCTION note_due_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM note_due(array_agg(k.order_id), array_agg(k.channel_id), array_agg(k.words))
  FROM (
    SELECT n.order_id, n.channel_id, bool_or((n.sku, n.name, n.ean_code, n.manufacturer, n.manufacturer_code, n.supplier,
        n.supplier_code, n.notes)
      IS DISTINCT FROM (o.sku, o.name, o.ean_code, o.manufacturer, o.manufacturer_code, o.supplier, o.supplier_code,
        o.notes)) AS words
    FROM new_rows n
    JOIN old_rows o ON o.id = n.id AND o.channel_id = n.channel_id
    GROUP BY n.order_id, n.channel_id
  ) AS k;
  RETURN NULL;
END $$;
CREATE FUNCTION note_due_shipments() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE FUNCTION note_due_codes() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE FUNCTION note_due_customers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM note_due(array_agg(o.id), array_agg(o.channel_id), array_agg(true))
  FROM orders o WHERE o.customer_id = NEW.id AND o.channel_id = NEW.channel_id;
  RETURN NULL;
END $$;
CREATE FUNCTION note_due_statuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM note_due(array_agg(o.id), array_agg(o.channel_id), array_agg(false)) FROM orders o WHERE o.status = NEW.code;
  RETURN NULL;
END $$;
CREATE FUNCTION forget_found_orders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM order_words;
  DELETE FROM order_fulfillments;
  RETURN NULL;
END $$;

-- step: note what is written of orders
CREATE TRIGGER orders_due_insert AFTER INSERT ON orders
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();
CREATE TRIGGER orders_due_delete AFTER DELETE ON orders
  REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();
CREATE TRIGGER orders_due_update AFTER UPDATE ON orders
  REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION note_due_orders();
CREATE TRIGGER orders_due_truncate AFTER TRUNCATE ON orders
  FOR EACH STATEMENT EXECUTE FUNCTION forget_found_orders();

-- step: note what is written of their addresses
CREATE TRIGGER order_addresses_due_insert AFTER INSERT ON order_addresses
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();
CREATE TRIGGER order_addresses_due_update AFTER UPDATE ON order_addresses
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();
CREATE TRIGGER order_addresses_due_delete AFTER DELETE ON order_addresses
  REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();

-- step: note what is written of their lines
CREATE TRIGGER order_items_due_insert AFTER INSERT ON order_items
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();
CREATE TRIGGER order_items_due_update AFTER UPDATE ON order_items
  REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION note_due_items();
CREATE TRIGGER order_items_due_delete AFTER DELETE ON order_items
  REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();

-- step: note what is written of their shipments
-- What is in a shipment changes the lines, which are noted.
CREATE TRIGGER shipments_due_insert AFTER INSERT ON shipments
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();
CREATE TRIGGER shipments_due_update AFTER UPDATE ON shipments
  REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION note_due_shipments();
CREATE TRIGGER shipments_due_delete AFTER DELETE ON shipments
  REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();

-- step: note what is written of their codes
CREATE TRIGGER track_and_traces_due_insert AFTER INSERT ON track_and_traces
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();
CREATE TRIGGER track_and_traces_due_update AFTER UPDATE ON track_and_traces
  REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION note_due_codes();
CREATE TRIGGER track_and_traces_due_delete AFTER DELETE ON track_and_traces
  REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_rows();

-- step: note when customers are reached otherwise
CREATE TRIGGER customers_due_update AFTER UPDATE OF email, phone ON customers
  FOR EACH ROW WHEN ((OLD.email, OLD.phone) IS DISTINCT FROM (NEW.email, NEW.phone))
  EXECUTE FUNCTION note_due_customers();

-- step: note when a status comes to mean that orders are canceled, or awaited no more
CREATE TRIGGER order_statuses_due_update AFTER UPDATE OF customer_status, order_type ON order_statuses
  FOR EACH ROW WHEN ((OLD.customer_status, OLD.order_type) IS DISTINCT FROM (NEW.customer_status, NEW.order_type)) EXECUTE FUNCTION note_due_statuses();

-- step: note how far the orders of before are done
CREATE TABLE orders_found (
  words_to       int NOT NULL,
  fulfillment_to int NOT NULL
);
COMMENT ON TABLE orders_found IS 'the last order of before that a migration has counted';
INSERT INTO orders_found (words_to, fulfillment_to) VALUES (-2147483648, -2147483648);

-- step (in batches): count how far they are fulfilled
-- Whoever writes one meanwhile counts it, and is right: its row stays.
WITH batch AS (
  SELECT DISTINCT o.id FROM orders o WHERE o.id > (SELECT p.fulfillment_to FROM orders_found p) ORDER BY o.id LIMIT 1000
), moved AS (
  UPDATE orders_found SET fulfillment_to = (SELECT max(b.id) FROM batch b) WHERE EXISTS (SELECT FROM batch)
)
INSERT INTO order_fulfillments AS f (order_id, channel_id, status, created_at, wanted_at)
SELECT o.id, o.channel_id, g.status, g.created_at, g.wanted_at
FROM batch b
JOIN orders o ON o.id = b.id
CROSS JOIN LATERAL fulfillment_of_order(o.id, o.channel_id) AS g
ORDER BY o.id, o.channel_id
ON CONFLICT (order_id, channel_id) DO UPDATE SET status = f.status;

-- step (in batches): gather their words
WITH batch AS (
  SELECT DISTINCT o.id FROM orders o WHERE o.id > (SELECT p.words_to FROM orders_found p) ORDER BY o.id LIMIT 500
), moved AS (
  UPDATE orders_found SET words_to = (SELECT max(b.id) FROM batch b) WHERE EXISTS (SELECT FROM batch)
)
INSERT INTO order_words AS w (order_id, channel_id, words)
SELECT o.id, o.channel_id, words_of_order(o.id, o.channel_id)
FROM batch b
JOIN orders o ON o.id = b.id
ORDER BY o.id, o.channel_id
ON CONFLICT (order_id, channel_id) DO UPDATE SET words = w.words;

-- step: forget how far that was
DROP TABLE orders_found;

-- step (outside a transaction): find orders by words
CREATE INDEX CONCURRENTLY order_words_words ON order_words USING gin (words);
