-- Changes: what was done to which row, in the order of the commits. They outlive the rows that they tell of.

-- Looks through the changes after the one of `position` and `number`, `scan` of them at most, so that a page costs the
-- same wherever it is and however few of the changes are the viewer's. Transactions that are `held` are left out. What is
-- not kept any more was up to `begins_after`. Rows that are not `is_shown` are none of the page; the last one that was
-- looked at comes always, and says how far that was. A transaction's own changes are limited as well: one import may have
-- made millions.
-- name: page
-- feeds: Change
WITH scanned AS (
  SELECT x.position, x.occurred_at, h.*
  FROM transactions x
  CROSS JOIN LATERAL (
    SELECT c.*
    FROM changes c
    WHERE c.transaction_id = x.id AND c.id > CASE WHEN x.position = :position::bigint THEN :number::bigint ELSE 0 END
    ORDER BY c.id
    LIMIT :scan
  ) h
  WHERE x.position >= :position AND x.id <> ALL (:held::bigint[])
  ORDER BY x.position, h.id
  LIMIT :scan
)
SELECT p.*, (SELECT max(b.position) FROM feed_beginnings b) AS begins_after
FROM (
  SELECT h.position, h.id AS number, h.type, h.action, h.entity_id AS id, h.order_id, h.shipment_id::text, h.channel_id,
    h.version, h.occurred_at, :held::bigint[] AS held, {visible changes h}{filters} AS is_shown, count(*) OVER () AS scanned,
    row_number() OVER (ORDER BY h.position, h.id) AS place
  FROM scanned h
) p
WHERE p.is_shown OR p.place = p.scanned
ORDER BY p.position, p.number;

-- Where the feed ends, and the transactions that are there already and come behind it.
-- name: newest
SELECT e.position, ARRAY(
  SELECT c.transaction_id FROM commits c WHERE c.number > e.number OR c.number = ANY (e.missing)
) AS held
FROM feed_ends e
ORDER BY e.position DESC
LIMIT 1;

-- Up to where changes are not kept any more; null where all are.
-- name: beginning
SELECT max(b.position) AS begins_after
FROM feed_beginnings b;

-- Gives positions to what has been committed, to so many transactions at most; see 0020_group_commit.sql.
-- name: give_positions
SELECT g.given, g.reached FROM give_positions(:most) g;

-- name: transaction_at
SELECT x.position
FROM transactions x
WHERE x.position = :position;

-- Those of the transactions that a reader who has come to `position` has still before it.
-- name: still_held
SELECT x.id
FROM transactions x
WHERE x.id = ANY (:held::bigint[]) AND (x.position > :position OR x.position IS NULL)
ORDER BY x.id;

-- What carriers told is none of it: nobody here changed that.
-- name: trail_of_shipment
-- feeds: AuditEntry
SELECT x.position, h.id AS number, x.occurred_at, x.actor, x.request_id, h.type, h.action, h.entity_id AS id, h.version,
  h.old, h.new, :shipment_id::uuid::text AS trail_id
FROM changes h
JOIN transactions x ON x.id = h.transaction_id
WHERE (h.shipment_id = :shipment_id
    OR h.action = 'UPDATED' AND h.old ? 'shipmentId' AND h.old ->> 'shipmentId' = :shipment_id::uuid::text)
  AND h.type <> 'TRACKING_EVENT' AND (x.position, h.id) < (:position, :number) AND {visible changes h}
ORDER BY x.position DESC, h.id DESC
LIMIT :limit;

-- Of the order itself and its lines.
-- name: trail_of_order
-- feeds: AuditEntry
SELECT x.position, h.id AS number, x.occurred_at, x.actor, x.request_id, h.type, h.action, h.entity_id AS id, h.version,
  h.old, h.new, :order_id::int::text AS trail_id
FROM changes h
JOIN transactions x ON x.id = h.transaction_id
WHERE h.order_id = :order_id AND h.type IN ('ORDER', 'ORDER_ITEM')
  AND (x.position, h.id) < (:position, :number) AND {visible changes h}
ORDER BY x.position DESC, h.id DESC
LIMIT :limit;

-- filter: types
h.type = ANY(:types)
