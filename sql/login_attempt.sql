-- name: spelling
SELECT lower(:email) AS email

-- name: take
-- One attempt, counted in the same breath as it is allowed: whoever comes at the same time waits for this row and sees it
-- counted. No row where as many as are allowed were made within the window before.
INSERT INTO login_attempts AS a (key_hash, attempted_at, latest_at)
SELECT :key_hash, ARRAY[w.now], w.now
FROM clock_timestamp() AS w (now)
ON CONFLICT (key_hash) DO UPDATE
SET attempted_at = ARRAY(
      SELECT t FROM unnest(a.attempted_at) AS t WHERE t > clock_timestamp() - :window::interval ORDER BY t
    ) || EXCLUDED.latest_at,
    latest_at = EXCLUDED.latest_at
WHERE (
  SELECT count(*) FROM unnest(a.attempted_at) AS t WHERE t > clock_timestamp() - :window::interval
) < :allowed::int
RETURNING latest_at

-- name: give_back
-- Takes attempts out of the count, and rows away that count nothing any more. Rows are locked in one order, so that two
-- who give back the same do not wait for each other.
WITH given AS (
  SELECT a.key_hash, array_remove(a.attempted_at, g.attempted_at) AS attempted_at
  FROM login_attempts a
  JOIN unnest(:key_hashes::bytea[], :attempted_at::timestamptz[]) AS g (key_hash, attempted_at) USING (key_hash)
  ORDER BY a.key_hash
  FOR UPDATE OF a
), gone AS (
  DELETE FROM login_attempts a
  USING given g
  WHERE a.key_hash = g.key_hash AND g.attempted_at = '{}'
)
UPDATE login_attempts a
SET attempted_at = g.attempted_at
FROM given g
WHERE a.key_hash = g.key_hash AND g.attempted_at <> '{}'

-- name: is_known
SELECT EXISTS (
  SELECT FROM login_addresses a WHERE a.key_hash = :key_hash AND a.good_at > now() - :remembered::interval
) AS is_known

-- name: remember
-- Rows that another login of the same customer holds at this moment are left to it.
WITH known AS (
  INSERT INTO login_addresses (key_hash, account_hash, good_at)
  VALUES (:key_hash, :account_hash, now())
  ON CONFLICT (key_hash) DO UPDATE SET good_at = EXCLUDED.good_at
)
DELETE FROM login_addresses
WHERE key_hash IN (
  SELECT a.key_hash
  FROM login_addresses a
  WHERE a.account_hash = :account_hash AND a.key_hash <> :key_hash
  ORDER BY a.good_at DESC, a.key_hash
  OFFSET :others::int
  FOR UPDATE SKIP LOCKED
)

-- name: prune
-- A few rows with each login, so that no login waits long and nothing else has to run. Rows in use are left.
WITH of_customers AS (
  DELETE FROM customer_sessions
  WHERE (id, channel_id) IN (
    SELECT id, channel_id FROM customer_sessions WHERE expires_at < now() ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED
  )
), of_contacts AS (
  DELETE FROM contact_sessions
  WHERE id IN (
    SELECT s.id FROM contact_sessions s WHERE s.expires_at < now() ORDER BY s.expires_at LIMIT 20 FOR UPDATE SKIP LOCKED
  )
), addresses AS (
  DELETE FROM login_addresses
  WHERE key_hash IN (
    SELECT key_hash
    FROM login_addresses
    WHERE good_at < now() - :remembered::interval
    ORDER BY good_at
    LIMIT 20
    FOR UPDATE SKIP LOCKED
  )
)
DELETE FROM login_attempts
WHERE key_hash IN (
  SELECT key_hash
  FROM login_attempts
  WHERE latest_at < now() - interval '1 hour'
  ORDER BY latest_at
  LIMIT 20
  FOR UPDATE SKIP LOCKED
)
