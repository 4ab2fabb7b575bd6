-- Deliveries of webhooks and their attempts. They are their endpoint's owner's; `owner` is null for staff, who have all.

-- A body is for who sees its order.
-- fragment: delivery
d.id::text, d.id AS key, d.endpoint_id::text, d.place, d.type, d.order_id, d.shipment_id::text, d.state,
  d.attempts AS attempt_count, CASE WHEN d.state = 'WAITING' THEN d.next_attempt_at END AS next_attempt_at, d.created_at,
  d.ended_at, CASE WHEN EXISTS (
    SELECT FROM orders o WHERE o.id = d.order_id AND o.channel_id = (d.event ->> 'channel_id')::int AND {visible orders o}
  ) THEN substring(d.body FROM 1 FOR 16384) END AS body

-- name: page
-- feeds: WebhookDelivery
SELECT {delivery}
FROM webhook_deliveries d
JOIN webhook_endpoints e ON e.id = d.endpoint_id
WHERE d.endpoint_id = :endpoint_id AND (:owner::text IS NULL OR e.owner = :owner) AND d.place < :before
  AND (:states::text[] IS NULL OR d.state = ANY(:states)) AND (:types::text[] IS NULL OR d.type = ANY(:types))
  AND (:order_id::int IS NULL OR d.order_id = :order_id)
ORDER BY d.place DESC
LIMIT :limit;

-- name: by_id
-- feeds: WebhookDelivery
SELECT {delivery}
FROM webhook_deliveries d
JOIN webhook_endpoints e ON e.id = d.endpoint_id
WHERE d.id = :id AND (:owner::text IS NULL OR e.owner = :owner);

-- name: waiting_by_endpoint_ids
SELECT d.endpoint_id::text, count(*)::int AS waiting
FROM webhook_deliveries d
WHERE d.endpoint_id = ANY(:endpoint_ids::uuid[]) AND d.state = 'WAITING'
GROUP BY d.endpoint_id;

-- name: attempts_by_delivery_ids
-- feeds: WebhookAttempt
SELECT k.id::text AS delivery_id, a.started_at, a.milliseconds, a.status, a.error, a.headers::text AS sent_headers, a.answer
FROM unnest(:delivery_ids::uuid[]) AS k (id)
CROSS JOIN LATERAL (
  SELECT * FROM webhook_attempts a WHERE a.delivery_id = k.id ORDER BY a.id DESC LIMIT 100
) AS a
ORDER BY a.id DESC;

-- Whatever has become of it, it waits again, behind what waits already; what waits still keeps its place.
-- name: redeliver
-- feeds: WebhookDelivery
WITH touched AS (
  UPDATE webhook_endpoints e SET revision = e.revision + 1
  FROM webhook_deliveries w
  WHERE w.id = :id AND e.id = w.endpoint_id AND (:owner::text IS NULL OR e.owner = :owner)
  RETURNING e.id
)
UPDATE webhook_deliveries d
SET state = 'WAITING', attempts = 0, next_attempt_at = :now, tried_at = NULL, ended_at = NULL,
  place = CASE WHEN d.state = 'WAITING' THEN d.place ELSE nextval('webhook_places') END
FROM touched t
WHERE d.id = :id AND d.endpoint_id = t.id
RETURNING {delivery};

-- name: redeliver_failed
WITH touched AS (
  UPDATE webhook_endpoints e SET revision = e.revision + 1
  WHERE e.id = :endpoint_id AND (:owner::text IS NULL OR e.owner = :owner)
  RETURNING e.id
), failed AS (
  SELECT d.id, nextval('webhook_places') AS place
  FROM (
    SELECT f.id FROM webhook_deliveries f
    JOIN touched t ON t.id = f.endpoint_id
    WHERE f.state = 'FAILED' AND (f.event ->> 'timestamp')::timestamptz BETWEEN :from_moment AND :until_moment
    ORDER BY f.place
  ) d
)
UPDATE webhook_deliveries d
SET state = 'WAITING', attempts = 0, next_attempt_at = :now, tried_at = NULL, ended_at = NULL, place = f.place
FROM failed f
WHERE d.id = f.id;

-- name: add_test
-- feeds: WebhookDelivery
WITH touched AS (
  UPDATE webhook_endpoints e SET revision = e.revision + 1
  WHERE e.id = :endpoint_id AND (:owner::text IS NULL OR e.owner = :owner)
  RETURNING e.id
)
INSERT INTO webhook_deliveries AS d (id, endpoint_id, lane, type, event, order_id, shipment_id, next_attempt_at)
SELECT :id, t.id, 'test ' || :id::uuid::text, :type, :event::jsonb, :order_id, :shipment_id, :now
FROM touched t
RETURNING {delivery};

