-- What is in which parcel, news that comes before its code, and customers who are known by more than an e-mail.

-- step: let carriers have a time zone
ALTER TABLE carriers ADD COLUMN time_zone text;
COMMENT ON COLUMN carriers.time_zone IS 'where the moments that the carrier tells without an offset are meant; null: where the channel is';

-- step: hold carriers to the time zones that there are
CREATE TRIGGER carriers_time_zone_new BEFORE INSERT ON carriers
  FOR EACH ROW WHEN (NEW.time_zone <> 'UTC' AND NOT is_time_zone(NEW.time_zone))
  EXECUTE FUNCTION refuse_value('time_zone');
CREATE TRIGGER carriers_time_zone_other BEFORE UPDATE OF time_zone ON carriers
  FOR EACH ROW WHEN (NEW.time_zone <> coalesce(OLD.time_zone, 'UTC') AND NOT is_time_zone(NEW.time_zone))
  EXECUTE FUNCTION refuse_value('time_zone');

-- step: say when a carrier's words are meant
CREATE FUNCTION told_at(told timestamp, by_carrier_id int, in_channel_id int) RETURNS timestamptz
LANGUAGE sql STABLE
RETURN told AT TIME ZONE coalesce(
  (SELECT c.time_zone FROM carriers c WHERE c.id = by_carrier_id), channel_time_zone(in_channel_id), 'UTC');

-- A day stands as 0012_days.sql has it, whoever promises it (decision 24).
CREATE FUNCTION promised_at(told timestamp, by_carrier_id int, in_channel_id int) RETURNS timestamptz
LANGUAGE sql STABLE
RETURN CASE WHEN told = date_trunc('day', told) THEN told AT TIME ZONE 'UTC'
  ELSE told_at(told, by_carrier_id, in_channel_id) END;

-- step: let codes have a promise of their own
ALTER TABLE track_and_traces ADD COLUMN expected_delivery_at timestamptz;
COMMENT ON COLUMN track_and_traces.expected_delivery_at IS 'when this parcel should arrive: as set, or as the newest event with a promise says';

-- step: let events bring a promise
ALTER TABLE tracking_events ADD COLUMN expected_delivery_at timestamptz;
COMMENT ON COLUMN tracking_events.expected_delivery_at IS 'when the carrier, with this event, says that the parcel will arrive';

-- step: let codes take the promise of their events
-- After the trigger of 0010_parcels.sql, which locks the shipments.
CREATE FUNCTION follow_promises() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER tracking_events_promise_is_followed AFTER INSERT ON tracking_events
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION follow_promises();

-- step: say which goods are in which parcel
CREATE TABLE parcel_items (
  track_and_trace_id uuid NOT NULL,
  shipment_item_id   uuid NOT NULL,
  order_id           int NOT NULL,
  channel_id         int NOT NULL,
  quantity           int NOT NULL CONSTRAINT parcel_items_quantity_positive CHECK (quantity > 0),
  CONSTRAINT parcel_items_pk PRIMARY KEY (track_and_trace_id, shipment_item_id, channel_id),
  CONSTRAINT parcel_items_track_and_trace_fk FOREIGN KEY (track_and_trace_id, channel_id) REFERENCES track_and_traces ON DELETE CASCADE,
  CONSTRAINT parcel_items_shipment_item_fk FOREIGN KEY (shipment_item_id, channel_id) REFERENCES shipment_items ON DELETE CASCADE
);
COMMENT ON TABLE parcel_items IS 'how many of an item of a shipment are in the parcel of one of its codes; without rows nobody has said';
CREATE INDEX parcel_items_shipment_item ON parcel_items (shipment_item_id, channel_id);

-- step: have parcels hold what their shipments do
CREATE FUNCTION check_parcel_items() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER parcel_items_created AFTER INSERT ON parcel_items
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION check_parcel_items();
CREATE TRIGGER parcel_items_updated AFTER UPDATE ON parcel_items
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION check_parcel_items();

-- step: forget what a code that goes to another shipment held
CREATE FUNCTION unpack_moved_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM parcel_items p WHERE p.track_and_trace_id = NEW.id AND p.channel_id = NEW.channel_id;
  RETURN NULL;
