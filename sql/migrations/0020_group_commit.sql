-- Writers wait for nobody's flush: the feed's positions are given after the commits, in batches.

-- step: number commits before they have a position
-- A number is taken without a lock while a transaction commits, so numbers are only an order: of two transactions of which
-- one did something after the other had committed, it has the higher number. Positions are given to committed rows, to
-- as many as there are at a time. Who sees a transaction sees all that it came after, and these have lower numbers: so one
-- that is late, because it is still flushed or open, has come after none of those that it lets pass.
CREATE SEQUENCE commit_numbers AS bigint;

-- step: make room for commits without a position
CREATE TABLE commits (
  number         bigint NOT NULL DEFAULT nextval('commit_numbers') CONSTRAINT commits_pk PRIMARY KEY,
  transaction_id bigint NOT NULL
);
COMMENT ON TABLE commits IS 'transactions that have no position yet; a row is gone when it has been given';
COMMENT ON COLUMN commits.number IS 'taken when the last change of the transaction had been made, without a lock';

-- step: remember how far positions have been given
-- Only ever added to at its end, and its last row alone is read: what is dead in it, and cannot be cleaned up because some
-- transaction stays open, costs nobody anything.
CREATE TABLE feed_ends (
  position      bigint NOT NULL CONSTRAINT feed_ends_pk PRIMARY KEY,
  number        bigint NOT NULL,
  missing       bigint[] NOT NULL DEFAULT '{}',
  missing_until xid8[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE feed_ends IS 'the end of the feed: the row with the highest position';
COMMENT ON COLUMN feed_ends.position IS 'the last that was given';
COMMENT ON COLUMN feed_ends.number IS 'of commits: up to here all have a position but the missing ones';
COMMENT ON COLUMN feed_ends.missing IS 'numbers whose transactions were not there: they are on their way, or were taken back';
COMMENT ON COLUMN feed_ends.missing_until IS 'of each: when all transactions before this one are over, it is not on its way any more';

-- step: let codes and their news wait for each other alone
-- They waited under the lock of the positions, which every writer of codes held until its commit was flushed. Under a
-- lock of their own codes are many and news is one: news that nobody waits for is rare. Until the next step has been
-- taken by all, the old lock holds as well.
CREATE OR REPLACE FUNCTION look_for_waiting_reports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1470275860);
  PERFORM pg_advisory_xact_lock_shared(1470275862);
  PERFORM take_waiting_reports(t)
  FROM track_and_traces t
  WHERE t.id = NEW.id AND t.channel_id = NEW.channel_id
    AND EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(t.code));
  RETURN NULL;
END $$;
-- Waits for all who write codes by the function of before.
LOCK TABLE track_and_traces IN SHARE ROW EXCLUSIVE MODE;

-- step: have news take the new lock
CREATE OR REPLACE FUNCTION look_for_reported_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1470275862);
  PERFORM take_waiting_reports(t)
  FROM waiting_reports w
  JOIN track_and_traces t ON normalized_code(t.code) = normalized_code(w.code)
  WHERE w.id = NEW.id
  ORDER BY t.carrier_id IS NOT DISTINCT FROM w.carrier_id DESC, t.created_at DESC, t.id;
  RETURN NULL;
END $$;
LOCK TABLE waiting_reports IN SHARE ROW EXCLUSIVE MODE;

-- step: have codes take the new lock alone
CREATE OR REPLACE FUNCTION look_for_waiting_reports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1470275862);
  PERFORM take_waiting_reports(t)
  FROM track_and_traces t
  WHERE t.id = NEW.id AND t.channel_id = NEW.channel_id
    AND EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(t.code));
  RETURN NULL;
END $$;

-- step: number what changes after its transaction was numbered
-- Triggers that run when a transaction commits may change something after it has its number. Then it takes another.
CREATE OR REPLACE FUNCTION writing_transaction() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  known text := current_setting('waybill.transaction_id', true);
  made bigint;