-- The newest of what the owner sees, for a test.
-- name: example
SELECT o.id AS order_id, o.channel_id, o.version, s.id::text AS shipment_id
FROM orders o
LEFT JOIN shipments s ON s.order_id = o.id AND s.channel_id = o.channel_id
WHERE {visible orders o}
ORDER BY s.id IS NULL, o.created_at DESC, o.id
LIMIT 1;

-- ------------------------------------------------------------------------------------------- for who delivers

-- What a change recorded, and what it replaced.
-- name: recorded
SELECT c.id AS number, c.new::text AS new
FROM changes c
WHERE c.id = ANY(:numbers::bigint[]);

-- Whose the orders of changes were right after them: what the next change of it replaced, or what it is now. An order that is
-- gone was last the one's that its deletion names.
-- name: companies_then
SELECT c.id AS number, CASE WHEN l.old IS NULL THEN o.company_id ELSE (l.old ->> 'companyId')::int END AS company_id
FROM changes c
LEFT JOIN orders o ON o.id = c.order_id AND o.channel_id = c.channel_id
LEFT JOIN LATERAL (
  SELECT n.old
  FROM changes n
  WHERE n.order_id = c.order_id AND n.channel_id = c.channel_id AND n.type = 'ORDER'
    AND (n.id > c.id AND n.old ? 'companyId' OR n.id >= c.id AND n.action = 'DELETED')
  ORDER BY n.id
  LIMIT 1
) l ON true
WHERE c.id = ANY(:numbers::bigint[]);

-- What was read on the way of endpoints that have `moved`, one by one with `delivery_ids`.
-- fragment: added
INSERT INTO webhook_deliveries AS d (id, endpoint_id, place, lane, type, event, order_id, shipment_id, next_attempt_at)
SELECT w.id, m.id, nextval('webhook_places'), w.lane, w.type, w.event::jsonb, w.order_id, w.shipment_id, :now
FROM unnest(
  :delivery_ids::uuid[], :endpoint_ids::uuid[], :lanes::text[], :types::text[], :events::text[], :order_ids::int[],
  :shipment_ids::uuid[]) WITH ORDINALITY AS w (id, endpoint_id, lane, type, event, order_id, shipment_id, number)
JOIN moved m ON m.id = w.endpoint_id
ORDER BY w.number

-- fragment: again
state = 'WAITING', attempts = 0, next_attempt_at = EXCLUDED.next_attempt_at, tried_at = NULL, ended_at = NULL, place = EXCLUDED.place

-- Moves endpoints, one by one with `ids`, to their next places, and stores what was read on the way, one by one with
-- `delivery_ids`: all of it or nothing, and nothing of an endpoint that somebody else serves by now. What is kept already was
-- read before, and is left alone, but where the endpoint has been moved since: then it waits again, once, with its body.
-- name: advance
WITH moved AS (
  UPDATE webhook_endpoints e
  SET position = w.position, number = w.number, late_until = coalesce(w.late_until, e.late_until),
    held = CASE WHEN e.held = '{}' THEN e.held ELSE ARRAY(
      SELECT x.id FROM transactions x WHERE x.id = ANY (e.held) AND (x.position > w.position OR x.position IS NULL)) END
  FROM unnest(
    :ids::uuid[], :revisions::bigint[], :positions::bigint[], :numbers::bigint[], :late_until::timestamptz[]
  ) AS w (id, revision, position, number, late_until)
  WHERE e.id = w.id AND e.deliverer = :deliverer AND e.revision = w.revision
  RETURNING e.id, e.moved_below
), added AS (
  {added}
  ON CONFLICT (id) DO UPDATE
    SET {again}
    WHERE d.state <> 'WAITING' AND d.type <> 'SHIPMENT_LATE'
      AND d.place < (SELECT m.moved_below FROM moved m WHERE m.id = d.endpoint_id)
  RETURNING d.id, d.endpoint_id, d.place, d.body IS NOT NULL AS is_frozen
)
SELECT m.id::text AS endpoint_id, a.id, a.place, a.is_frozen
FROM moved m
LEFT JOIN added a ON a.endpoint_id = m.id
ORDER BY a.place;

-- The same of a replay: what is kept waits again, with the body that it had. Null of `position` is the end of it.
-- name: advance_replay
WITH moved AS (
  UPDATE webhook_endpoints e
  SET replay_position = :position, replay_number = :number
  WHERE e.id = :id AND e.deliverer = :deliverer AND e.revision = :revision
  RETURNING e.id
), added AS (
  {added}
  ON CONFLICT (id) DO UPDATE
    SET {again}
    WHERE d.state <> 'WAITING'
  RETURNING d.id, d.endpoint_id, d.place, d.body IS NOT NULL AS is_frozen
)
SELECT m.id::text AS endpoint_id, a.id, a.place, a.is_frozen
FROM moved m
LEFT JOIN added a ON a.endpoint_id = m.id
ORDER BY a.place;