END $$;
CREATE TRIGGER track_and_traces_moved_is_unpacked AFTER UPDATE OF shipment_id ON track_and_traces
  FOR EACH ROW WHEN (OLD.shipment_id <> NEW.shipment_id) EXECUTE FUNCTION unpack_moved_code();

-- step: forget where an item was that is another now
-- Of an item that is moved, stands for another line, or has become less than its parcels hold, nobody knows any more
-- which of it is where.
CREATE FUNCTION unpack_changed_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM parcel_items p
  WHERE p.shipment_item_id = NEW.id AND p.channel_id = NEW.channel_id
    AND (OLD.shipment_id <> NEW.shipment_id OR OLD.order_item_id <> NEW.order_item_id OR NEW.quantity < (
      SELECT sum(o.quantity) FROM parcel_items o WHERE o.shipment_item_id = NEW.id AND o.channel_id = NEW.channel_id));
  RETURN NULL;
END $$;
CREATE TRIGGER shipment_items_changed_is_unpacked AFTER UPDATE OF shipment_id, order_item_id, quantity ON shipment_items
  FOR EACH ROW WHEN (
    OLD.shipment_id <> NEW.shipment_id OR OLD.order_item_id <> NEW.order_item_id OR NEW.quantity < OLD.quantity)
  EXECUTE FUNCTION unpack_changed_item();

-- step: keep news that comes before its code
CREATE TABLE waiting_reports (
  id                   uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT waiting_reports_pk PRIMARY KEY,
  code                 text NOT NULL CONSTRAINT waiting_reports_code_length CHECK (length(code) BETWEEN 1 AND 255),
  carrier_id           int CONSTRAINT waiting_reports_carrier_fk REFERENCES carriers ON DELETE CASCADE,
  channel_ids          int[],
  company_ids          int[],
  external_id          text CONSTRAINT waiting_reports_external_id_length CHECK (length(external_id) BETWEEN 1 AND 255),
  status               text NOT NULL CONSTRAINT waiting_reports_status_known CHECK (status IN (
                         'CREATED', 'PROCESSING', 'IN_TRANSIT', 'OUT_FOR_DELIVERY', 'FAILED_DELIVERY', 'EXCEPTION',
                         'PARTIALLY_DELIVERED', 'CANCELED', 'DELIVERED')),
  sub_status           text CONSTRAINT waiting_reports_sub_status_known CHECK (is_shipment_sub_status(sub_status)),
  occurred_at          timestamptz,
  occurred_local       timestamp,
  expected_delivery_at timestamptz,
  expected_local       timestamp,
  location             text CONSTRAINT waiting_reports_location_length CHECK (length(location) <= 255),
  description          text CONSTRAINT waiting_reports_description_length CHECK (length(description) <= 1000),
  told_by              text NOT NULL DEFAULT coalesce(nullif(current_setting('waybill.actor', true), ''), 'system'),
  told_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT waiting_reports_moment CHECK (num_nonnulls(occurred_at, occurred_local) = 1)
);
COMMENT ON TABLE waiting_reports IS 'what was told of codes that nobody had recorded; it waits for them for 30 days';
COMMENT ON COLUMN waiting_reports.channel_ids IS 'whose codes the teller sees; null: those of all channels';
COMMENT ON COLUMN waiting_reports.company_ids IS 'of which companies, in these channels; null: of all';
COMMENT ON COLUMN waiting_reports.occurred_local IS 'the moment where none was told with an offset: read in the zone of the carrier or channel';
COMMENT ON COLUMN waiting_reports.expected_local IS 'the promise where none was told with an offset';
CREATE INDEX waiting_reports_code ON waiting_reports (normalized_code(code));
CREATE INDEX waiting_reports_carrier ON waiting_reports (carrier_id);
CREATE INDEX waiting_reports_told ON waiting_reports (told_by, told_at);
CREATE INDEX waiting_reports_age ON waiting_reports (told_at);
CREATE UNIQUE INDEX waiting_reports_external_id_unique
  ON waiting_reports (told_by, normalized_code(code), carrier_id, external_id) NULLS NOT DISTINCT WHERE external_id IS NOT NULL;

