-- name: by_key_hash
-- The key and the channel it opens. A key that was replaced is good for as long as both of its ends say.
SELECT k.id, k.requests_per_minute, k.networks,
  extract(epoch FROM least(k.expires_at, CASE WHEN k.key_hash <> :key_hash THEN k.former_expires_at END))::float8 AS expires_at,
  c.id AS channel_id, c.code, c.name, c.currency
FROM storefront_keys k
JOIN channels c ON c.id = k.channel_id
WHERE (k.key_hash = :key_hash OR k.former_key_hash = :key_hash AND k.former_expires_at > now())
  AND k.is_active
  AND (k.expires_at IS NULL OR k.expires_at > now())


-- What follows is for the operator's commands.

-- fragment: key
SELECT k.id, k.name, k.prefix, h.code AS channel, k.requests_per_minute, k.networks, k.expires_at, k.former_expires_at,
  k.created_at,
  CASE
    WHEN NOT k.is_active THEN 'revoked'
    WHEN k.expires_at <= now() THEN 'expired'
    WHEN k.former_expires_at > now() THEN 'rotating'
    ELSE 'good'
  END AS state
FROM storefront_keys k
JOIN channels h ON h.id = k.channel_id

-- name: newest
{key}
WHERE :all OR k.is_active AND (k.expires_at IS NULL OR k.expires_at > now())
ORDER BY k.id

-- name: by_id
{key}
WHERE k.id = :id

-- name: by_digest
{key}
WHERE k.key_hash = :key_hash OR k.former_key_hash = :key_hash

-- name: lock
SELECT k.id, k.former_expires_at, k.former_expires_at > now() AS is_rotating, CASE WHEN NOT k.is_active THEN now() END AS revoked_at
FROM storefront_keys k
WHERE k.id = :id
FOR UPDATE

-- name: add
INSERT INTO storefront_keys (channel_id, name, key_hash, prefix, requests_per_minute, networks, expires_at)
VALUES (:channel_id, :name, :key_hash, :prefix, :requests_per_minute, :networks, :expires_at)
RETURNING id

-- name: change
UPDATE storefront_keys k
SET requests_per_minute = coalesce(:requests_per_minute, k.requests_per_minute),
  networks = CASE WHEN :sets_networks THEN :networks ELSE k.networks END,
  expires_at = CASE WHEN :sets_expiry THEN :expires_at ELSE k.expires_at END
WHERE k.id = :id

-- name: rotate
UPDATE storefront_keys k
SET former_key_hash = k.key_hash, former_expires_at = now() + :overlap::interval, key_hash = :key_hash, prefix = :prefix
WHERE k.id = :id
RETURNING k.former_expires_at

-- name: end_former
UPDATE storefront_keys k SET former_key_hash = NULL, former_expires_at = NULL WHERE k.id = :id

-- name: revoke
UPDATE storefront_keys k SET is_active = false, former_key_hash = NULL, former_expires_at = NULL WHERE k.id = :id
