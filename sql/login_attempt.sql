-- name: take
-- One attempt, counted in the same breath as it is allowed: whoever comes at the same time waits for this row and sees it
-- counted. No row where as many as are allowed were made within the minute before.
INSERT INTO login_attempts AS a (key_hash, attempted_at, latest_at)
VALUES (:key_hash, ARRAY[clock_timestamp()], clock_timestamp())
ON CONFLICT (key_hash) DO UPDATE
SET attempted_at = ARRAY(
      SELECT t FROM unnest(a.attempted_at) AS t WHERE t > clock_timestamp() - interval '1 minute' ORDER BY t
    ) || EXCLUDED.latest_at,
    latest_at = EXCLUDED.latest_at
WHERE (
  SELECT count(*) FROM unnest(a.attempted_at) AS t WHERE t > clock_timestamp() - interval '1 minute'
) < :allowed::int
RETURNING latest_at

-- name: give_back
UPDATE login_attempts
SET attempted_at = array_remove(attempted_at, :attempted_at)
WHERE key_hash = :key_hash
RETURNING key_hash