-- step: give codes the news that waits for them
-- A code takes what was told of it by those who see it, of its carrier or where one of the two is not known.
CREATE FUNCTION take_waiting_reports(r track_and_traces) RETURNS void LANGUAGE sql
BEGIN ATOMIC
  WITH taken AS (
    DELETE FROM waiting_reports w
    WHERE normalized_code(w.code) = normalized_code(r.code) AND w.told_at > now() - interval '30 days'
      AND (w.carrier_id = r.carrier_id OR w.carrier_id IS NULL OR r.carrier_id IS NULL)
      AND (w.channel_ids IS NULL OR r.channel_id = ANY (w.channel_ids))
      AND (w.company_ids IS NULL OR r.company_id = ANY (w.company_ids))
    RETURNING w.*
  )
  INSERT INTO tracking_events (
    track_and_trace_id, channel_id, external_id, status, sub_status, occurred_at, expected_delivery_at, location,
    description, recorded_by)
  SELECT r.id, r.channel_id, w.external_id, w.status, w.sub_status,
    coalesce(w.occurred_at, told_at(w.occurred_local, coalesce(r.carrier_id, w.carrier_id), r.channel_id)),
    coalesce(w.expected_delivery_at, promised_at(w.expected_local, coalesce(r.carrier_id, w.carrier_id), r.channel_id)),
    w.location, w.description, w.told_by
  FROM taken w
  ORDER BY w.told_at, w.id
  ON CONFLICT ON CONSTRAINT tracking_events_external_id_unique DO NOTHING;
END;

CREATE FUNCTION give_waiting_reports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM take_waiting_reports(t)
  FROM new_rows n
  JOIN track_and_traces t ON t.id = n.id AND t.channel_id = n.channel_id
  WHERE EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(n.code))
  ORDER BY t.shipment_id, t.channel_id, t.id;
  RETURN NULL;
END $$;

CREATE FUNCTION give_waiting_reports_to_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(NEW.code)) THEN
    PERFORM take_waiting_reports(NEW);
  END IF;
  RETURN NULL;
END $$;

-- A code and its news may be written at the same time, so that neither writer sees the other's. While they commit, one
-- waits for the other (see take_position), and looks again.
CREATE FUNCTION look_for_waiting_reports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1470275860);
  PERFORM take_waiting_reports(t)
  FROM track_and_traces t
  WHERE t.id = NEW.id AND t.channel_id = NEW.channel_id
    AND EXISTS (SELECT FROM waiting_reports w WHERE normalized_code(w.code) = normalized_code(t.code));
  RETURN NULL;
END $$;
CREATE FUNCTION look_for_reported_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1470275860);
  PERFORM take_waiting_reports(t)
  FROM waiting_reports w
  JOIN track_and_traces t ON normalized_code(t.code) = normalized_code(w.code)
  WHERE w.id = NEW.id
  ORDER BY t.carrier_id IS NOT DISTINCT FROM w.carrier_id DESC, t.created_at DESC, t.id;
  RETURN NULL;
END $$;

-- step: have codes take them
-- In the order of their names, after the triggers that record the code.
CREATE TRIGGER track_and_traces_waited_for AFTER INSERT ON track_and_traces
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION give_waiting_reports();
CREATE TRIGGER track_and_traces_waited_for_changed AFTER UPDATE OF code, carrier_id ON track_and_traces
  FOR EACH ROW WHEN (OLD.code <> NEW.code OR OLD.carrier_id IS DISTINCT FROM NEW.carrier_id)
  EXECUTE FUNCTION give_waiting_reports_to_code();
CREATE CONSTRAINT TRIGGER track_and_traces_waited_for_meanwhile AFTER INSERT OR UPDATE OF code, carrier_id
  ON track_and_traces DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look_for_waiting_reports();
CREATE CONSTRAINT TRIGGER waiting_reports_code_came AFTER INSERT ON waiting_reports
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look_for_reported_code();

-- step: note news of carriers as what is set here
-- News that an import brings is newer than the record that brought it.
DROP TRIGGER shipments_status_set ON shipments;
CREATE TRIGGER shipments_status_set BEFORE UPDATE OF status ON shipments
  FOR EACH ROW WHEN (NEW.status IS DISTINCT FROM OLD.status AND (
    current_setting('waybill.actor', true) IS DISTINCT FROM 'import'
    OR current_setting('waybill.skipped_steps', true) = 'codes'))
  EXECUTE FUNCTION note_status();

