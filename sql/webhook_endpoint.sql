-- Endpoints of webhooks. Each is its owner's, by the subject of a viewer; `owner` is null for staff, who have all.

-- fragment: endpoint
e.id::text, e.owner, e.url, e.description, e.types, e.channel_ids, e.company_ids, e.shipment_statuses, e.order_statuses,
  e.header_names, e.header_values, e.document, e.envelope, e.signature, e.secret, e.previous_secret,
  CASE WHEN e.previous_secret_until > now() THEN e.previous_secret_until END AS previous_secret_until, e.concurrency, e.rate,
  e.disabled_at IS NULL AS enabled, e.disabled_at, e.disabled_reason, e.position, e.number, e.held, e.late_until, e.lost_at,
  e.replay_position, e.replay_number, e.replay_end, e.replay_from, e.replay_until, e.replay_position IS NOT NULL AS replaying,
  e.failures, e.failing_since, e.paused_until, e.asked_until, e.delivered_at, e.revision, e.created_at, e.last_modified_at, e.version

-- name: page
-- feeds: WebhookEndpoint
SELECT {endpoint}
FROM webhook_endpoints e
WHERE (:owner::text IS NULL OR e.owner = :owner)
  AND (:after::uuid IS NULL
    OR (e.created_at, e.id) > (SELECT l.created_at, l.id FROM webhook_endpoints l WHERE l.id = :after))
ORDER BY e.created_at, e.id
LIMIT :limit;

-- name: by_id
-- feeds: WebhookEndpoint
SELECT {endpoint}
FROM webhook_endpoints e
WHERE e.id = :id AND (:owner::text IS NULL OR e.owner = :owner);

-- name: lock
-- feeds: WebhookEndpoint
SELECT {endpoint}
FROM webhook_endpoints e
WHERE e.id = :id AND (:owner::text IS NULL OR e.owner = :owner)
FOR NO KEY UPDATE;

-- An owner's endpoints are counted by one who makes one at a time.
-- name: count_of_owner
SELECT count(*)::int AS n, pg_advisory_xact_lock(hashtextextended(:owner, :lock)) IS NULL AS is_locked
FROM webhook_endpoints e
WHERE e.owner = :owner;

-- name: create
-- feeds: WebhookEndpoint
INSERT INTO webhook_endpoints AS e (
  owner, api_key_id, url, description, types, channel_ids, company_ids, shipment_statuses, order_statuses, header_names,
  header_values, document, envelope, signature, secret, concurrency, rate, disabled_at, disabled_reason, position, number, held)
VALUES (
  :owner, :api_key_id, :url, :description, :types, :channel_ids, :company_ids, :shipment_statuses, :order_statuses, :header_names,
  :header_values, :document, :envelope, :signature, :secret, :concurrency, :rate, CASE WHEN NOT :enabled THEN now() END,
  CASE WHEN NOT :enabled THEN 'BY_OWNER' END, :position, :number, :held::bigint[])
RETURNING {endpoint};

-- Whoever serves it reads it anew, by its revision. One that is enabled begins without its failures, but heeds what its
-- receiver asked for. One that is moved is told anew what comes after its new place (`advance`).
-- name: update
-- feeds: WebhookEndpoint
UPDATE webhook_endpoints e
SET url = :url, description = :description, types = :types, channel_ids = :channel_ids, company_ids = :company_ids,
  shipment_statuses = :shipment_statuses, order_statuses = :order_statuses, header_names = :header_names,
  header_values = :header_values, document = :document, envelope = :envelope, concurrency = :concurrency, rate = :rate,
  disabled_at = CASE WHEN NOT :enabled THEN coalesce(e.disabled_at, now()) END,
  disabled_reason = CASE WHEN NOT :enabled THEN coalesce(e.disabled_reason, 'BY_OWNER') END,
  failures = CASE WHEN :enabled AND e.disabled_at IS NOT NULL THEN 0 ELSE e.failures END,
  failing_since = CASE WHEN :enabled AND e.disabled_at IS NOT NULL THEN NULL ELSE e.failing_since END,
  paused_until = CASE WHEN :enabled AND e.disabled_at IS NOT NULL THEN e.asked_until ELSE e.paused_until END,
  position = :position, number = :number, held = :held::bigint[],
  moved_below = CASE WHEN :is_moved::boolean THEN nextval('webhook_places') ELSE e.moved_below END, revision = e.revision + 1, version = e.version + 1,
  last_modified_at = statement_timestamp()
WHERE e.id = :id AND (:owner::text IS NULL OR e.owner = :owner)
RETURNING {endpoint};

-- What waits in an endpoint that is enabled again is due at once.
-- name: make_due
UPDATE webhook_deliveries d
SET next_attempt_at = :now, tried_at = NULL, attempts = 0
FROM webhook_endpoints e
WHERE e.id = d.endpoint_id AND d.state = 'WAITING' AND d.endpoint_id = :id AND (:owner::text IS NULL OR e.owner = :owner);

