-- Days: a channel has a time zone, and a promise without a time is a whole day there (decision 24).

-- step: let channels have a time zone
ALTER TABLE channels ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';
COMMENT ON COLUMN channels.time_zone IS 'name in the IANA time zone database: where its days begin and end';

-- step: say which time zones there are
-- Those of the server, but for its names of files and what it makes up of other words, such as "x+3".
CREATE FUNCTION time_zones() RETURNS SETOF text LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT z.name FROM pg_timezone_names z
  WHERE z.name !~ '^(posix|right)/' AND z.name NOT IN ('Factory', 'localtime', 'posixrules');
END;
CREATE FUNCTION is_time_zone(value text) RETURNS boolean LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM time_zones() AS z (name) WHERE z.name = value);
END;

-- step: hold channels to them
CREATE TRIGGER channels_time_zone_new BEFORE INSERT ON channels
  FOR EACH ROW WHEN (NEW.time_zone <> 'UTC' AND NOT is_time_zone(NEW.time_zone))
  EXECUTE FUNCTION refuse_value('time_zone');
CREATE TRIGGER channels_time_zone_other BEFORE UPDATE OF time_zone ON channels
  FOR EACH ROW WHEN (NEW.time_zone <> OLD.time_zone AND NOT is_time_zone(NEW.time_zone))
  EXECUTE FUNCTION refuse_value('time_zone');

-- step: say what a channel's time zone is
-- For a moment without offset: `moment AT TIME ZONE channel_time_zone(id)`.
CREATE FUNCTION channel_time_zone(channel_id int) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT c.time_zone FROM channels c WHERE c.id = channel_time_zone.channel_id;
END;

-- step: say what days are
-- A promise that is midnight in UTC stands for the whole day, in the time zone of its channel.
CREATE FUNCTION is_day(moment timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (moment AT TIME ZONE 'UTC')::time = time '00:00';
CREATE FUNCTION promise_end(moment timestamptz, zone text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN is_day(moment) THEN ((moment AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE zone ELSE moment END;
CREATE FUNCTION day_start(day date, zone text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN day::timestamp AT TIME ZONE zone;
CREATE FUNCTION day_end(day date, zone text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (day + 1)::timestamp AT TIME ZONE zone;
-- A day begins first in UTC+14 and ends last in UTC-12: bounds for an index, whatever the zone.
CREATE FUNCTION first_start(day date) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (day::timestamp AT TIME ZONE 'UTC') - interval '14 hours';
CREATE FUNCTION last_end(day date) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((day + 1)::timestamp AT TIME ZONE 'UTC') + interval '12 hours';

-- step: let a shipment be expected on the day of its creation
-- As 0011_records.sql made it, for days that are those of the channel.
CREATE OR REPLACE FUNCTION refuse_promise() RETURNS trigger LANGUAGE plpgsql AS $$
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
