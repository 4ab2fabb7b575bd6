-- What a write costs is the number of statements its triggers run. They run fewer, and none that has nothing to do.

-- step: note an order once
-- What is written of a shipment comes to the same order again and again. `waybill.due` holds the transaction that noted
-- something, and the order that it noted last where that was a single one. A setting is assigned: a simple expression
-- takes a tenth of what a statement does.
CREATE OR REPLACE FUNCTION note_due(ids int[], of_channel_ids int[], wordy boolean[]) RETURNS void LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION note_due_new_codes() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- step: count an order again without what is there already
-- As before, but that an order whose row is there, and locked, is changed by no INSERT, of which the triggers run too; and
-- that orders which are gone are counted with the rest. Whoever takes one away meanwhile does so in a transaction of its own,
-- which notes it, and takes away with it what is found here.
CREATE OR REPLACE FUNCTION refresh_due_orders() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- step: hold orders and look at them at once
-- A row that is locked is read as it is then. All of them are: none is left out for what another says.
CREATE OR REPLACE FUNCTION check_shipped_orders() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION refuse_shipped_items(shipment_ids uuid[], line_ids int[], line_channel_ids int[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  lines record;
  refused bigint;
BEGIN
  IF line_ids IS NOT NULL THEN
    SELECT array_agg(l.order_id) AS order_ids, array_agg(l.channel_id) AS channel_ids,
      bool_or(NOT is_shippable_class(l.class) OR EXISTS (
        SELECT FROM order_items p
        WHERE p.parent_order_item_id = l.id AND p.channel_id = l.channel_id AND p.class = 'product')) AS are_refused
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

-- step: look for news before codes
CREATE FUNCTION is_code_awaited(wanted text) RETURNS boolean LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  RETURN EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(wanted));
END $$;
CREATE OR REPLACE FUNCTION give_waiting_reports() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- A code that was changed again has another event for that.
CREATE OR REPLACE FUNCTION look_for_waiting_reports() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- step: assign the numbers of a transaction
CREATE OR REPLACE FUNCTION writing_transaction() RETURNS bigint LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION take_commit_number() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  taken bigint;
BEGIN
  INSERT INTO commits (transaction_id) VALUES (NEW.id) RETURNING number INTO taken;
  taken := set_config('waybill.commit_number', taken::text, true);
  RETURN NULL;
END $$;

-- step: count shipments of a company beside those of all
CREATE OR REPLACE FUNCTION tally_shipments() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- step: follow changed lines by one function
-- Nearly always they have been counted, and nothing else: then the order is noted, and that is all. What follows is in the
-- sequence in which three triggers did it.
CREATE FUNCTION follow_order_items() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- step: have lines followed so
DROP TRIGGER order_items_due_update ON order_items;
DROP TRIGGER order_items_finish_orders ON order_items;
DROP TRIGGER order_items_record_updated ON order_items;
CREATE TRIGGER order_items_follow AFTER UPDATE ON order_items
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION follow_order_items();

-- step: forget the three
DROP FUNCTION note_due_items();
DROP FUNCTION finish_orders();
DROP FUNCTION record_order_items();
