-- The feed as one process follows it for everybody who listens: whose each change is, is judged afterwards, viewer by
-- viewer (`Visibility.sees`).

-- The changes after the one of `position` and `number`, `scan` of them at most. The order as it is now goes with each,
-- and what tells how it was: `later` holds, of the later changes of the order, what they replaced, oldest first. That is
-- read where somebody may have lost, or gained, the sight of the order by this change, and for what has gone with it.
-- What one transaction does to an order counts as a whole: `earlier` is what its changes before this one replaced, newest
-- first, empty for one that made the order, and the last of them `settles` who sees it. The shipments of the order,
-- each with its status, are lost and gained with it. A transaction may have made millions of changes, an order few: so they
-- are found by the order (`+ 0`).
-- name: after
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
  WHERE x.position >= :position
  ORDER BY x.position, h.id
  LIMIT :scan
)
SELECT h.position, h.id AS number, h.type, h.action, h.entity_id AS id, h.order_id, h.shipment_id::text, h.channel_id,
  h.version, h.occurred_at, h.transaction_id, '{}'::bigint[] AS held, h.old::text, h.new ->> 'status' AS new_status,
  o.id IS NOT NULL AS has_order, o.company_id, o.customer_id,
  o.status AS order_status, s.status AS shipment_status, d.later, d.earlier, d.settles, d.shipments
FROM scanned h
LEFT JOIN orders o ON o.id = h.order_id AND o.channel_id = h.channel_id
LEFT JOIN shipments s ON s.id = h.shipment_id AND s.channel_id = h.channel_id
LEFT JOIN LATERAL (
  SELECT
    ARRAY(
      SELECT l.old::text
      FROM changes l
      WHERE l.order_id = h.order_id AND l.type = 'ORDER'
        AND (l.action = 'DELETED' OR l.id > h.id AND l.old ?| '{companyId,customerId,status}')
      ORDER BY l.id
    ) AS later,
    ARRAY(
      SELECT coalesce(e.old::text, '')
      FROM changes e
      WHERE e.transaction_id + 0 = h.transaction_id AND e.order_id = h.order_id AND e.type = 'ORDER' AND h.type = 'ORDER'
        AND e.id < h.id AND (e.action = 'CREATED' OR e.old ?| '{companyId,customerId,status}')
      ORDER BY e.id DESC
    ) AS earlier,
    h.type = 'ORDER' AND NOT EXISTS (
      SELECT
      FROM changes l
      WHERE l.transaction_id + 0 = h.transaction_id AND l.order_id = h.order_id AND l.type = 'ORDER' AND l.id > h.id
        AND (l.action = 'DELETED' OR l.old ?| '{companyId,customerId,status}')
    ) AS settles,
    ARRAY(
      SELECT t.id::text || ' ' || t.status
      FROM shipments t
      WHERE t.order_id = h.order_id AND t.channel_id = h.channel_id AND h.type = 'ORDER'
      ORDER BY t.id
    ) AS shipments
) d ON h.order_id IS NOT NULL
  AND (o.id IS NULL OR h.type = 'ORDER' AND h.action = 'UPDATED' AND h.old ?| '{companyId,customerId,status}')
ORDER BY h.position, h.id;

-- The statuses of orders that customers and contacts may see.
-- name: public_statuses
SELECT w.code
FROM order_statuses w
WHERE w.is_public;
