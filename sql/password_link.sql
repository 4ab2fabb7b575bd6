-- Links by which customers set a password. Customers are found here by an e-mail, or by a link that proves them, so these
-- statements say whose rows they mean themselves.

-- A row is written for an e-mail that is nobody's too, so that this costs as much: one of the counts of attempts that
-- nothing is counted by, which goes like all of them after an hour. Beside it go links that have expired.
-- name: request
WITH customer AS (
  SELECT c.id, c.channel_id
  FROM customers c
  WHERE c.channel_id = :channel_id AND lower(c.email) = lower(:email) AND c.merged_into_id IS NULL AND NOT c.is_suspended
), gone AS (
  DELETE FROM password_links
  WHERE id IN (SELECT l.id FROM password_links l WHERE l.expires_at < now() ORDER BY l.expires_at LIMIT 20 FOR UPDATE SKIP LOCKED)
), link AS (
  INSERT INTO password_links (channel_id, customer_id, expires_at)
  SELECT c.channel_id, c.id, now() + :lifetime::interval FROM customer c
  RETURNING id, channel_id
), nobody AS (
  INSERT INTO login_attempts (key_hash, attempted_at, latest_at)
  SELECT sha256(gen_random_uuid()::text::bytea), '{}', clock_timestamp()
  WHERE NOT EXISTS (SELECT FROM customer)
)
INSERT INTO outbox_events (channel_id, type, password_link_id)
SELECT l.channel_id, 'CUSTOMER_PASSWORD_LINK', l.id FROM link l;

-- The link and all others of the customer end with it, and so do the customer's tokens.
-- name: use
WITH link AS (
  DELETE FROM password_links l
  WHERE l.id = :id AND l.channel_id = :channel_id AND l.customer_id = :customer_id AND l.expires_at > now()
  RETURNING l.customer_id, l.channel_id
), customer AS (
  UPDATE customers c
  SET password_hash = :password_hash, last_modified_at = statement_timestamp()
  FROM link l
  WHERE c.id = l.customer_id AND c.channel_id = l.channel_id AND c.merged_into_id IS NULL AND NOT c.is_suspended
  RETURNING c.id, c.channel_id
), others AS (
  DELETE FROM password_links l USING customer c
  WHERE l.customer_id = c.id AND l.channel_id = c.channel_id AND l.id <> :id
), sessions AS (
  UPDATE customer_sessions s SET revoked_at = now()
  FROM customer c
  WHERE s.customer_id = c.id AND s.channel_id = c.channel_id AND s.revoked_at IS NULL
)
SELECT c.id FROM customer c;
