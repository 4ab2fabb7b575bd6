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
