-- How contacts log in. They are found here by what they log in with, or by the session that a token of ours names, so these
-- statements say whose rows they mean themselves.

-- fragment: account
SELECT t.id, t.channel_id, t.email, t.first_name, t.last_name, t.created_at, s.created_at AS begun_at,
  extract(epoch FROM s.expires_at)::float8 AS ends_at

-- name: contacts_by_email
-- Of all channels, or of some. Two at most: an e-mail that several have is nobody's.
SELECT t.id, t.channel_id, t.password_hash
FROM contacts t
WHERE lower(t.email) = lower(:email)
  AND t.password_hash IS NOT NULL
  AND (:channel_ids::int[] IS NULL OR t.channel_id = ANY(:channel_ids))
LIMIT 2

-- name: open
-- None where the password was changed while it was verified, and of a contact that is disabled.
WITH s AS (
  INSERT INTO contact_sessions (id, channel_id, contact_id, refresh_hash, expires_at)
  SELECT :session_id, t.channel_id, t.id, :refresh_hash, now() + :lifetime::interval
  FROM contacts t
  WHERE t.id = :contact_id AND t.channel_id = :channel_id AND t.password_hash = :password_hash AND t.is_active
  RETURNING channel_id, contact_id, created_at, expires_at
)
{account}
FROM s
JOIN contacts t ON t.id = s.contact_id AND t.channel_id = s.channel_id

-- name: exchange
-- The next refresh token in the place of the present one. One that was exchanged before ends the session: two have it. That is
-- not so where it was good when this began, and another request exchanged it meanwhile: this one gets nothing.
WITH seen AS MATERIALIZED (
  SELECT s.refresh_hash FROM contact_sessions s WHERE s.id = :session_id
), held AS MATERIALIZED (
  SELECT s.id, s.refresh_hash, s.revoked_at, s.expires_at
  FROM contact_sessions s
  WHERE s.id = :session_id AND s.contact_id = :contact_id
  FOR NO KEY UPDATE
), ended AS (
  UPDATE contact_sessions s
  SET revoked_at = now()
  FROM held h
  JOIN seen b ON b.refresh_hash <> :refresh_hash
  WHERE s.id = h.id AND h.refresh_hash <> :refresh_hash AND h.revoked_at IS NULL
), s AS (
  UPDATE contact_sessions s
  SET refresh_hash = :next_hash
  FROM held h
  WHERE s.id = h.id AND h.refresh_hash = :refresh_hash AND h.revoked_at IS NULL AND h.expires_at > now()
  RETURNING s.channel_id, s.contact_id, s.created_at, s.expires_at
)
{account}
FROM s
JOIN contacts t ON t.id = s.contact_id AND t.channel_id = s.channel_id

-- name: by_ids
-- How many are asked for is hidden from the planner, which would plan for the very number each time.
SELECT s.id, s.channel_id, s.contact_id, extract(epoch FROM s.expires_at)::float8 AS expires_at
FROM contact_sessions s
WHERE s.id = ANY(ARRAY(SELECT unnest(:session_ids::uuid[]))) AND s.revoked_at IS NULL AND s.expires_at > now()

-- name: revoke
UPDATE contact_sessions s
SET revoked_at = now()
WHERE s.id = :session_id AND s.contact_id = :contact_id AND s.channel_id = :channel_id AND s.revoked_at IS NULL
RETURNING s.id
