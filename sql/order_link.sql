-- Links to the pages of orders. Orders are found here by what proves that somebody may have a link, or by an operator, so
-- these statements say whose rows they mean themselves.

-- The order of a number, for who knows its postal code or e-mail as well. It may be the number in the shop, or our own, which
-- is `order_id` where the text is a number at all.
-- name: by_number
SELECT o.id, o.channel_id, coalesce(k.generation, 1) AS generation
FROM channels c
CROSS JOIN LATERAL (
  SELECT 1 AS place, o.id, o.channel_id, o.email, o.status FROM orders o
  WHERE o.increment_id = :number AND o.channel_id = c.id
  UNION ALL
  SELECT 2, o.id, o.channel_id, o.email, o.status FROM orders o WHERE o.external_id = :number AND o.channel_id = c.id
  UNION ALL
  SELECT 3, o.id, o.channel_id, o.email, o.status FROM orders o WHERE o.id = :order_id::int AND o.channel_id = c.id
) AS o
LEFT JOIN order_links k ON k.order_id = o.id AND k.channel_id = o.channel_id
WHERE c.code = :channel_code
  AND o.status IN (SELECT w.code FROM order_statuses w WHERE w.is_public)
  AND (
    lower(o.email) = lower(:secret)
    OR EXISTS (
      SELECT FROM order_addresses a
      WHERE a.order_id = o.id AND a.channel_id = o.channel_id AND a.type = 'delivery'
        AND upper(regexp_replace(a.postal_code, '[\s-]', '', 'g')) = nullif(upper(regexp_replace(:secret, '[\s-]', '', 'g')), '')
    )
  )
ORDER BY o.place, o.id
LIMIT 1;

-- name: by_ids
SELECT o.id, o.channel_id, coalesce(k.generation, 1) AS generation
FROM orders o
LEFT JOIN order_links k ON k.order_id = o.id AND k.channel_id = o.channel_id
WHERE o.id = ANY(:ids) AND (o.channel_id = :channel_id::int OR :channel_id::int IS NULL)
ORDER BY o.channel_id;

-- name: revoke
INSERT INTO order_links AS k (order_id, channel_id, generation)
VALUES (:order_id, :channel_id, 2)
ON CONFLICT (order_id, channel_id) DO UPDATE SET generation = k.generation + 1
RETURNING generation;
