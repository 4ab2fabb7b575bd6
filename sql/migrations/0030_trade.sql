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
