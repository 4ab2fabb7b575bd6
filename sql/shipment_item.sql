-- Shipment items: how many of an order line a shipment holds.

-- fragment: shipment_item
x.id::text, x.shipment_id::text, x.order_item_id, x.external_id, x.name, x.sku, x.quantity, x.created_at,
  x.last_modified_at, x.version

-- name: by_id
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items x
WHERE x.id = :id AND {visible shipment_items x};

-- name: by_ids
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items x
WHERE x.id = ANY(:ids::uuid[]) AND {visible shipment_items x};

-- name: by_shipment_ids
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items x
WHERE x.shipment_id = ANY(:shipment_ids::uuid[]) AND {visible shipment_items x}
ORDER BY x.order_item_id, x.id;

-- name: page
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items x
WHERE {visible shipment_items x}{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- Behind many rows, and where one date is filtered by and another sorted by.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: quantity.greater_than?, quantity.less_than?, quantity.equal?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT
-- skip: 1000
{by_day}

-- See sql/shipment.sql.
-- variant: page
-- filters: created_at.greater_than?, created_at.less_than?
-- sorts: CREATED_AT
-- each: visible_channel_ids::int[], visible_company_ids::int[]
{branchwise}

-- variant: page
-- filters: last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: LAST_MODIFIED_AT
-- each: visible_channel_ids::int[], visible_company_ids::int[]
{branchwise}

-- fragment: branchwise
SELECT {shipment_item}
FROM (SELECT {lists}:limit::bigint AS size, :skip::bigint AS skip OFFSET 0) AS given
CROSS JOIN LATERAL (
  SELECT x.*
  FROM {branches} AS x
  ORDER BY {order}
  LIMIT given.size OFFSET given.skip
) AS k
CROSS JOIN LATERAL (
  SELECT x.* FROM shipment_items x WHERE x.id = k.id AND x.channel_id = k.channel_id LIMIT 1
) AS x
ORDER BY {order}

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: quantity.greater_than?, quantity.less_than?, quantity.equal?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT
{by_day}

-- The days tell between which lines of orders all of them lie: those of an old month are not looked for among the newest.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: quantity.greater_than?, quantity.less_than?, quantity.equal?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: ORDER_ITEM_ID
WITH span AS MATERIALIZED (
  SELECT min(x.lowest) AS lowest, max(x.highest) AS highest
  FROM shipment_item_days x
  WHERE {visible shipment_item_days x}{on_days x}
)
SELECT {shipment_item}
FROM (
  SELECT {keys x}
  FROM shipment_items x
  WHERE {visible shipment_items x}{filters}
    AND x.order_item_id >= (SELECT n.lowest FROM span n) AND x.order_item_id <= (SELECT n.highest FROM span n)
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (
  SELECT x.* FROM shipment_items x WHERE x.id = k.id AND x.channel_id = k.channel_id LIMIT 1
) AS x
ORDER BY {order};

-- Companies and customers have few of all: theirs are found first, then sorted.
-- variant: page
-- reaches: COMPANIES, CONTACT, CUSTOMER
-- filters: any
-- sorts: SHIPMENT_ID, ORDER_ITEM_ID, SKU, QUANTITY, NAME, ID
WITH own AS MATERIALIZED (
  SELECT x.*
  FROM shipment_items x
  WHERE {visible shipment_items x}{filters}
)
SELECT {shipment_item}
FROM own x
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- The values that the page lies among, in the same way.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: quantity.greater_than?, quantity.less_than?, quantity.equal?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: QUANTITY
{by_value}

-- The days that the page lies in, by how many rows each has of those that are asked for, and only then their rows.
-- fragment: page_of_days
WITH counted AS MATERIALIZED (
  SELECT k.day, sum(k.n) AS n
  FROM (
    SELECT {day} AS day, x.n
    FROM shipment_item_days x
    WHERE {visible shipment_item_days x}{on_days x}{outside day_outside x}
  ) AS k
  GROUP BY k.day
), placed AS (
  SELECT k.day, k.n, sum(k.n) OVER (ORDER BY {days_in_order k}) AS up_to FROM counted k WHERE k.n > 0
), chosen AS MATERIALIZED (
  SELECT p.day, p.up_to - p.n AS before
  FROM placed p
  WHERE p.up_to > :skip::bigint AND p.up_to - p.n < :skip::bigint + :limit::bigint
)

-- fragment: by_day
{page_of_days}
SELECT {shipment_item}
FROM (
  SELECT x.*
  FROM chosen d
  CROSS JOIN LATERAL ({of_day}) AS x
  ORDER BY {order}
  LIMIT :limit OFFSET :skip::bigint - (SELECT coalesce(min(d.before), :skip::bigint) FROM chosen d)
) AS k
CROSS JOIN LATERAL (SELECT x.* FROM shipment_items x WHERE x.id = k.id AND x.channel_id = k.channel_id LIMIT 1) AS x
ORDER BY {order};

-- fragment: by_value
{page_of_days}
SELECT {shipment_item}
FROM (
  SELECT x.*
  FROM chosen d
  CROSS JOIN LATERAL ({of_value}) AS x
  ORDER BY {order}
  LIMIT :limit OFFSET :skip::bigint - (SELECT coalesce(min(d.before), :skip::bigint) FROM chosen d)
) AS k
CROSS JOIN LATERAL (SELECT x.* FROM shipment_items x WHERE x.id = k.id AND x.channel_id = k.channel_id LIMIT 1) AS x
ORDER BY {order};

-- By what the days do not know: the first rows of each value that there is.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: names?, skus?, quantity.greater_than?, quantity.less_than?, quantity.equal?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: QUANTITY
SELECT {shipment_item}
FROM (
  SELECT x.*
  FROM (SELECT DISTINCT {day} AS day, 0 AS before FROM shipment_item_days x WHERE {visible shipment_item_days x}) AS d
  CROSS JOIN LATERAL ({of_value}) AS x
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT x.* FROM shipment_items x WHERE x.id = k.id AND x.channel_id = k.channel_id LIMIT 1) AS x
ORDER BY {order};

-- fragment: of_value
(SELECT {keys x}
FROM shipment_items x
WHERE {sorted} = d.day AND {visible shipment_items x}{filters}
ORDER BY {ties}
LIMIT :skip::bigint + :limit::bigint - d.before)
UNION ALL
(SELECT {keys x}
FROM shipment_items x
WHERE d.day IS NULL AND {sorted} IS NULL AND {visible shipment_items x}{filters}
ORDER BY {ties}
LIMIT :skip::bigint + :limit::bigint - d.before)

-- fragment: of_day
SELECT {keys x}
FROM shipment_items x
WHERE {sorted} >= utc_start(d.day) AND {sorted} < utc_start(d.day + 1) AND {visible shipment_items x}{filters}
OFFSET 0

-- fragment: day_outside
SELECT {day_of_row}, -1 FROM shipment_items x WHERE {visible shipment_items x}{filters}

-- fragment: number_outside
SELECT -count(*) FROM shipment_items x WHERE {visible shipment_items x}{filters}

-- fragment: number_of_days
SELECT coalesce(sum(k.n), 0)
FROM (
  SELECT x.n
  FROM shipment_item_days x
  WHERE {visible shipment_item_days x}{on_days x}{outside number_outside x}
) AS k

-- fragment: branch
SELECT {keys x}
FROM shipment_items x
WHERE {visible shipment_items x}{filters}
ORDER BY {order}
LIMIT given.size + given.skip

-- Far behind the first page: what comes before it is counted in an index, where one has all that is asked for.
-- variant: page
-- filters: any
-- sorts: ID, LAST_MODIFIED_AT, CREATED_AT, SHIPMENT_ID, ORDER_ITEM_ID, SKU, QUANTITY, NAME
-- skip: 1000
SELECT {shipment_item}
FROM (
  SELECT {keys x}
  FROM shipment_items x
  WHERE {visible shipment_items x}{filters}
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT x.* FROM shipment_items x WHERE x.id = k.id AND x.channel_id = k.channel_id LIMIT 1) AS x
ORDER BY {order};

-- name: count
SELECT count(*)::int AS items_found
FROM shipment_items x
WHERE {visible shipment_items x}{filters};

-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: quantity.greater_than?, quantity.less_than?, quantity.equal?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
SELECT ({number_of_days})::int AS items_found;

-- name: shipment_of
SELECT x.shipment_id
FROM shipment_items x
WHERE x.id = :id AND {visible shipment_items x};

-- The shipment is locked before: see `shipment.lock`.
-- name: lock
SELECT x.id, x.channel_id, x.shipment_id, x.order_item_id, x.external_id, x.name, x.sku, x.quantity, x.version
FROM shipment_items x
WHERE x.id = :id AND {visible shipment_items x}
FOR NO KEY UPDATE OF x;

-- name: create
-- feeds: ShipmentItem
WITH item AS (
  INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, external_id, name, sku, quantity)
  SELECT s.id, :order_item_id, s.order_id, s.channel_id, :external_id, :name, :sku, :quantity
  FROM shipments s
  WHERE s.id = :shipment_id AND s.channel_id = :channel_id AND {visible shipments s}
  RETURNING *
), shipment AS (
  UPDATE shipments s
  SET last_modified_at = statement_timestamp()
  FROM item x
  WHERE s.id = x.shipment_id AND s.channel_id = x.channel_id
)
SELECT {shipment_item}
FROM item x;

-- A weight that was given for another quantity no longer holds; without one it is computed from the order line.
-- name: update
-- feeds: ShipmentItem
WITH item AS (
  UPDATE shipment_items x
  SET shipment_id = :shipment_id, order_item_id = :order_item_id, external_id = :external_id, name = :name, sku = :sku,
    quantity = :quantity,
    weight = CASE WHEN x.quantity = :quantity AND x.order_item_id = :order_item_id THEN x.weight END,
    last_modified_at = statement_timestamp()
  WHERE x.id = :id AND x.channel_id = :channel_id AND {visible shipment_items x}
  RETURNING x.*
), shipment AS (
  UPDATE shipments s
  SET last_modified_at = statement_timestamp()
  WHERE s.id IN (:shipment_id, :former_shipment_id) AND s.channel_id = :channel_id AND {visible shipments s}
)
SELECT {shipment_item}
FROM item x;

-- name: delete
WITH item AS (
  DELETE FROM shipment_items x
  WHERE x.id = :id AND x.channel_id = :channel_id AND {visible shipment_items x}
  RETURNING x.shipment_id, x.channel_id
)
UPDATE shipments s
SET last_modified_at = statement_timestamp()
FROM item x
WHERE s.id = x.shipment_id AND s.channel_id = x.channel_id;

-- The days of a channel are those of its time zone (decision 24).
-- fragment: zone
channel_time_zone(x.channel_id)

-- filter: ids
x.id = ANY(:ids)
-- filter: shipment_ids
x.shipment_id = ANY(:shipment_ids)
-- filter: order_item_ids
x.order_item_id = ANY(:order_item_ids)
-- filter: names
x.name = ANY(:names)
-- filter: skus
x.sku = ANY(:skus)
-- filter: quantity.greater_than
x.quantity >= :quantity_greater_than
-- filter: quantity.less_than
x.quantity <= :quantity_less_than
-- filter: quantity.equal
x.quantity = :quantity_equal
-- filter: created_at.greater_than
x.created_at >= :created_at_greater_than
-- filter: created_at.less_than
x.created_at <= :created_at_less_than
-- filter: created_at.greater_than_day
x.created_at >= first_start(:created_at_greater_than_day::date) AND x.created_at >= day_start(:created_at_greater_than_day::date, {zone})
-- filter: created_at.less_than_day
x.created_at < last_end(:created_at_less_than_day::date) AND x.created_at < day_end(:created_at_less_than_day::date, {zone})
-- filter: last_modified_at.greater_than
x.last_modified_at >= :last_modified_at_greater_than
-- filter: last_modified_at.less_than
x.last_modified_at <= :last_modified_at_less_than
-- filter: last_modified_at.greater_than_day
x.last_modified_at >= first_start(:last_modified_at_greater_than_day::date) AND x.last_modified_at >= day_start(:last_modified_at_greater_than_day::date, {zone})
-- filter: last_modified_at.less_than_day
x.last_modified_at < last_end(:last_modified_at_less_than_day::date) AND x.last_modified_at < day_end(:last_modified_at_less_than_day::date, {zone})

-- sort: ID
x.id
-- sort: LAST_MODIFIED_AT
x.last_modified_at
-- sort: CREATED_AT
x.created_at
-- sort: SHIPMENT_ID
x.shipment_id
-- sort: ORDER_ITEM_ID
x.order_item_id
-- sort: SKU
-- nulls: last
x.sku
-- sort: QUANTITY
-- nulls: last
x.quantity
-- sort: NAME
-- nulls: last
x.name
