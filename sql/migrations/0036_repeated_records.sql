-- step: note what a record says of an order
ALTER TABLE orders ADD COLUMN source_status text, ADD COLUMN source_payment_status text;
COMMENT ON COLUMN orders.source_status IS 'what the newest record says of the status, whether that counts or not; null where nobody noted it';
COMMENT ON COLUMN orders.source_payment_status IS 'as source_status, of the payment; empty where the record says that there is none';

-- step: note it of orders from before, when they are set here
-- Their records noted nothing: what was there until now is what the last one said.
CREATE FUNCTION note_what_source_said() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.source_status IS NULL AND OLD.status_changed_at IS NULL THEN
    NEW.source_status := OLD.status;
  END IF;
  NEW.source_payment_status := coalesce(OLD.source_payment_status, OLD.payment_status, '');
  RETURN NEW;
END $$;
CREATE TRIGGER orders_source_said BEFORE UPDATE OF status, payment_status ON orders FOR EACH ROW WHEN (
    OLD.external_id IS NOT NULL AND (OLD.source_status IS NULL OR OLD.source_payment_status IS NULL)
    AND (NEW.status, NEW.payment_status) IS DISTINCT FROM (OLD.status, OLD.payment_status)
    AND current_setting('waybill.actor', true) IS DISTINCT FROM 'import')
  EXECUTE FUNCTION note_what_source_said();

-- step: note what codes took over from
ALTER TABLE shipments ADD COLUMN status_before_codes text, ADD COLUMN status_before_codes_set_at timestamptz;
COMMENT ON COLUMN shipments.status_before_codes IS 'what a person or an import had set before the status followed the codes; null where nobody had';
COMMENT ON COLUMN shipments.status_before_codes_set_at IS 'as status_set_at was then';

-- step: give it back where a code goes
CREATE OR REPLACE FUNCTION note_setting_of_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('waybill.skipped_steps', true) = 'codes' THEN
    -- `forget_code` gives back what was set, and when.
    IF current_setting('waybill.code_gone', true) IS DISTINCT FROM 'yes' THEN
      IF OLD.status_set_at IS NOT NULL THEN
        NEW.status_before_codes := OLD.status;
        NEW.status_before_codes_set_at := OLD.status_set_at;
      END IF;
      NEW.status_set_at := NULL;
    END IF;
    RETURN NEW;
  END IF;
  NEW.status_before_codes := NULL;
  NEW.status_before_codes_set_at := NULL;
  IF NEW.status_set_at IS NOT DISTINCT FROM OLD.status_set_at THEN
    NEW.status_set_at := clock_timestamp();
  END IF;
  -- What was told of the former status says nothing of this one.
  IF NEW.sub_status = OLD.sub_status AND current_setting('waybill.sub_status', true) IS DISTINCT FROM 'given' THEN
    NEW.sub_status := NULL;
  END IF;
  IF current_setting('waybill.sub_status', true) IS DISTINCT FROM 'given' THEN
    NEW.sub_status_set_at := NULL;
  END IF;
  RETURN NEW;
END $$;

-- What somebody set before the codes took over is there again; the codes that stay tell whether they go beyond it.
CREATE OR REPLACE FUNCTION forget_code(gone track_and_traces) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  ways CONSTANT text[] := ARRAY(SELECT n.status || ' ' || n.next_status FROM shipment_status_followers n);
  former CONSTANT text := coalesce(current_setting('waybill.skipped_steps', true), '');
  present record;
  progress text[];
  told text;
BEGIN
  SELECT s.status, s.status_set_at, s.status_before_codes, s.status_before_codes_set_at INTO present
  FROM shipments s
  WHERE s.id = gone.shipment_id AND s.channel_id = gone.channel_id
  FOR NO KEY UPDATE;
  IF NOT FOUND OR present.status_set_at IS NOT NULL OR present.status = 'CANCELED' THEN
    RETURN;
  END IF;
  progress := ARRAY(
    SELECT progress_of_code(t.id, t.channel_id, ways) FROM track_and_traces t
    WHERE t.shipment_id = gone.shipment_id AND t.channel_id = gone.channel_id AND t.id <> gone.id);
  told := status_of_codes(progress);
  IF coalesce(told, 'CREATED') = present.status OR present.status IS DISTINCT FROM
      status_of_codes(progress || coalesce(progress_of_code(gone.id, gone.channel_id, ways), gone.status)) THEN
    RETURN;
  END IF;
  PERFORM set_config('waybill.skipped_steps', 'codes', true), set_config('waybill.code_gone', 'yes', true);
  UPDATE shipments s
  SET status = coalesce(present.status_before_codes, told, 'CREATED'), sub_status = NULL, sub_status_set_at = NULL,
    status_set_at = present.status_before_codes_set_at, status_before_codes = NULL, status_before_codes_set_at = NULL,
    last_modified_at = statement_timestamp()
  WHERE s.id = gone.shipment_id AND s.channel_id = gone.channel_id;
  PERFORM set_config('waybill.skipped_steps', former, true), set_config('waybill.code_gone', '', true);
END $$;

-- step: take no template that is no address
-- As 0029_bundles.sql made it, but for `%{code}`, percent signs that escape nothing and characters that stand in no address.
CREATE OR REPLACE FUNCTION is_tracking_template(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value ~ '^https://[^][\s/?#@:{}<>%\\]+(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?#]|$)'
  AND value ~ '\{(code|postalCode|country|language|orderNumber)\}' AND value !~ '[$%]\{'
  AND regexp_replace(value, '\{(code|postalCode|country|language|orderNumber)\}', '~', 'g') !~* (
    '[\s\\{}<>"`|^\u0001-\u001f\u007f-\u009f\u2028\u2029]|%(?![0-9a-f]{2})|%s|%[0-9]+\$|%[du](?![0-9a-f])'
    '|%%?(?![0-9a-f]{2})[a-z_]\w*%|%(barcode|date|delivery|destination)\w*%'
    '|(?<=[/=])(:[a-z_]|\$[a-z_]|\[[^][]*\]|__[a-z]\w*__)|##');