-- What waits of what comes after the new place of an endpoint waits no more: it is told in its turn, when it is read again.
-- name: take_back
UPDATE webhook_deliveries d
SET state = 'WITHHELD', ended_at = :now
FROM webhook_endpoints e, changes c, transactions x
WHERE e.id = d.endpoint_id AND d.endpoint_id = :id AND (:owner::text IS NULL OR e.owner = :owner) AND d.state = 'WAITING'
  AND c.id = (d.event ->> 'number')::bigint AND x.id = c.transaction_id AND (x.position, c.id) > (:position, :number)
  AND x.id <> ALL(:held::bigint[]);

-- name: rotate
-- feeds: WebhookEndpoint
UPDATE webhook_endpoints e
SET secret = :secret, previous_secret = e.secret, previous_secret_until = now() + interval '24 hours', revision = e.revision + 1,
  version = e.version + 1, last_modified_at = statement_timestamp()
WHERE e.id = :id AND (:owner::text IS NULL OR e.owner = :owner)
RETURNING {endpoint};

-- name: delete
DELETE FROM webhook_endpoints e
WHERE e.id = :id AND (:owner::text IS NULL OR e.owner = :owner);

-- What comes after the endpoint's place is told in its turn, and not by the replay as well.
-- name: begin_replay
-- feeds: WebhookEndpoint
UPDATE webhook_endpoints e
SET replay_position = :position, replay_number = 0, replay_end = least(:end::bigint, e.position), replay_from = :from_moment, replay_until = :until_moment,
  revision = e.revision + 1
WHERE e.id = :id AND (:owner::text IS NULL OR e.owner = :owner)
RETURNING {endpoint};

-- The first transaction behind a position, and when it began: what a moment's place is looked for by.
-- name: transaction_after
SELECT x.position, x.occurred_at
FROM transactions x
WHERE x.position > :position
ORDER BY x.position
LIMIT 1;

-- ------------------------------------------------------------------------------------------- for who delivers

-- Says that a process is alive, and takes away those that have not been for long.
-- name: stay_alive
WITH gone AS (
  DELETE FROM webhook_deliverers WHERE alive_until < now() - interval '1 hour'
)
INSERT INTO webhook_deliverers (id, alive_until) VALUES (:deliverer, now() + make_interval(secs => :lease))
ON CONFLICT (id) DO UPDATE SET alive_until = EXCLUDED.alive_until
RETURNING (SELECT count(*)::int FROM webhook_deliverers a WHERE a.alive_until > now() AND a.id <> :deliverer) AS others,
  (SELECT count(*)::int FROM webhook_endpoints e WHERE e.disabled_at IS NULL) AS endpoints;

-- name: revisions
SELECT e.id::text, e.revision
FROM webhook_endpoints e
WHERE e.deliverer = :deliverer AND e.disabled_at IS NULL;

-- Endpoints that nobody who is alive serves, and which this process serves from now on.
-- name: claim
UPDATE webhook_endpoints e
SET deliverer = :deliverer
FROM (
  SELECT f.id
  FROM webhook_endpoints f
  WHERE f.disabled_at IS NULL AND f.deliverer IS DISTINCT FROM :deliverer
    AND NOT EXISTS (SELECT FROM webhook_deliverers a WHERE a.id = f.deliverer AND a.alive_until > now())
  ORDER BY f.id
  LIMIT :limit
  FOR NO KEY UPDATE SKIP LOCKED
) free
WHERE e.id = free.id
RETURNING {endpoint};

-- name: served
SELECT {endpoint}
FROM webhook_endpoints e
WHERE e.id = :id AND e.deliverer = :deliverer AND e.disabled_at IS NULL;

-- name: release
UPDATE webhook_endpoints e SET deliverer = NULL WHERE e.deliverer = :deliverer AND e.id = ANY(:ids::uuid[]);

-- name: leave
WITH released AS (
  UPDATE webhook_endpoints e SET deliverer = NULL WHERE e.deliverer = :deliverer
)
DELETE FROM webhook_deliverers WHERE id = :deliverer;

-- name: disable
UPDATE webhook_endpoints e
SET disabled_at = now(), disabled_reason = :reason, deliverer = NULL, revision = e.revision + 1
WHERE e.id = :id AND e.deliverer = :deliverer AND e.disabled_at IS NULL;

-- How the attempts of endpoints have gone, one by one with `ids`.
-- name: note_health
UPDATE webhook_endpoints e
SET failures = w.failures, failing_since = w.failing_since, paused_until = w.paused_until, asked_until = w.asked_until,
  delivered_at = coalesce(w.delivered_at, e.delivered_at)
FROM unnest(
  :ids::uuid[], :failures::int[], :failing_since::timestamptz[], :paused_until::timestamptz[], :asked_until::timestamptz[],
  :delivered_at::timestamptz[]) AS w (id, failures, failing_since, paused_until, asked_until, delivered_at)
WHERE e.id = w.id AND e.deliverer = :deliverer;

-- name: lose
UPDATE webhook_endpoints e
SET position = :position, number = :number, lost_at = now()
WHERE e.id = :id AND e.deliverer = :deliverer AND e.revision = :revision
RETURNING e.id;
