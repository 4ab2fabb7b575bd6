-- Customers are found here by what they log in with, so these statements say whose rows they mean themselves.

-- name: by_ids
-- Whether the customer is suspended, and who says to be it, is for the caller to weigh. How many sessions are asked for is
-- hidden from the planner, which would plan for the very number each time.
SELECT s.id, s.channel_id, s.customer_id, c.is_suspended
FROM customer_sessions s
JOIN customers c ON c.id = s.customer_id AND c.channel_id = s.channel_id
WHERE s.id = ANY(ARRAY(SELECT unnest(:session_ids::bigint[])))
  AND s.revoked_at IS NULL
  AND s.expires_at > now()

-- name: good
-- Those of many sessions that are good still.
SELECT s.id
FROM customer_sessions s
JOIN customers c ON c.id = s.customer_id AND c.channel_id = s.channel_id
WHERE s.id = ANY(:session_ids)
  AND s.revoked_at IS NULL
  AND s.expires_at > now()
  AND NOT c.is_suspended

-- name: customer_by_id
SELECT c.id, c.first_name, c.last_name, c.email
FROM customers c
WHERE c.id = :customer_id AND c.channel_id = :channel_id

-- name: customer_by_email
SELECT c.id, c.password_hash, c.is_suspended
FROM customers c
WHERE c.channel_id = :channel_id AND lower(c.email) = lower(:email)

-- name: open
-- None where the password was changed, or the customer suspended, while it was verified.
WITH customer AS (
  UPDATE customers c
  SET api_token_hash = :api_token_hash
  WHERE c.id = :customer_id
    AND c.channel_id = :channel_id
    AND c.password_hash = :password_hash
    AND NOT c.is_suspended
  RETURNING c.id, c.channel_id
)
INSERT INTO customer_sessions (channel_id, customer_id, expires_at)
SELECT channel_id, id, now() + :lifetime::interval
FROM customer
RETURNING id

-- name: revoke
UPDATE customer_sessions
SET revoked_at = now()
WHERE id = :session_id AND channel_id = :channel_id AND customer_id = :customer_id AND revoked_at IS NULL
RETURNING id
