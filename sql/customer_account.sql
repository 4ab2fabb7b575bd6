-- Accounts of customers, for the operator's commands.

-- fragment: customer
SELECT c.id, c.channel_id, h.code AS channel, c.email, c.external_id, c.phone, c.first_name, c.last_name, c.password_hash,
  c.is_suspended, c.merged_into_id, c.created_at
FROM customers c
JOIN channels h ON h.id = c.channel_id
WHERE (c.id = :id::int OR lower(c.email) = lower(:email::text)) AND (:channel::text IS NULL OR h.code = :channel)
ORDER BY c.id

-- name: look_up
{customer}

-- name: find
{customer}
FOR NO KEY UPDATE OF c

-- Who was merged into the source before is the target now.
-- name: merge
WITH moved AS (
  UPDATE orders o
  SET customer_id = :target, last_modified_at = statement_timestamp()
  WHERE o.customer_id = :source AND o.channel_id = :channel_id
  RETURNING o.id
), merged AS (
  UPDATE customers c
  SET merged_into_id = :target, password_hash = NULL, api_token_hash = NULL, last_modified_at = statement_timestamp()
  WHERE (c.id = :source OR c.merged_into_id = :source) AND c.channel_id = :channel_id
), links AS (
  DELETE FROM password_links l WHERE l.customer_id = :source AND l.channel_id = :channel_id
), sessions AS (
  UPDATE customer_sessions s
  SET revoked_at = now()
  WHERE s.customer_id = :source AND s.channel_id = :channel_id AND s.revoked_at IS NULL
)
SELECT count(*)::int AS orders FROM moved

-- Of its keys the source loses those that the target has not, and takes over: no two have the same.
-- name: release_keys
UPDATE customers c
SET email = CASE WHEN t.email IS NULL THEN NULL ELSE c.email END,
  external_id = CASE WHEN t.external_id IS NULL THEN NULL ELSE c.external_id END
FROM customers t
WHERE c.id = :source AND c.channel_id = :channel_id AND t.id = :target AND t.channel_id = :channel_id

-- Who takes over the e-mail may log in as before.
-- name: take_keys
UPDATE customers c
SET email = coalesce(c.email, :email), external_id = coalesce(c.external_id, :external_id),
  password_hash = CASE WHEN c.email IS NULL THEN coalesce(c.password_hash, :password_hash) ELSE c.password_hash END,
  phone = coalesce(c.phone, :phone), last_modified_at = statement_timestamp()
WHERE c.id = :target AND c.channel_id = :channel_id

-- name: set_password
WITH links AS (
  DELETE FROM password_links l WHERE l.customer_id = :id AND l.channel_id = :channel_id
), sessions AS (
  UPDATE customer_sessions s
  SET revoked_at = now()
  WHERE s.customer_id = :id AND s.channel_id = :channel_id AND s.revoked_at IS NULL
)
UPDATE customers c
SET password_hash = :password_hash, last_modified_at = statement_timestamp()
WHERE c.id = :id AND c.channel_id = :channel_id

-- name: add
INSERT INTO customers (channel_id, email, first_name, last_name, password_hash)
VALUES (:channel_id, :email, :first_name, :last_name, :password_hash)
RETURNING id

-- A customer who may not log in has no session and no link either.
-- name: suspend
WITH links AS (
  DELETE FROM password_links l WHERE l.customer_id = :id AND l.channel_id = :channel_id AND :is_suspended
), sessions AS (
  UPDATE customer_sessions s
  SET revoked_at = now()
  WHERE s.customer_id = :id AND s.channel_id = :channel_id AND s.revoked_at IS NULL AND :is_suspended
)
UPDATE customers c
SET is_suspended = :is_suspended, last_modified_at = statement_timestamp()
WHERE c.id = :id AND c.channel_id = :channel_id