-- name: waiting
SELECT d.id, d.place, d.lane, d.type, d.event::text, d.attempts, d.next_attempt_at, d.tried_at, d.body IS NOT NULL AS is_frozen
FROM webhook_deliveries d
WHERE d.endpoint_id = :endpoint_id AND d.state = 'WAITING'
ORDER BY d.place
LIMIT :limit;

-- name: bodies
SELECT d.id, d.body, d.media_type
FROM webhook_deliveries d
WHERE d.id = ANY(:ids::uuid[]) AND d.body IS NOT NULL;

-- Where a body was frozen before, that one is what counts.
-- name: freeze
UPDATE webhook_deliveries d
SET body = coalesce(d.body, w.body), media_type = coalesce(d.media_type, w.media_type)
FROM unnest(:ids::uuid[], :bodies::bytea[], :media_types::text[]) AS w (id, body, media_type), webhook_endpoints e
WHERE d.id = w.id AND e.id = d.endpoint_id AND e.deliverer = :deliverer AND d.state = 'WAITING'
RETURNING d.id, d.body, d.media_type;

-- A receiver that was away is there again: what failed `since` then is due. What it refused by itself (4xx) keeps its own pause.
-- name: hasten
UPDATE webhook_deliveries d
SET next_attempt_at = :now
FROM (
  SELECT w.id
  FROM webhook_deliveries w
  CROSS JOIN LATERAL (
    SELECT a.status, a.started_at FROM webhook_attempts a WHERE a.delivery_id = w.id ORDER BY a.id DESC LIMIT 1
  ) a
  WHERE w.endpoint_id = :endpoint_id AND w.state = 'WAITING' AND w.next_attempt_at > :now
    AND a.started_at BETWEEN :since AND :until
    AND (a.status IS NULL OR a.status NOT BETWEEN 400 AND 499)
) failed
WHERE d.id = failed.id
RETURNING d.id;

-- name: withhold
UPDATE webhook_deliveries d SET state = 'WITHHELD', ended_at = :now WHERE d.id = ANY(:ids::uuid[]) AND d.state = 'WAITING';

-- What attempts have led to, one by one with `ids`. All are logged, but where somebody else serves the endpoint by now,
-- or the delivery has gone on, they lead to nothing.
-- name: note_attempts
WITH present AS (
  SELECT d.id, e.deliverer
  FROM webhook_deliveries d
  JOIN webhook_endpoints e ON e.id = d.endpoint_id
  WHERE d.id = ANY(:ids::uuid[])
  FOR KEY SHARE OF d
), noted AS (
  UPDATE webhook_deliveries d
  SET state = w.state, attempts = w.attempts, next_attempt_at = w.next_attempt_at, tried_at = coalesce(d.tried_at, w.started_at),
    ended_at = w.ended_at
  FROM unnest(
    :ids::uuid[], :states::text[], :attempts::int[], :next_attempt_at::timestamptz[], :started_at::timestamptz[],
    :ended_at::timestamptz[]) AS w (id, state, attempts, next_attempt_at, started_at, ended_at)
  JOIN present p ON p.id = w.id
  WHERE d.id = w.id AND (p.deliverer = :deliverer OR p.deliverer IS NULL) AND d.state = 'WAITING' AND d.attempts < w.attempts
)
INSERT INTO webhook_attempts (delivery_id, started_at, milliseconds, status, error, headers, answer)
SELECT p.id, w.started_at, w.milliseconds, w.status, w.error, w.headers::jsonb, w.answer
FROM unnest(
  :ids::uuid[], :started_at::timestamptz[], :milliseconds::int[], :statuses::int[], :errors::text[], :headers::text[],
  :answers::bytea[]) WITH ORDINALITY AS w (id, started_at, milliseconds, status, error, headers, answer, number)
JOIN present p ON p.id = w.id
ORDER BY w.number;

-- Shipments that became late until `until`, behind the one with `after_id` of those at `since`. A day ends within 40 hours of the moment that it is stored as.
-- name: late
SELECT s.id::text, s.order_id, s.channel_id, s.company_id, s.status, s.version, o.status AS order_status, p.late_from
FROM shipments s
JOIN orders o ON o.id = s.order_id AND o.channel_id = s.channel_id
CROSS JOIN LATERAL (SELECT promise_end(s.expected_delivery_at, channel_time_zone(s.channel_id)) AS late_from) p
WHERE s.expected_delivery_at > :since::timestamptz - interval '40 hours' AND s.expected_delivery_at <= :until
  AND s.status IS DISTINCT FROM 'DELIVERED' AND s.status IS DISTINCT FROM 'CANCELED'
  AND (p.late_from, s.id) > (:since, :after_id) AND p.late_from <= :until AND {visible shipments s}
ORDER BY p.late_from, s.id
LIMIT :limit;

-- Those of the orders that the owner sees.
-- name: seen_orders
SELECT o.id, o.channel_id
FROM orders o
WHERE o.id = ANY(:ids) AND {visible orders o};