BEGIN
  IF known <> '' THEN
    IF current_setting('waybill.commit_number', true) <> '' THEN
      UPDATE commits SET number = nextval('commit_numbers')
      WHERE number = current_setting('waybill.commit_number')::bigint RETURNING number INTO made;
      PERFORM set_config('waybill.commit_number', made::text, true);
    END IF;
    RETURN known::bigint;
  END IF;
  INSERT INTO transactions (actor, request_id)
  VALUES (
    coalesce(nullif(current_setting('waybill.actor', true), ''), 'system'),
    nullif(current_setting('waybill.request_id', true), ''))
  RETURNING id INTO made;
  PERFORM set_config('waybill.transaction_id', made::text, true);
  RETURN made;
END $$;
CREATE FUNCTION take_commit_number() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  taken bigint;
BEGIN
  INSERT INTO commits (transaction_id) VALUES (NEW.id) RETURNING number INTO taken;
  PERFORM set_config('waybill.commit_number', taken::text, true);
  RETURN NULL;
END $$;

-- step: give positions in batches
-- To committed transactions that have none, `most` at a time: to `given` of them, up to the position `reached`. One gives at
-- a time, and until its commit can be seen: so positions appear in their sequence, and whoever sees one sees all that are
-- lower. Nobody else waits, and who has nothing to give takes no lock. Whatever the writers chose, the batch is flushed: no
-- position that somebody has seen is given again after a crash. Sequential scans would find what is dead, too.
CREATE FUNCTION give_positions(most int, OUT given int, OUT reached bigint) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
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

-- step: number transactions instead of giving them positions
-- Waits for all who write, so that whoever has a position has committed before the first who has a number.
DROP TRIGGER transactions_take_position ON transactions;
CREATE CONSTRAINT TRIGGER transactions_take_number AFTER INSERT ON transactions DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.position IS NULL) EXECUTE FUNCTION take_commit_number();
COMMENT ON COLUMN transactions.position IS 'place in the order of commits; null until it has been given after the commit';

-- step: go on behind the positions that were given
-- Until here is a row, none is given.
INSERT INTO feed_ends (position, number)
SELECT greatest(
  (SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END FROM transaction_positions s),
  (SELECT max(x.position) FROM transactions x)), 0;

-- step: forget how positions were given before
DROP FUNCTION take_position();

-- step: forget where they came from
DROP SEQUENCE transaction_positions;

-- step: count lines by plans that are kept
-- A function in SQL that reads tables is planned by every statement that calls it (before PostgreSQL 18), which took
-- longer than what it does. The tables are not scanned even where they seemed to be empty when the session planned.
CREATE OR REPLACE FUNCTION progress_of_line(l order_items, OUT shipped bigint, OUT delivered bigint)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
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
CREATE OR REPLACE FUNCTION is_bundle(of_line_id int, of_channel_id int) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM order_items p
    WHERE p.parent_order_item_id = of_line_id AND p.channel_id = of_channel_id AND p.class = 'product');
END $$;
CREATE OR REPLACE FUNCTION is_code_taken(
  wanted text, of_carrier int, of_channel int, for_order int, for_shipment uuid, but_for uuid
) RETURNS boolean LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM track_and_traces t
    WHERE normalized_code(t.code) = normalized_code(wanted) AND +t.carrier_id = of_carrier AND +t.channel_id = of_channel
      AND t.id IS DISTINCT FROM but_for
      AND (t.shipment_id IS NOT DISTINCT FROM for_shipment
        OR NOT coalesce(is_code_free(t), false) AND NOT are_of_one_consignee(t.order_id, for_order, of_channel)));
END $$;

-- step: note which codes have come to an order
ALTER TABLE orders_due ADD COLUMN codes text[];
COMMENT ON COLUMN orders_due.codes IS 'one by one with the orders, where nothing but a new code has come to their words';

-- step: say by which words a code is found
-- As words_of_order has them.
CREATE FUNCTION words_of_codes(codes text[]) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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

-- step: add the words of new codes to those of before
-- What an order has beside its new codes is not gathered anew, and where all orders are there none is looked for that is
-- gone. The sequence of locks is that of before: all fulfillments, by which who writes the same order wait.
CREATE OR REPLACE FUNCTION refresh_due_orders() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  ids int[];
  channel_ids int[];
  wordy boolean[];
  coded record;
  noted jsonb;
  counted bigint;
