-- What can be shipped: classes of lines, bundles and their parts, cancellations, orders that say whether they can be
-- shipped, and shipments that are closed (decisions 21 and 22). Orders finish when all of it is shipped or delivered.
--
-- A line says how much of it is shipped and delivered, and so does a bundle, which is shipped as far as its parts are:
-- whoever reads needs no more than the line. The triggers that keep these numbers are those of 0005_writes.sql.

-- step: say of statuses whether their orders can be shipped
ALTER TABLE order_statuses ADD COLUMN is_shippable boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN order_statuses.is_shippable IS 'whether goods of orders in this status may be put into shipments';

-- step (in batches): leave out those that are no orders yet, or no more
UPDATE order_statuses SET is_shippable = false
WHERE id IN (
  SELECT s.id FROM order_statuses s
  WHERE s.is_shippable
    AND (s.code = 'UNFINISHED' OR s.order_type <> 'ORDER' OR s.customer_status IN ('canceled', 'fraud', 'closed'))
  ORDER BY s.id
  LIMIT 1000
);

-- step: say which classes of lines are shipped, and how much of a line there is to ship
CREATE FUNCTION is_shippable_class(class text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN class IN ('product', 'incentive');
CREATE FUNCTION open_quantity(quantity int, canceled int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(0, quantity - greatest(0, canceled));

-- step: let lines be of more classes, and of nothing
ALTER TABLE order_items
  DROP CONSTRAINT order_items_class_known,
  ADD CONSTRAINT order_items_class_known CHECK (class IN (
    'product', 'incentive', 'surcharge', 'postage', 'payment', 'service', 'giftcard', 'deposit')) NOT VALID,
  DROP CONSTRAINT order_items_quantity_positive,
  ADD CONSTRAINT order_items_quantity_not_negative CHECK (quantity >= 0) NOT VALID;

-- step: look whether lines are
ALTER TABLE order_items
  VALIDATE CONSTRAINT order_items_class_known,
  VALIDATE CONSTRAINT order_items_quantity_not_negative;

-- step: let lines say how much is delivered, which change of theirs was the last, and what they are measured in
ALTER TABLE order_items
  ADD COLUMN quantity_delivered bigint,
  ADD COLUMN version int NOT NULL DEFAULT 1,
  ADD COLUMN quantity_unit text;
ALTER TABLE order_items ALTER COLUMN quantity_delivered SET DEFAULT 0;
COMMENT ON COLUMN order_items.quantity_delivered IS 'of quantity_shipped, what is in shipments that are delivered; kept by triggers';
COMMENT ON COLUMN order_items.version IS 'counts the changes of what the feed tells of a line: quantity, cancellations, class, parent';
COMMENT ON COLUMN order_items.quantity_unit IS 'what the quantity is measured in, as the source calls it; null where it does not say';
COMMENT ON COLUMN order_items.quantity_shipped IS 'sum over the items of shipments that are not canceled, of a bundle as far as its parts are shipped; kept by triggers';
COMMENT ON COLUMN order_items.quantity_canceled IS 'units of quantity that are not to be shipped any more';

-- step: refuse to cancel more than was ordered
CREATE TRIGGER order_items_canceled_new BEFORE INSERT ON order_items
  FOR EACH ROW WHEN (NEW.quantity_canceled < 0 OR NEW.quantity_canceled > greatest(NEW.quantity, 0))
  EXECUTE FUNCTION refuse_value('quantity_canceled');
CREATE TRIGGER order_items_canceled_other BEFORE UPDATE OF quantity, quantity_canceled ON order_items
  FOR EACH ROW WHEN ((NEW.quantity <> OLD.quantity OR NEW.quantity_canceled <> OLD.quantity_canceled)
    AND (NEW.quantity_canceled < 0 OR NEW.quantity_canceled > greatest(NEW.quantity, 0)))
  EXECUTE FUNCTION refuse_value('quantity_canceled');

-- step (in batches): allow what was shipped before it was canceled
UPDATE order_items SET quantity_overshipped = quantity_shipped - open_quantity(quantity, quantity_canceled)
WHERE id IN (
  SELECT l.id FROM order_items l
  WHERE l.quantity_canceled > 0
    AND l.quantity_shipped > open_quantity(l.quantity, l.quantity_canceled) + l.quantity_overshipped
  ORDER BY l.id
  LIMIT 2000
);

-- step: ship nothing that is canceled
ALTER TABLE order_items
  DROP CONSTRAINT order_items_never_overshipped,
  ADD CONSTRAINT order_items_never_overshipped
    CHECK (quantity_shipped <= open_quantity(quantity, quantity_canceled) + quantity_overshipped) NOT VALID;

-- step (in batches): allow what was shipped meanwhile
UPDATE order_items SET quantity_overshipped = quantity_shipped - open_quantity(quantity, quantity_canceled)
WHERE id IN (
  SELECT l.id FROM order_items l
  WHERE l.quantity_canceled > 0
    AND l.quantity_shipped > open_quantity(l.quantity, l.quantity_canceled) + l.quantity_overshipped
  ORDER BY l.id
  LIMIT 2000
);

-- step: look whether lines keep to it
ALTER TABLE order_items VALIDATE CONSTRAINT order_items_never_overshipped;

-- step: refuse lines that are parts of themselves
-- A bundle may be part of another; eight levels are more than anybody packs, and end every walk along them.
CREATE FUNCTION refuse_parent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  above int := NEW.parent_order_item_id;
BEGIN
  FOR level IN 1..8 LOOP
    IF above IS NULL THEN
      RETURN NEW;
    END IF;
    EXIT WHEN above = NEW.id;
    above := (SELECT l.parent_order_item_id FROM order_items l WHERE l.id = above AND l.channel_id = NEW.channel_id);
  END LOOP;
  IF above IS NULL THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a line is a part of itself, or of too many others'
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'order_items', COLUMN = 'parent_order_item_id';
END $$;
CREATE TRIGGER order_items_parent_new BEFORE INSERT ON order_items
  FOR EACH ROW WHEN (NEW.parent_order_item_id IS NOT NULL) EXECUTE FUNCTION refuse_parent();
CREATE TRIGGER order_items_parent_other BEFORE UPDATE OF parent_order_item_id ON order_items
  FOR EACH ROW WHEN (NEW.parent_order_item_id IS NOT NULL
    AND NEW.parent_order_item_id IS DISTINCT FROM OLD.parent_order_item_id)
  EXECUTE FUNCTION refuse_parent();

-- step: keep lines that have been shipped what they are
-- Neither other goods (decision 20) nor what nobody ships (decision 21).
CREATE FUNCTION keep_goods() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a line that has been shipped stays the goods that it is'
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'order_items', COLUMN = TG_ARGV[0];
END $$;
CREATE TRIGGER order_items_sku_stays BEFORE UPDATE OF sku ON order_items
  FOR EACH ROW WHEN (OLD.quantity_shipped > 0 AND lower(NEW.sku) <> lower(OLD.sku)) EXECUTE FUNCTION keep_goods('sku');
CREATE TRIGGER order_items_class_stays BEFORE UPDATE OF class ON order_items
  FOR EACH ROW WHEN (OLD.quantity_shipped > 0 AND is_shippable_class(OLD.class) AND NOT is_shippable_class(NEW.class))
  EXECUTE FUNCTION keep_goods('class');

-- step: say what a bundle is, and how far a line is shipped
-- A bundle is a line with goods as parts. What hangs on a line otherwise, such as its deposit, a service or a gift, leaves
-- it what it was.
CREATE FUNCTION is_bundle(of_line_id int, of_channel_id int) RETURNS boolean LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT EXISTS (
    SELECT FROM order_items p
    WHERE p.parent_order_item_id = of_line_id AND p.channel_id = of_channel_id AND p.class = 'product');
END;

-- What the shipments hold of a line, or what its parts make up of it, the least of them deciding. Parts of which nothing
-- is left to ship, since it was canceled, hold no bundle back. What was shipped of a bundle itself before it had parts
-- stays.
CREATE FUNCTION progress_of_line(l order_items, OUT shipped bigint, OUT delivered bigint) LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT greatest(own.shipped, parts.shipped), greatest(own.delivered, parts.delivered)
  FROM (
    SELECT coalesce(sum(i.quantity) FILTER (WHERE s.status IS DISTINCT FROM 'CANCELED'), 0)::bigint AS shipped,
      coalesce(sum(i.quantity) FILTER (WHERE s.status = 'DELIVERED'), 0)::bigint AS delivered
    FROM shipment_items i
    JOIN shipments s ON s.id = i.shipment_id AND s.channel_id = i.channel_id
    WHERE i.order_item_id = l.id AND i.channel_id = l.channel_id
  ) own
  CROSS JOIN (
    SELECT min(open_quantity(l.quantity, l.quantity_canceled) * least(p.quantity_shipped, open) / open) AS shipped,
      min(open_quantity(l.quantity, l.quantity_canceled) * least(p.quantity_delivered, open) / open) AS delivered
    FROM order_items p
    CROSS JOIN LATERAL (SELECT open_quantity(p.quantity, p.quantity_canceled)::bigint AS open) o
    WHERE p.parent_order_item_id = l.id AND p.order_id = l.order_id AND p.channel_id = l.channel_id
      AND p.class = 'product' AND open > 0
  ) parts;
END;

-- How much of an order there is to ship, and how far that has got. Bundles are their parts; a line counts at most as far
-- as it is to be shipped, so that one line's surplus does not hide another's want.
CREATE FUNCTION order_progress(of_order_id int, of_channel_id int)
RETURNS TABLE (lines bigint, canceled bigint, ordered bigint, shipped bigint, delivered bigint) LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT count(*), coalesce(sum(l.quantity_canceled) FILTER (WHERE g.counts), 0)::bigint,
    coalesce(sum(g.open) FILTER (WHERE g.counts), 0)::bigint,
    coalesce(sum(least(g.open, l.quantity_shipped)) FILTER (WHERE g.counts), 0)::bigint,
    coalesce(sum(least(g.open, l.quantity_delivered)) FILTER (WHERE g.counts), 0)::bigint
  FROM order_items l
  CROSS JOIN LATERAL (
    SELECT open_quantity(l.quantity, l.quantity_canceled) AS open,
      is_shippable_class(l.class) AND NOT EXISTS (
        SELECT FROM order_items p
        WHERE p.parent_order_item_id = l.id AND p.order_id = l.order_id AND p.channel_id = l.channel_id
          AND p.class = 'product') AS counts
  ) g
  WHERE l.order_id = of_order_id AND l.channel_id = of_channel_id;
END;

-- step: count what is delivered, and have bundles follow their parts
-- As 0005_writes.sql made it. Lines are locked with those above them, all in one order; then each level is counted when
-- the one below it says the right numbers.
CREATE OR REPLACE FUNCTION count_shipped(line_ids int[], line_channel_ids int[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  ids int[] := line_ids;
  channel_ids int[] := line_channel_ids;
BEGIN
  PERFORM FROM order_items l
  WHERE (l.id, l.channel_id) IN (
    WITH RECURSIVE upwards (id, channel_id) AS (
      SELECT * FROM unnest(line_ids, line_channel_ids)
      UNION
      SELECT k.parent_order_item_id, k.channel_id
      FROM upwards u
      JOIN order_items k ON k.id = u.id AND k.channel_id = u.channel_id
      WHERE k.parent_order_item_id IS NOT NULL
    )
    SELECT u.id, u.channel_id FROM upwards u)
  ORDER BY l.id, l.channel_id
  FOR NO KEY UPDATE;

  WHILE ids IS NOT NULL LOOP
    UPDATE order_items l
    SET quantity_shipped = x.shipped, quantity_delivered = x.delivered,
      quantity_overshipped = least(
        l.quantity_overshipped, greatest(0, x.shipped - open_quantity(l.quantity, l.quantity_canceled)))
    FROM (
      SELECT k.id, k.channel_id, p.shipped, p.delivered
      FROM (SELECT DISTINCT * FROM unnest(ids, channel_ids)) g (id, channel_id)
      JOIN order_items k ON k.id = g.id AND k.channel_id = g.channel_id
      CROSS JOIN LATERAL progress_of_line(k) p
    ) x
    WHERE l.id = x.id AND l.channel_id = x.channel_id
      AND (l.quantity_shipped, l.quantity_delivered) IS DISTINCT FROM (x.shipped, x.delivered);
    SELECT array_agg(l.parent_order_item_id), array_agg(l.channel_id) INTO ids, channel_ids
    FROM order_items l
    WHERE (l.id, l.channel_id) IN (SELECT * FROM unnest(ids, channel_ids)) AND l.parent_order_item_id IS NOT NULL;
  END LOOP;
END $$;

-- step: count when shipments are delivered, too
-- As 0005_writes.sql made it.
CREATE OR REPLACE FUNCTION count_shipped_of_shipments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  lines record;
  ends CONSTANT text[] := ARRAY['CANCELED', 'DELIVERED'];
BEGIN
  SELECT array_agg(i.order_item_id) AS ids, array_agg(i.channel_id) AS channel_ids INTO lines
  FROM old_rows o
  JOIN new_rows n ON n.id = o.id AND n.channel_id = o.channel_id
  JOIN shipment_items i ON i.shipment_id = n.id AND i.channel_id = n.channel_id
  WHERE o.status IS DISTINCT FROM n.status AND (o.status = ANY (ends) OR n.status = ANY (ends));
  IF lines.ids IS NOT NULL THEN
    PERFORM count_shipped(lines.ids, lines.channel_ids);
  END IF;
  RETURN NULL;
END $$;

-- step: count bundles when they or their parts become other
-- A bundle that becomes smaller is counted before it is held to what was ordered.
CREATE FUNCTION count_bundle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF is_bundle(NEW.id, NEW.channel_id) THEN
    SELECT p.shipped, p.delivered INTO NEW.quantity_shipped, NEW.quantity_delivered FROM progress_of_line(NEW) p;
  END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION count_bundle_of_part() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.parent_order_item_id IS NOT NULL THEN
    PERFORM count_shipped(ARRAY[OLD.parent_order_item_id], ARRAY[OLD.channel_id]);
  END IF;
  IF TG_OP <> 'DELETE' AND NEW.parent_order_item_id IS NOT NULL THEN
    PERFORM count_shipped(ARRAY[NEW.parent_order_item_id], ARRAY[NEW.channel_id]);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER order_items_count_bundle BEFORE UPDATE OF quantity, quantity_canceled ON order_items
  FOR EACH ROW WHEN ((NEW.quantity, NEW.quantity_canceled) IS DISTINCT FROM (OLD.quantity, OLD.quantity_canceled))
  EXECUTE FUNCTION count_bundle();
CREATE TRIGGER order_items_count_part_created AFTER INSERT ON order_items
  FOR EACH ROW WHEN (NEW.parent_order_item_id IS NOT NULL) EXECUTE FUNCTION count_bundle_of_part();
CREATE TRIGGER order_items_count_part_updated
  AFTER UPDATE OF quantity, quantity_canceled, class, parent_order_item_id ON order_items
  FOR EACH ROW WHEN ((NEW.parent_order_item_id IS NOT NULL OR OLD.parent_order_item_id IS NOT NULL)
    AND (NEW.quantity <> OLD.quantity OR NEW.quantity_canceled <> OLD.quantity_canceled OR NEW.class <> OLD.class
    OR NEW.parent_order_item_id IS DISTINCT FROM OLD.parent_order_item_id))
  EXECUTE FUNCTION count_bundle_of_part();
CREATE TRIGGER order_items_count_part_deleted AFTER DELETE ON order_items
  FOR EACH ROW WHEN (OLD.parent_order_item_id IS NOT NULL) EXECUTE FUNCTION count_bundle_of_part();

-- step (outside a transaction): find the lines that do not say how much is delivered
CREATE INDEX CONCURRENTLY order_items_uncounted ON order_items (id) WHERE quantity_delivered IS NULL;

-- step (in batches): count what is delivered of each
UPDATE order_items l
SET quantity_delivered = coalesce((
  SELECT sum(i.quantity)
  FROM shipment_items i
  JOIN shipments s ON s.id = i.shipment_id AND s.channel_id = i.channel_id
  WHERE i.order_item_id = l.id AND i.channel_id = l.channel_id AND s.status = 'DELIVERED'), 0)
WHERE l.quantity_delivered IS NULL AND l.id IN (
  SELECT u.id FROM order_items u WHERE u.quantity_delivered IS NULL ORDER BY u.id LIMIT 2000);

-- step (outside a transaction): look for them no more
DROP INDEX CONCURRENTLY order_items_uncounted;

-- step: have no line without that number
ALTER TABLE order_items
  ADD CONSTRAINT order_items_quantity_delivered_known CHECK (quantity_delivered IS NOT NULL) NOT VALID;

-- step: look whether there is one
ALTER TABLE order_items VALIDATE CONSTRAINT order_items_quantity_delivered_known;

-- step (in batches): have bundles follow their parts, those at the bottom first
UPDATE order_items l
SET quantity_shipped = u.shipped, quantity_delivered = u.delivered
FROM (
  SELECT k.id, k.channel_id, p.shipped, p.delivered
  FROM order_items k
  CROSS JOIN LATERAL progress_of_line(k) p
  WHERE k.id IN (SELECT c.parent_order_item_id FROM order_items c WHERE c.parent_order_item_id IS NOT NULL)
    AND (k.quantity_shipped, k.quantity_delivered) IS DISTINCT FROM (p.shipped, p.delivered)
  ORDER BY k.id
  LIMIT 2000
) u
WHERE l.id = u.id AND l.channel_id = u.channel_id
  AND (l.quantity_shipped, l.quantity_delivered) IS DISTINCT FROM (u.shipped, u.delivered);

-- step: let the feed tell of lines
ALTER TABLE changes
  DROP CONSTRAINT changes_type_known,
  ADD CONSTRAINT changes_type_known
    CHECK (type IN ('ORDER', 'ORDER_ITEM', 'SHIPMENT', 'SHIPMENT_ITEM', 'TRACK_AND_TRACE', 'CARRIER')) NOT VALID;

-- step: look whether all that it told is of such a kind
ALTER TABLE changes VALIDATE CONSTRAINT changes_type_known;

-- step (outside a transaction): find the changes of an order and its lines
CREATE INDEX CONCURRENTLY changes_order ON changes (order_id, id) WHERE type IN ('ORDER', 'ORDER_ITEM');

-- step: tell when lines change
-- Lines come with their order and go with it, which is not told; nor is what is counted of them, which their shipments
-- tell.
CREATE FUNCTION raise_line_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  RETURN NEW;
END $$;
CREATE TRIGGER order_items_version BEFORE UPDATE OF quantity, quantity_canceled, class, parent_order_item_id ON order_items
  FOR EACH ROW WHEN (NEW.quantity <> OLD.quantity OR NEW.quantity_canceled <> OLD.quantity_canceled OR NEW.class <> OLD.class
    OR NEW.parent_order_item_id IS DISTINCT FROM OLD.parent_order_item_id)
  EXECUTE FUNCTION raise_line_version();
CREATE FUNCTION recorded(r order_items)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.order_id, NULL::uuid, r.version, jsonb_build_object(
    'quantity', r.quantity, 'quantityCanceled', r.quantity_canceled, 'class', r.class,
    'parentOrderItemId', r.parent_order_item_id);
END;
CREATE FUNCTION record_order_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old, new)
  SELECT writing_transaction(), 'ORDER_ITEM', 'UPDATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
    coalesce(d.old, '{}'), coalesce(d.new, '{}')
  FROM old_rows b
  JOIN new_rows a ON a.id = b.id AND a.channel_id = b.channel_id AND a.version <> b.version
  CROSS JOIN LATERAL recorded(ROW(b.*)::order_items) o
  CROSS JOIN LATERAL recorded(ROW(a.*)::order_items) n
  CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(f.key, f.value) AS old, jsonb_object_agg(f.key, n.fields -> f.key) AS new
    FROM jsonb_each(o.fields) f
    WHERE f.value <> n.fields -> f.key
  ) d;
  RETURN NULL;
END $$;
CREATE TRIGGER order_items_record_updated AFTER UPDATE ON order_items
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION record_order_items();

-- step: let channels say how their orders finish
ALTER TABLE channels ADD COLUMN shipped_status text, ADD COLUMN delivered_status text;
COMMENT ON COLUMN channels.shipped_status IS 'status that an order takes when all of it is shipped; null: it keeps its own';
COMMENT ON COLUMN channels.delivered_status IS 'status that an order takes when all of it is delivered; null: it keeps its own';

-- step: hold that to the statuses that there are
ALTER TABLE channels
  ADD CONSTRAINT channels_shipped_status_fk FOREIGN KEY (shipped_status) REFERENCES order_statuses (code) NOT VALID,
  ADD CONSTRAINT channels_delivered_status_fk FOREIGN KEY (delivered_status) REFERENCES order_statuses (code) NOT VALID;

-- step: look whether channels have others
ALTER TABLE channels
  VALIDATE CONSTRAINT channels_shipped_status_fk,
  VALIDATE CONSTRAINT channels_delivered_status_fk;

-- step (outside a transaction): find channels by the one
CREATE INDEX CONCURRENTLY channels_shipped_status ON channels (shipped_status);

-- step (outside a transaction): find channels by the other
CREATE INDEX CONCURRENTLY channels_delivered_status ON channels (delivered_status);

-- step: say which status an order takes
-- The status of an order that is `present` and has got so far: that for delivered orders first, then that for shipped
-- ones, and on from there, each where the graph of statuses leads to it in one step. Nothing finishes by itself of which
-- nothing was shipped.
CREATE FUNCTION finished_status(
  present text, shipped_status text, delivered_status text, ordered bigint, shipped bigint, delivered bigint
) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  wanted text;
  reached text := present;
BEGIN
  IF ordered = 0 OR shipped < ordered THEN
    RETURN present;
  END IF;
  FOREACH wanted IN ARRAY ARRAY[
    CASE WHEN delivered >= ordered THEN delivered_status END, shipped_status,
    CASE WHEN delivered >= ordered THEN delivered_status END]
  LOOP
    EXIT WHEN reached = delivered_status;
    IF EXISTS (
      SELECT FROM order_status_successors x
      JOIN order_statuses s ON s.id = x.status_id
      JOIN order_statuses n ON n.id = x.next_status_id
      WHERE s.code = reached AND n.code = wanted
    ) THEN
      reached := wanted;
    END IF;
  END LOOP;
  RETURN reached;
END $$;

-- step: finish orders when the last of their lines is shipped or delivered
-- Mutations and imports have locked the order before its shipments (see `shipment.lock`), so none of them waits here. `SET LOCAL waybill.finishing = 'held'`
-- is for who writes an order in several statements, and sees to its status itself.
CREATE FUNCTION finish_orders() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  counted record;
  present text;
  finished text;
BEGIN
  FOR counted IN
    SELECT DISTINCT n.order_id, n.channel_id, c.shipped_status, c.delivered_status
    FROM new_rows n
    JOIN old_rows o ON o.id = n.id AND o.channel_id = n.channel_id
    JOIN channels c ON c.id = n.channel_id AND (c.shipped_status IS NOT NULL OR c.delivered_status IS NOT NULL)
    WHERE (o.quantity_shipped, o.quantity_delivered, o.quantity, o.quantity_canceled, o.class)
      IS DISTINCT FROM (n.quantity_shipped, n.quantity_delivered, n.quantity, n.quantity_canceled, n.class)
    ORDER BY n.order_id, n.channel_id
  LOOP
    SELECT o.status INTO present FROM orders o
    WHERE o.id = counted.order_id AND o.channel_id = counted.channel_id
    FOR NO KEY UPDATE;
    SELECT finished_status(
      present, counted.shipped_status, counted.delivered_status, p.ordered, p.shipped, p.delivered) INTO finished
    FROM order_progress(counted.order_id, counted.channel_id) p;
    IF finished <> present THEN
      UPDATE orders SET status = finished, status_date = statement_timestamp(), last_modified_at = statement_timestamp()
      WHERE id = counted.order_id AND channel_id = counted.channel_id;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER order_items_finish_orders AFTER UPDATE ON order_items
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT
  WHEN (current_setting('waybill.finishing', true) IS DISTINCT FROM 'held') EXECUTE FUNCTION finish_orders();

-- step: ship nothing of orders that cannot be shipped
-- `SET LOCAL waybill.skipped_steps = 'allowed'` is for who reports what has happened, here as for the lifecycle. The order
-- is locked, so that its status stays what it is until the shipment is there.
CREATE FUNCTION check_shipped_orders() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refused text;
BEGIN
  IF current_setting('waybill.skipped_steps', true) = 'allowed' THEN
    RETURN NULL;
  END IF;
  PERFORM FROM orders o
  WHERE (o.id, o.channel_id) IN (SELECT n.order_id, n.channel_id FROM new_rows n)
  ORDER BY o.id, o.channel_id
  FOR SHARE;
  SELECT o.status INTO refused
  FROM orders o
  JOIN order_statuses s ON s.code = o.status AND NOT s.is_shippable
  WHERE (o.id, o.channel_id) IN (SELECT n.order_id, n.channel_id FROM new_rows n)
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'an order that is % cannot be shipped', refused
      USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_order_shippable', TABLE = 'shipments';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER shipments_allowed_created AFTER INSERT ON shipments
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION check_shipped_orders();

-- step: have shipments hold goods alone, and no others once they are closed
-- Whoever makes a shipment that is closed from its beginning puts its items in by the same transaction.
CREATE FUNCTION refuse_shipped_items(shipment_ids uuid[], line_ids int[], line_channel_ids int[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM order_items l
    WHERE (l.id, l.channel_id) IN (SELECT * FROM unnest(line_ids, line_channel_ids))
      AND (NOT is_shippable_class(l.class) OR is_bundle(l.id, l.channel_id))
  ) THEN
    RAISE EXCEPTION 'a line that is no goods, or a bundle, is not shipped itself'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'shipment_items_line_shippable', TABLE = 'shipment_items';
  END IF;
  IF current_setting('waybill.skipped_steps', true) = 'allowed' THEN
    RETURN;
  END IF;
  PERFORM FROM orders o
  WHERE (o.id, o.channel_id) IN (
    SELECT l.order_id, l.channel_id FROM order_items l
    WHERE (l.id, l.channel_id) IN (SELECT * FROM unnest(line_ids, line_channel_ids)))
  ORDER BY o.id, o.channel_id
  FOR SHARE;
  IF EXISTS (
    SELECT FROM order_items l
    JOIN orders o ON o.id = l.order_id AND o.channel_id = l.channel_id
    JOIN order_statuses s ON s.code = o.status AND NOT s.is_shippable
    WHERE (l.id, l.channel_id) IN (SELECT * FROM unnest(line_ids, line_channel_ids))
  ) THEN
    RAISE EXCEPTION 'the order cannot be shipped'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_order_shippable', TABLE = 'shipment_items';
  END IF;
  IF EXISTS (
    SELECT FROM shipments s
    WHERE s.id = ANY (shipment_ids) AND s.status IN ('DELIVERED', 'CANCELED')
      AND NOT EXISTS (
        SELECT FROM changes c
        WHERE c.shipment_id = s.id AND c.type = 'SHIPMENT' AND c.action = 'CREATED'
          AND c.transaction_id = nullif(current_setting('waybill.transaction_id', true), '')::bigint)
  ) THEN
    RAISE EXCEPTION 'a shipment that is delivered or canceled is closed for items'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'shipment_items_shipment_open', TABLE = 'shipment_items';
  END IF;
END $$;

-- step: hold items to that
-- Before the triggers that count, by its name: the order is locked before its lines. What goes with its shipment finds no
-- shipment any more.
CREATE FUNCTION check_shipped_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM refuse_shipped_items(
      array_agg(n.shipment_id), array_agg(n.order_item_id), array_agg(n.channel_id)) FROM new_rows n;
  ELSIF TG_OP = 'UPDATE' THEN
    PERFORM refuse_shipped_items(
      array_agg(o.shipment_id) || array_agg(n.shipment_id),
      array_agg(n.order_item_id) FILTER (WHERE m.takes_more), array_agg(n.channel_id) FILTER (WHERE m.takes_more))
    FROM new_rows n
    JOIN old_rows o ON o.id = n.id AND o.channel_id = n.channel_id
    CROSS JOIN LATERAL (
      SELECT (n.shipment_id, n.order_item_id) <> (o.shipment_id, o.order_item_id)
        OR coalesce(n.quantity, 0) > coalesce(o.quantity, 0) AS takes_more
    ) m
    WHERE m.takes_more OR n.quantity IS DISTINCT FROM o.quantity;
  ELSE
    PERFORM refuse_shipped_items(array_agg(o.shipment_id), NULL, NULL) FROM old_rows o;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER shipment_items_allowed_created AFTER INSERT ON shipment_items
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION check_shipped_items();
CREATE TRIGGER shipment_items_allowed_updated AFTER UPDATE ON shipment_items
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION check_shipped_items();
CREATE TRIGGER shipment_items_allowed_deleted AFTER DELETE ON shipment_items
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION check_shipped_items();

-- step: keep shipments that are closed
-- `SET LOCAL waybill.overridden_steps = 'allowed'` is for who may override the lifecycle (0010_parcels.sql).
CREATE FUNCTION refuse_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a shipment that is % is deleted by nobody but who may override that', OLD.status
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'shipments', COLUMN = 'status';
END $$;
CREATE TRIGGER shipments_closed_stay BEFORE DELETE ON shipments
  FOR EACH ROW WHEN (OLD.status IN ('DELIVERED', 'CANCELED')
    AND current_setting('waybill.overridden_steps', true) IS DISTINCT FROM 'allowed'
    AND current_setting('waybill.skipped_steps', true) IS DISTINCT FROM 'allowed')
  EXECUTE FUNCTION refuse_deletion();
