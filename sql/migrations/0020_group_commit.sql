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
  before feed_ends;
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
