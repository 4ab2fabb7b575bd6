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
