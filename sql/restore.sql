-- What goes before and after the rows of an archive, for the operator's `restore`.

-- name: tables
SELECT c.relname::text AS name,
  EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'channel_id' AND NOT a.attisdropped) AS has_channel
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
ORDER BY c.relname

-- name: foreign_keys
SELECT k.conname::text AS name, k.conrelid::regclass::text AS "table"
FROM pg_constraint k
WHERE k.connamespace = current_schema()::regnamespace AND k.contype = 'f'
ORDER BY k.conname

-- name: is_used
SELECT EXISTS (SELECT FROM channels) OR EXISTS (SELECT FROM changes) AS is_used

-- name: channel_by_code
SELECT h.id FROM channels h WHERE h.code = :code

-- Before companies of other channels go: without them a key that they limit would see all of this channel.
-- name: drop_keys
DELETE FROM api_keys k
WHERE NOT EXISTS (SELECT FROM api_key_channels g WHERE g.api_key_id = k.id AND g.channel_id = :channel_id)
  OR EXISTS (SELECT FROM api_key_companies l WHERE l.api_key_id = k.id)
    AND NOT EXISTS (SELECT FROM api_key_companies l WHERE l.api_key_id = k.id AND l.channel_id = :channel_id)
RETURNING k.id, k.name

-- What would have gone with the keys, by foreign keys that are off.
-- name: leave_keys
WITH channels AS (
  DELETE FROM api_key_channels g WHERE g.api_key_id = ANY(:key_ids::int[])
), companies AS (
  DELETE FROM api_key_companies l WHERE l.api_key_id = ANY(:key_ids::int[])
)
DELETE FROM webhook_endpoints e WHERE e.api_key_id = ANY(:key_ids::int[])

-- Those that were told of other channels alone, or of companies of none but those.
-- name: leave_endpoints
DELETE FROM webhook_endpoints e
WHERE NOT :channel_id = ANY(e.channel_ids)
  OR e.company_ids IS NOT NULL AND NOT EXISTS (
    SELECT FROM companies c WHERE c.channel_id = :channel_id AND c.id = ANY(e.company_ids))

-- name: leave_deliveries
DELETE FROM webhook_deliveries d
WHERE (d.event ->> 'channel_id')::int IS DISTINCT FROM :channel_id
  OR NOT EXISTS (SELECT FROM webhook_endpoints e WHERE e.id = d.endpoint_id)

-- name: leave_attempts
DELETE FROM webhook_attempts a WHERE NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.id = a.delivery_id)

-- What other channels left that does not say whose it is.
-- name: leave_channel
WITH answers AS (
  DELETE FROM idempotency_keys k WHERE k.channel_ids IS NULL OR NOT k.channel_ids <@ ARRAY[:channel_id::int]
), reports AS (
  DELETE FROM waiting_reports w WHERE w.channel_ids IS NULL OR NOT w.channel_ids <@ ARRAY[:channel_id::int]
), descriptions AS (
  DELETE FROM carrier_descriptions d WHERE NOT EXISTS (SELECT FROM carriers c WHERE c.id = d.carrier_id)
), attempts AS (
  DELETE FROM login_attempts
), addresses AS (
  DELETE FROM login_addresses
), entries AS (
  DELETE FROM audit_entries
), waiting AS (
  DELETE FROM commits w WHERE NOT EXISTS (SELECT FROM changes c WHERE c.transaction_id = w.transaction_id)
)
DELETE FROM transactions x WHERE NOT EXISTS (SELECT FROM changes c WHERE c.transaction_id = x.id)