BEGIN
  PERFORM set_config('waybill.due', '', true);
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
    jsonb_agg(d.codes ORDER BY d.order_id, d.channel_id)
  INTO ids, channel_ids, wordy, noted
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
  SELECT count(*) INTO counted FROM unnest(ids, channel_ids) AS d (order_id, channel_id)
  JOIN orders o ON o.id = d.order_id AND o.channel_id = d.channel_id;
  IF counted < cardinality(ids) THEN
    DELETE FROM order_fulfillments f
    WHERE (f.order_id, f.channel_id) IN (SELECT * FROM unnest(ids, channel_ids))
      AND NOT EXISTS (SELECT FROM orders o WHERE o.id = f.order_id AND o.channel_id = f.channel_id);
    DELETE FROM order_words w
    WHERE (w.order_id, w.channel_id) IN (SELECT * FROM unnest(ids, channel_ids))
      AND NOT EXISTS (SELECT FROM orders o WHERE o.id = w.order_id AND o.channel_id = w.channel_id);
  END IF;
  RETURN NULL;
END $$;

-- step: note shipments and codes for what they bring
CREATE FUNCTION note_due_new_shipments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM note_due(array_agg(k.order_id), array_agg(k.channel_id), array_agg(k.words))
  FROM (
    SELECT n.order_id, n.channel_id, bool_or(n.external_id IS NOT NULL) AS words
    FROM written n
    GROUP BY n.order_id, n.channel_id
  ) AS k;
  RETURN NULL;
END $$;
CREATE FUNCTION note_due_new_codes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  writer CONSTANT text := pg_current_xact_id()::text;
BEGIN
  INSERT INTO orders_due (order_ids, channel_ids, words, codes, is_first)
  SELECT array_agg(n.order_id), array_agg(n.channel_id), array_agg(false), array_agg(n.code),
    current_setting('waybill.due', true) IS DISTINCT FROM writer
  FROM written n
  HAVING count(*) > 0;
  IF FOUND THEN
    PERFORM set_config('waybill.due', writer, true);
  END IF;
  RETURN NULL;
END $$;

-- step: have shipments noted so
DROP TRIGGER shipments_due_insert ON shipments;
CREATE TRIGGER shipments_due_insert AFTER INSERT ON shipments
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_new_shipments();

-- step: have codes noted so
DROP TRIGGER track_and_traces_due_insert ON track_and_traces;
CREATE TRIGGER track_and_traces_due_insert AFTER INSERT ON track_and_traces
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_due_new_codes();

-- step: let the feed tell of events
ALTER TABLE changes
  DROP CONSTRAINT changes_type_known,
  ADD CONSTRAINT changes_type_known CHECK (type IN (
    'ORDER', 'ORDER_ITEM', 'SHIPMENT', 'SHIPMENT_ITEM', 'TRACK_AND_TRACE', 'TRACKING_EVENT', 'CARRIER')) NOT VALID;

-- step: look whether all that the feed told is of such a kind
ALTER TABLE changes VALIDATE CONSTRAINT changes_type_known;

-- step: tell when carriers have told something
-- Events are never written again, and go with their code, which is told. Their texts are none of the feed, as those of
-- other rows are not.
CREATE FUNCTION record_tracking_events() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- step: tell it before what follows from it
-- In the order of their names, before the triggers by which codes and shipments follow.
CREATE TRIGGER tracking_events_added_are_recorded AFTER INSERT ON tracking_events
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION record_tracking_events();

-- step: remember where the feed begins
CREATE TABLE feed_beginnings (
  position bigint NOT NULL CONSTRAINT feed_beginnings_pk PRIMARY KEY,
  done     bigint NOT NULL
);
COMMENT ON TABLE feed_beginnings IS 'the beginning of the feed: the row with the highest position; none while nothing has been pruned';
COMMENT ON COLUMN feed_beginnings.position IS 'the last of which changes are gone';
COMMENT ON COLUMN feed_beginnings.done IS 'up to here all are gone, so that the next batch begins behind what is dead';

-- step: take the oldest of the feed away
-- Transactions that began before a moment, from the beginning of the feed on up to the first that is younger, and never the
-- newest: `most` of them, and of their changes, at a time. Returns how many rows that were, 0 where none is left or another
-- does it at this moment. What readers are told with is written together with what they miss.
CREATE FUNCTION prune_feed(before timestamptz, most int) RETURNS int LANGUAGE plpgsql SET enable_seqscan = off AS $$
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
