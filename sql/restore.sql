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

-- What other channels left that does not say whose it is.
-- name: leave_channel
WITH answers AS (
  DELETE FROM idempotency_keys k WHERE k.channel_ids IS NULL OR NOT k.channel_ids <@ ARRAY[:channel_id::int]
), reports AS (
  DELETE FROM waiting_reports w WHERE w.channel_ids IS NULL OR NOT w.channel_ids <@ ARRAY[:channel_id::int]
), keys AS (
  DELETE FROM api_keys k WHERE NOT EXISTS (SELECT FROM api_key_channels g WHERE g.api_key_id = k.id)
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
