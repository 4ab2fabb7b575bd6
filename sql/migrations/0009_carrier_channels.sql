-- A carrier belongs to a channel, whose partners write it, or to all of them; then staff alone write it. What a carrier
-- links to, the customers of everybody follow who uses it.

-- step: let a carrier have a channel
ALTER TABLE carriers ADD COLUMN channel_id int;
COMMENT ON COLUMN carriers.channel_id IS 'null: of all channels';
COMMENT ON COLUMN changes.channel_id IS 'null for carriers of all channels';

-- step: refuse channels that are not there
ALTER TABLE carriers ADD CONSTRAINT carriers_channel_fk FOREIGN KEY (channel_id) REFERENCES channels NOT VALID;

-- step: look whether all channels are there
ALTER TABLE carriers VALIDATE CONSTRAINT carriers_channel_fk;

-- step (outside a transaction): index the names of each channel
-- A channel may have a carrier of its own beside one of the same name that is everybody's.
CREATE UNIQUE INDEX CONCURRENTLY carriers_channel_name ON carriers (channel_id, name) NULLS NOT DISTINCT;

-- step: tell names apart within a channel
ALTER TABLE carriers
  DROP CONSTRAINT carriers_name_unique,
  ADD CONSTRAINT carriers_name_unique UNIQUE USING INDEX carriers_channel_name;

-- step: refuse carriers of other channels
-- A code has a carrier of its own channel, or of all. The foreign key holds the carrier by now; whoever takes it to
-- another channel waits for that, because channel_id is in a unique index, and sees the code then.
CREATE FUNCTION check_carriers_of_codes() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER track_and_traces_carrier_created AFTER INSERT ON track_and_traces
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION check_carriers_of_codes();
CREATE TRIGGER track_and_traces_carrier_updated AFTER UPDATE ON track_and_traces
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION check_carriers_of_codes();

-- step: keep carriers where their codes are
CREATE FUNCTION check_codes_of_carrier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM track_and_traces t WHERE t.carrier_id = NEW.id AND t.channel_id <> NEW.channel_id) THEN
    RAISE EXCEPTION 'the carrier has codes of another channel'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'carriers_channel_of_codes',
        TABLE = 'carriers', COLUMN = 'channel_id';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER carriers_channel_of_codes BEFORE UPDATE OF channel_id ON carriers
  FOR EACH ROW WHEN (NEW.channel_id IS NOT NULL AND NEW.channel_id IS DISTINCT FROM OLD.channel_id)
  EXECUTE FUNCTION check_codes_of_carrier();

-- step: record where a carrier belongs
-- As 0005_writes.sql made them, with the channel. An id is one carrier's, whatever channel it goes to.
CREATE OR REPLACE FUNCTION recorded(r carriers)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, NULL::int, NULL::uuid, r.version, jsonb_build_object(
    'channelId', r.channel_id, 'name', r.name, 'type', r.type, 'trackAndTraceURL', r.track_and_trace_url, 'logo', r.logo);
END;
CREATE OR REPLACE FUNCTION record_carriers() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- step (in batches): give carriers to the one channel that uses them
-- Those that nobody uses, or more than one channel, stay everybody's.
UPDATE carriers c
SET channel_id = u.channel_id
FROM (
  SELECT k.id, first.channel_id
  FROM carriers k
  CROSS JOIN LATERAL (SELECT t.channel_id FROM track_and_traces t WHERE t.carrier_id = k.id LIMIT 1) AS first
  WHERE k.channel_id IS NULL
    AND NOT EXISTS (
      SELECT FROM track_and_traces t WHERE t.carrier_id = k.id AND t.channel_id <> first.channel_id)
  ORDER BY k.id
  LIMIT 10
) u
WHERE c.id = u.id;
