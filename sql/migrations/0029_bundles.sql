-- Customers, who read no parts of bundles, read what these cost, and what is canceled and paid back of them, with their line.

-- step: say what a line costs with the parts that hang on it
-- What customers read as lines of their own, such as a service, is no part of another. What is canceled and paid back is in
-- packs, as many as the part that is furthest behind makes up. No table is scanned even where it seemed to be empty when
-- the session planned.
CREATE FUNCTION rolled_up(of_line_id int, of_order_id int, in_channel_id int)
RETURNS TABLE (price_total numeric, price_total_net numeric, tax numeric, discount numeric, tax_percentage numeric, canceled int,
  refunded int)
LANGUAGE plpgsql STABLE ROWS 1 SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH RECURSIVE hanging AS (
    SELECT l.id, l.price_total, l.price_total_net, l.tax, l.discount * l.quantity AS discount, l.quantity, l.quantity_canceled,
      l.quantity_refunded, coalesce(l.exact_tax_percentage, l.tax_percentage)::numeric AS percentage, true AS is_part,
      l.quantity AS packs
    FROM order_items l
    WHERE l.id = of_line_id AND l.order_id = of_order_id AND l.channel_id = in_channel_id
    UNION ALL
    SELECT p.id, p.price_total, p.price_total_net, p.tax, p.discount * p.quantity, p.quantity, p.quantity_canceled,
      p.quantity_refunded, coalesce(p.exact_tax_percentage, p.tax_percentage)::numeric, h.is_part AND p.class = 'product',
      h.packs
    FROM hanging h
    JOIN order_items p ON p.parent_order_item_id = h.id AND p.order_id = of_order_id AND p.channel_id = in_channel_id
      AND is_shippable_class(p.class)
  ), parts AS (
    SELECT h.*, h.is_part AND h.id <> of_line_id AND h.quantity > 0 AND NOT is_bundle(h.id, in_channel_id) AS counts
    FROM hanging h
  )
  SELECT sum(p.price_total), sum(p.price_total_net), sum(p.tax), sum(p.discount),
    CASE WHEN count(DISTINCT p.percentage) FILTER (WHERE p.price_total <> 0) > 1 AND sum(p.price_total) <> 0
      THEN round((sum(p.price_total_net) - sum(p.price_total)) * 100 / sum(p.price_total), 2)
      ELSE coalesce(max(p.percentage) FILTER (WHERE p.price_total <> 0), max(p.percentage) FILTER (WHERE p.id = of_line_id))
    END,
    (min(p.packs::bigint * least(p.quantity_canceled, p.quantity) / p.quantity) FILTER (WHERE p.counts))::int,
    (min(p.packs::bigint * least(p.quantity_refunded, p.quantity) / p.quantity) FILTER (WHERE p.counts))::int
  FROM parts p;
END $$;

-- step: take a line for no bundle whose parts are none
-- Lines of quantity 0 are kept, and a line of which nothing was ordered makes nothing up: the line is shipped itself.
CREATE OR REPLACE FUNCTION is_bundle(of_line_id int, of_channel_id int) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM order_items p
    WHERE p.parent_order_item_id = of_line_id AND p.channel_id = of_channel_id AND p.class = 'product' AND p.quantity > 0);
END $$;

CREATE OR REPLACE FUNCTION order_progress(of_order_id int, of_channel_id int)
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
          AND p.class = 'product' AND p.quantity > 0) AS counts
  ) g
  WHERE l.order_id = of_order_id AND l.channel_id = of_channel_id;
END;

CREATE OR REPLACE FUNCTION refuse_shipped_items(shipment_ids uuid[], line_ids int[], line_channel_ids int[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  lines record;
  refused bigint;
BEGIN
  IF line_ids IS NOT NULL THEN
    SELECT array_agg(l.order_id) AS order_ids, array_agg(l.channel_id) AS channel_ids,
      bool_or(NOT is_shippable_class(l.class) OR EXISTS (
        SELECT FROM order_items p
        WHERE p.parent_order_item_id = l.id AND p.channel_id = l.channel_id AND p.class = 'product'
          AND p.quantity > 0)) AS are_refused
    INTO lines
    FROM order_items l
    WHERE (l.id, l.channel_id) IN (SELECT * FROM unnest(line_ids, line_channel_ids));
    IF lines.are_refused THEN
      RAISE EXCEPTION 'a line that is no goods, or a bundle, is not shipped itself'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'shipment_items_line_shippable', TABLE = 'shipment_items';
    END IF;
  END IF;
  IF current_setting('waybill.skipped_steps', true) = 'allowed' THEN
    RETURN;
  END IF;
  IF line_ids IS NOT NULL THEN
    WITH held AS MATERIALIZED (
      SELECT o.status
      FROM orders o
      WHERE (o.id, o.channel_id) IN (SELECT * FROM unnest(lines.order_ids, lines.channel_ids))
      ORDER BY o.id, o.channel_id
      FOR SHARE
    )
    SELECT count(*) FILTER (WHERE NOT s.is_shippable) INTO refused
    FROM held h
    LEFT JOIN order_statuses s ON s.code = h.status;
    IF refused > 0 THEN
      RAISE EXCEPTION 'the order cannot be shipped'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_order_shippable', TABLE = 'shipment_items';
    END IF;
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

-- step: take no template for a port that there is not
CREATE OR REPLACE FUNCTION is_tracking_template(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value ~ '^https://[^][\s/?#@:{}<>%\\]+(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?#]|$)'
  AND value ~ '\{(code|postalCode|country|language|orderNumber)\}' AND value !~ '\$\{'
  AND regexp_replace(value, '\{(code|postalCode|country|language|orderNumber)\}', '~', 'g') !~* (
    '[\s\\{}<>\u0001-\u001f\u007f-\u009f\u2028\u2029]|%s|%[0-9]+\$|%[du](?![0-9a-f])'
    '|%%?(?![0-9a-f]{2})[a-z_]\w*%|%(barcode|date|delivery|destination)\w*%'
    '|(?<=[/=])(:[a-z_]|\$[a-z_]|\[[^][]*\]|__[a-z]\w*__)|##');