-- step: let customers be known by other keys than an e-mail
ALTER TABLE customers
  ALTER COLUMN email DROP NOT NULL,
  ADD COLUMN external_id text,
  ADD COLUMN merged_into_id int;
COMMENT ON COLUMN customers.external_id IS 'key in the system it was imported from';
COMMENT ON COLUMN customers.merged_into_id IS 'the customer who has the orders now: what is found by the keys of this one is that one''s';

-- step: let no customer be without a key, nor be two
ALTER TABLE customers
  ADD CONSTRAINT customers_known_by CHECK (num_nonnulls(email, phone, external_id, merged_into_id) > 0) NOT VALID,
  ADD CONSTRAINT customers_external_id_length CHECK (length(external_id) BETWEEN 1 AND 255) NOT VALID,
  ADD CONSTRAINT customers_merged_into_other CHECK (merged_into_id <> id) NOT VALID,
  ADD CONSTRAINT customers_merged_has_no_password CHECK (merged_into_id IS NULL OR password_hash IS NULL) NOT VALID;

-- step: look whether all customers have one
ALTER TABLE customers
  VALIDATE CONSTRAINT customers_known_by,
  VALIDATE CONSTRAINT customers_external_id_length,
  VALIDATE CONSTRAINT customers_merged_into_other,
  VALIDATE CONSTRAINT customers_merged_has_no_password;

-- step: refuse customers to merge into that are not there
ALTER TABLE customers ADD CONSTRAINT customers_merged_into_fk
  FOREIGN KEY (merged_into_id, channel_id) REFERENCES customers NOT VALID;

-- step: look whether they are there
ALTER TABLE customers VALIDATE CONSTRAINT customers_merged_into_fk;

-- step (outside a transaction): find customers by the key of their source
CREATE UNIQUE INDEX CONCURRENTLY customers_external_id_unique ON customers (external_id, channel_id)
  WHERE external_id IS NOT NULL;

-- step (outside a transaction): find customers who were merged into one
CREATE INDEX CONCURRENTLY customers_merged_into ON customers (merged_into_id, channel_id)
  WHERE merged_into_id IS NOT NULL;

-- step (outside a transaction): find customers who have a phone alone
CREATE INDEX CONCURRENTLY customers_phone_alone ON customers (channel_id, phone, id)
  WHERE email IS NULL AND external_id IS NULL;

-- step: keep links by which customers get a password
CREATE TABLE password_links (
  id          uuid NOT NULL DEFAULT gen_random_uuid(),
  channel_id  int NOT NULL,
  customer_id int NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  expires_at  timestamptz NOT NULL,
  CONSTRAINT password_links_pk PRIMARY KEY (id, channel_id),
  CONSTRAINT password_links_customer_fk FOREIGN KEY (customer_id, channel_id) REFERENCES customers ON DELETE CASCADE,
  CONSTRAINT password_links_lifetime CHECK (expires_at > created_at)
);
COMMENT ON TABLE password_links IS 'each opens one customer once: it is gone when it has been used. What is sent is signed with the secret of the service';
CREATE INDEX password_links_customer ON password_links (customer_id, channel_id);
CREATE INDEX password_links_expiry ON password_links (expires_at);

-- step: keep what others have to be told
CREATE TABLE outbox_events (
  id               bigint GENERATED ALWAYS AS IDENTITY,
  channel_id       int NOT NULL CONSTRAINT outbox_events_channel_fk REFERENCES channels,
  type             text NOT NULL CONSTRAINT outbox_events_type_known CHECK (type IN ('CUSTOMER_PASSWORD_LINK')),
  password_link_id uuid NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT outbox_events_pk PRIMARY KEY (id, channel_id),
  CONSTRAINT outbox_events_password_link_fk FOREIGN KEY (password_link_id, channel_id) REFERENCES password_links ON DELETE CASCADE
);
COMMENT ON TABLE outbox_events IS 'what a partner has to deliver; gone when it says that it has, or when there is nothing to deliver any more';
CREATE INDEX outbox_events_channel ON outbox_events (channel_id, id);
CREATE INDEX outbox_events_password_link ON outbox_events (password_link_id, channel_id);
