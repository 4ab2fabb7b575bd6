-- Keys in place of names, positions and spellings (decisions 20 and 25): how codes are compared, who may use one, what
-- carriers are called by, and what other systems call shipments, their items and codes.
--
-- The rules of codes and keys are those of `app/rules.py`: its `normalized_code` and `slug` say the same.

-- step: say how codes are compared
-- Without blanks and separators, in capitals; capitals of ASCII alone, so that no locale decides. A code of separators
-- alone is compared as it is. 255 characters, the longest code, fit into an index whatever they become.
CREATE FUNCTION normalized_code(code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(upper(coalesce(nullif(regexp_replace(normalize(code, NFKC),
  '[\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff'
  '\u0001-\u001f\u007f-\u009f\u2028\u2029'
  '\u0027-\u002a\u002c-\u002f\u003a\u003b\u005b-\u005d\u005f\u007c\u00b7\u2010-\u2015\u2212\u30fc]+', '', 'g'), ''),
  code) COLLATE "C"), 255);

-- step: tell placeholders of other systems beside ours
-- As `template_fault` does: where a template has a place of ours, an @ is a part of the address.
CREATE OR REPLACE FUNCTION is_tracking_template(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value ~ '^https://[^][\s/?#@{}<>%\\]+([/?#]|$)'
  AND value ~ '\{(code|postalCode|country|language|orderNumber)\}' AND value !~ '\$\{'
  AND regexp_replace(value, '\{(code|postalCode|country|language|orderNumber)\}', '~', 'g') !~* (
    '[\s\\{}<>\u0001-\u001f\u007f-\u009f\u2028\u2029]|%s|%[0-9]+\$|%[du](?![0-9a-f])'
    '|%%?(?![0-9a-f]{2})[a-z_]\w*%|%(barcode|date|delivery|destination)\w*%'
    '|(?<=[/=])(:[a-z_]|\$[a-z_]|\[[^][]*\]|__[a-z]\w*__)|##');

-- step (outside a transaction): find codes by that
CREATE INDEX CONCURRENTLY track_and_traces_normalized_code ON track_and_traces (normalized_code(code));

-- step: let codes be used again, and have keys of other systems
ALTER TABLE track_and_traces
  ADD COLUMN use_number int NOT NULL DEFAULT 0,
  ADD COLUMN external_id text;
COMMENT ON COLUMN track_and_traces.use_number IS 'tells the uses of one code of a carrier apart, whatever they have been freed or shared by';
COMMENT ON COLUMN track_and_traces.external_id IS 'key of the code in another system';

-- step: say who may use a code
-- One consignee is who ordered twice by the same account, company or e-mail, or has goods brought to the same door.
CREATE FUNCTION are_of_one_consignee(first_order int, second_order int, of_channel int) RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT first_order = second_order OR EXISTS (
    SELECT FROM orders o
    JOIN orders p ON p.id = second_order AND p.channel_id = of_channel
    WHERE o.id = first_order AND o.channel_id = of_channel AND (
      o.customer_id = p.customer_id OR o.contact_id = p.contact_id OR o.company_id = p.company_id
      OR lower(nullif(o.email, '')) = lower(p.email))
  ) OR EXISTS (
    SELECT FROM order_addresses a
    JOIN order_addresses b ON b.order_id = second_order AND b.channel_id = of_channel AND b.type = 'delivery'
    WHERE a.order_id = first_order AND a.channel_id = of_channel AND a.type = 'delivery'
      AND a.country = b.country AND normalized_code(a.postal_code) = normalized_code(b.postal_code)
      AND ARRAY[lower(a.city), lower(a.street), lower(a.number), lower(a.company), lower(a.last_name)]
        IS NOT DISTINCT FROM
        ARRAY[lower(b.city), lower(b.street), lower(b.number), lower(b.company), lower(b.last_name)]);
END;

-- A parcel of which nothing more will be told: it never set out, or it has arrived 90 days ago.
CREATE FUNCTION is_code_free(t track_and_traces) RETURNS boolean LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT coalesce(t.status = 'CANCELED' OR s.status = 'CANCELED' OR 'DELIVERED' IN (t.status, s.status) AND coalesce(
      (SELECT max(e.occurred_at) FROM tracking_events e
        WHERE e.track_and_trace_id = t.id AND e.channel_id = t.channel_id),
      s.status_set_at, s.created_at) < now() - interval '90 days', false)
  FROM shipments s
  WHERE s.id = t.shipment_id AND s.channel_id = t.channel_id;
END;

-- Whether a carrier's code is in use for somebody else, or in the same shipment. `but_for` is the row that asks.
CREATE FUNCTION is_code_taken(
  wanted text, of_carrier int, of_channel int, for_order int, for_shipment uuid, but_for uuid
) RETURNS boolean LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT EXISTS (
    SELECT FROM track_and_traces t
    WHERE normalized_code(t.code) = normalized_code(wanted) AND t.carrier_id = of_carrier AND t.channel_id = of_channel
      AND t.id IS DISTINCT FROM but_for
      AND (t.shipment_id IS NOT DISTINCT FROM for_shipment
        OR NOT coalesce(is_code_free(t), false) AND NOT are_of_one_consignee(t.order_id, for_order, of_channel)));
END;

-- Two who want the same code at the same moment get the same number, which an index refuses. The table is not scanned
-- even where it seemed to be empty when the session planned.
CREATE FUNCTION number_use_of_code() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  others record;
BEGIN
  SELECT count(*) > 0 AS are_there, coalesce(max(t.use_number) + 1, 0) AS next_number INTO others
  FROM track_and_traces t
  WHERE normalized_code(t.code) = normalized_code(NEW.code) AND t.carrier_id = NEW.carrier_id
    AND t.channel_id = NEW.channel_id AND t.id <> NEW.id;
  IF others.are_there AND NOT coalesce(is_code_free(NEW), false)
      AND is_code_taken(NEW.code, NEW.carrier_id, NEW.channel_id, NEW.order_id, NEW.shipment_id, NEW.id) THEN
    RAISE EXCEPTION 'the code is in use with this carrier'
      USING ERRCODE = 'unique_violation', CONSTRAINT = 'track_and_traces_code_unique', TABLE = 'track_and_traces';
  END IF;
  IF TG_OP = 'INSERT' OR OLD.carrier_id IS DISTINCT FROM NEW.carrier_id
      OR normalized_code(OLD.code) <> normalized_code(NEW.code) THEN
    NEW.use_number := others.next_number;
  END IF;
  RETURN NEW;
END $$;

-- step: number the uses of codes
CREATE TRIGGER track_and_traces_use_new BEFORE INSERT ON track_and_traces
  FOR EACH ROW WHEN (NEW.carrier_id IS NOT NULL) EXECUTE FUNCTION number_use_of_code();
CREATE TRIGGER track_and_traces_use_other BEFORE UPDATE OF code, carrier_id, shipment_id ON track_and_traces
  FOR EACH ROW WHEN (NEW.carrier_id IS NOT NULL
    AND (NEW.code <> OLD.code OR NEW.carrier_id IS DISTINCT FROM OLD.carrier_id OR NEW.shipment_id <> OLD.shipment_id))
  EXECUTE FUNCTION number_use_of_code();

-- step (in batches): number those that were told apart by their spelling
UPDATE track_and_traces t
SET use_number = u.place
FROM (
  SELECT k.id, k.channel_id, k.place
  FROM (
    SELECT c.id, c.channel_id, c.use_number, row_number() OVER (
      PARTITION BY normalized_code(c.code), c.carrier_id, c.channel_id ORDER BY c.use_number, c.created_at, c.id) - 1 AS place
    FROM track_and_traces c
    WHERE c.carrier_id IS NOT NULL
  ) k
  WHERE k.place <> k.use_number
  LIMIT 1000
) u
WHERE t.id = u.id AND t.channel_id = u.channel_id;

-- step (outside a transaction): tell uses apart, however the code is written
CREATE UNIQUE INDEX CONCURRENTLY track_and_traces_code_use
  ON track_and_traces (normalized_code(code), carrier_id, channel_id, use_number);

-- step (outside a transaction): find codes by that alone
DROP INDEX CONCURRENTLY track_and_traces_normalized_code;

-- step (outside a transaction): tell uses of the same spelling apart
CREATE UNIQUE INDEX CONCURRENTLY track_and_traces_code_number
  ON track_and_traces (code, carrier_id, channel_id, use_number);

-- step: let a code be used again
-- The version before this one names the constraint when it adds a shipment's codes.
ALTER TABLE track_and_traces
  DROP CONSTRAINT track_and_traces_code_unique,
  ADD CONSTRAINT track_and_traces_code_unique UNIQUE USING INDEX track_and_traces_code_number;

-- step: hold keys of codes to the rules
ALTER TABLE track_and_traces
  ADD CONSTRAINT track_and_traces_external_id_line CHECK (is_line(external_id) AND length(external_id) <= 255) NOT VALID;

-- step: look whether codes have others
ALTER TABLE track_and_traces VALIDATE CONSTRAINT track_and_traces_external_id_line;

-- step (outside a transaction): tell codes apart by their keys
CREATE UNIQUE INDEX CONCURRENTLY track_and_traces_external_id_unique
  ON track_and_traces (order_id, external_id, channel_id) WHERE external_id IS NOT NULL;

-- step: let items have keys of other systems
ALTER TABLE shipment_items ADD COLUMN external_id text;
COMMENT ON COLUMN shipment_items.external_id IS 'key of the item in another system';

-- step: hold keys of items to the rules
ALTER TABLE shipment_items
  ADD CONSTRAINT shipment_items_external_id_line CHECK (is_line(external_id) AND length(external_id) <= 255) NOT VALID;

-- step: look whether items have others
ALTER TABLE shipment_items VALIDATE CONSTRAINT shipment_items_external_id_line;

-- step (outside a transaction): tell items apart by their keys
CREATE UNIQUE INDEX CONCURRENTLY shipment_items_external_id_unique
  ON shipment_items (order_id, external_id, channel_id) WHERE external_id IS NOT NULL;

-- step: say which shipments were made here
-- Until now a key told that: no mutation gave one.
ALTER TABLE shipments ADD COLUMN is_made_here boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN shipments.is_made_here IS 'made by a mutation, so that no record of another system takes it away';

-- step: hold keys of shipments to the rules
CREATE TRIGGER shipments_external_id_new BEFORE INSERT ON shipments
  FOR EACH ROW WHEN (NOT is_line(NEW.external_id) OR length(NEW.external_id) > 255)
  EXECUTE FUNCTION refuse_value('external_id');
CREATE TRIGGER shipments_external_id_other BEFORE UPDATE OF external_id ON shipments
  FOR EACH ROW WHEN (NEW.external_id IS DISTINCT FROM OLD.external_id
    AND (NOT is_line(NEW.external_id) OR length(NEW.external_id) > 255))
  EXECUTE FUNCTION refuse_value('external_id');

-- step: let carriers have a key
ALTER TABLE carriers
  ADD COLUMN key text,
  ADD COLUMN source_name text;
COMMENT ON COLUMN carriers.key IS 'what other systems call the carrier, in small letters; it stays when the name changes';
COMMENT ON COLUMN carriers.source_name IS 'the name in records of other systems, where the carrier has been given another one here';

-- step: make keys of names
-- Small letters and digits of ASCII, a hyphen for all between them; empty where the name has none.
CREATE FUNCTION slug(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN rtrim(left(btrim(regexp_replace(lower(translate(
  replace(replace(replace(replace(replace(replace(replace(
    regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]+', '', 'g'),
    'ß', 'ss'), 'æ', 'ae'), 'Æ', 'ae'), 'œ', 'oe'), 'Œ', 'oe'), 'þ', 'th'), 'Þ', 'th'),
  'øØłŁđĐ', 'oolldd') COLLATE "C"), '[^a-z0-9]+', '-', 'g'), '-'), 64), '-');

CREATE FUNCTION give_carrier_key() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  stem text := coalesce(nullif(slug(NEW.name), ''), 'carrier');
  place int := 1;
BEGIN
  IF NEW.key IS NOT NULL THEN
    NEW.key := lower(NEW.key COLLATE "C");
    RETURN NEW;
  END IF;
  LOOP
    NEW.key := CASE WHEN place = 1 THEN stem ELSE rtrim(left(stem, 58), '-') || '-' || place END;
    EXIT WHEN NOT EXISTS (
      SELECT FROM carriers c
      WHERE c.key = NEW.key AND c.channel_id IS NOT DISTINCT FROM NEW.channel_id AND c.id <> NEW.id);
    place := place + 1;
  END LOOP;
  RETURN NEW;
END $$;

-- step: give new carriers keys
CREATE TRIGGER carriers_key_given BEFORE INSERT OR UPDATE ON carriers
  FOR EACH ROW EXECUTE FUNCTION give_carrier_key();

-- step: note what records call carriers that are renamed
CREATE FUNCTION note_source_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.source_name := OLD.name;
  RETURN NEW;
END $$;
CREATE TRIGGER carriers_renamed BEFORE UPDATE OF name ON carriers
  FOR EACH ROW WHEN (NEW.name <> OLD.name AND NEW.source_name IS NULL) EXECUTE FUNCTION note_source_name();

-- step: record the keys of carriers
-- As 0009_carrier_channels.sql made it, with the key.
CREATE OR REPLACE FUNCTION recorded(r carriers)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, NULL::int, NULL::uuid, r.version, jsonb_build_object(
    'channelId', r.channel_id, 'key', r.key, 'name', r.name, 'type', r.type, 'trackAndTraceURL', r.track_and_trace_url,
    'logo', r.logo);
END;

-- step (in batches): give carriers keys
-- The trigger makes them of the names.
UPDATE carriers c
SET key = NULL
FROM (SELECT k.id FROM carriers k WHERE k.key IS NULL ORDER BY k.id LIMIT 100) u
WHERE c.id = u.id;

-- step: hold keys of carriers to the rules
ALTER TABLE carriers
  ADD CONSTRAINT carriers_key_slug CHECK (
    key IS NOT NULL AND key ~ '^[a-z0-9]+([._-][a-z0-9]+)*$' AND length(key) <= 64) NOT VALID;

-- step: look whether carriers have others
ALTER TABLE carriers VALIDATE CONSTRAINT carriers_key_slug;

-- step (outside a transaction): index the keys of each channel
CREATE UNIQUE INDEX CONCURRENTLY carriers_channel_key ON carriers (channel_id, key) NULLS NOT DISTINCT;

-- step: tell carriers apart by their keys
ALTER TABLE carriers ADD CONSTRAINT carriers_key_unique UNIQUE USING INDEX carriers_channel_key;

-- step (outside a transaction): find orders by their references
CREATE INDEX CONCURRENTLY orders_reference ON orders (reference) WHERE reference IS NOT NULL;

-- step (outside a transaction): find shipments by their sources
CREATE INDEX CONCURRENTLY shipment_sources_id ON shipment_sources (id, order_id, channel_id);
