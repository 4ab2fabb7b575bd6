-- API keys, for the operator's commands. What a key is good for at the door stands in sql/viewer.sql.

-- fragment: key
SELECT k.id, k.name, k.prefix, k.scopes AS permissions, k.networks, k.expires_at, k.former_expires_at, k.revoked_at, k.created_at,
  CASE
    WHEN k.revoked_at IS NOT NULL THEN 'revoked'
    WHEN k.expires_at <= now() THEN 'expired'
    WHEN k.former_expires_at > now() THEN 'rotating'
    ELSE 'good'
  END AS state,
  ARRAY(
    SELECT h.code FROM api_key_channels g JOIN channels h ON h.id = g.channel_id WHERE g.api_key_id = k.id ORDER BY h.code
  ) AS channels,
  ARRAY(
    SELECT DISTINCT l.company_id FROM api_key_companies l WHERE l.api_key_id = k.id ORDER BY l.company_id
  ) AS companies
FROM api_keys k

-- name: newest
{key}
WHERE :all OR k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
ORDER BY k.id

-- name: by_id
{key}
WHERE k.id = :id

-- name: by_digest
{key}
WHERE k.key_hash = :key_hash OR k.former_key_hash = :key_hash

-- name: lock
SELECT k.id, k.key_hash, k.former_expires_at, k.former_expires_at > now() AS is_rotating, k.revoked_at, k.expires_at
FROM api_keys k
WHERE k.id = :id
FOR UPDATE

-- name: add
INSERT INTO api_keys (name, key_hash, prefix, scopes, networks, expires_at)
VALUES (:name, :key_hash, :prefix, :permissions, :networks, :expires_at)
RETURNING id

-- name: change
UPDATE api_keys k
SET scopes = coalesce(:permissions, k.scopes),
  networks = CASE WHEN :sets_networks THEN :networks ELSE k.networks END,
  expires_at = CASE WHEN :sets_expiry THEN :expires_at ELSE k.expires_at END
WHERE k.id = :id

-- name: rotate
UPDATE api_keys k
SET former_key_hash = k.key_hash, former_expires_at = now() + :overlap::interval, key_hash = :key_hash, prefix = :prefix
WHERE k.id = :id
RETURNING k.former_expires_at

-- name: end_former
UPDATE api_keys k SET former_key_hash = NULL, former_expires_at = NULL WHERE k.id = :id

-- name: revoke
UPDATE api_keys k
SET revoked_at = coalesce(k.revoked_at, now()), former_key_hash = NULL, former_expires_at = NULL
WHERE k.id = :id

-- name: drop_companies
DELETE FROM api_key_companies WHERE api_key_id = :id

-- name: drop_channels
DELETE FROM api_key_channels WHERE api_key_id = :id

-- name: add_channels
INSERT INTO api_key_channels (api_key_id, channel_id)
SELECT :id, h.id FROM channels h WHERE h.code = ANY(:codes)
RETURNING channel_id

-- A company's id may be in use in several of the key's channels: it is named in each.
-- name: add_companies
INSERT INTO api_key_companies (api_key_id, channel_id, company_id)
SELECT g.api_key_id, g.channel_id, c.id
FROM api_key_channels g
JOIN companies c ON c.channel_id = g.channel_id
WHERE g.api_key_id = :id AND c.id = ANY(:company_ids)
RETURNING company_id
