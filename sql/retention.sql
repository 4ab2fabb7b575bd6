-- What is kept no longer, for the operator: each takes some rows away, those of the greatest age first, and tells how many.
-- Rows that somebody holds at the moment are left for the next time.

-- name: feed
SELECT prune_feed(:before, :most) AS gone;

-- Of answers that callers may rely on, none is so old.
-- name: idempotency_keys
WITH gone AS (
  DELETE FROM idempotency_keys
  WHERE (actor, key) IN (
    SELECT k.actor, k.key FROM idempotency_keys k
    WHERE k.created_at < :before ORDER BY k.created_at LIMIT :most FOR UPDATE SKIP LOCKED)
  RETURNING 1
)
SELECT count(*)::int AS gone FROM gone;

-- name: sessions
WITH of_customers AS (
  DELETE FROM customer_sessions
  WHERE (id, channel_id) IN (
    SELECT s.id, s.channel_id FROM customer_sessions s
    WHERE s.expires_at < :before ORDER BY s.expires_at LIMIT :most FOR UPDATE SKIP LOCKED)
  RETURNING 1
), of_contacts AS (
  DELETE FROM contact_sessions
  WHERE id IN (
    SELECT s.id FROM contact_sessions s
    WHERE s.expires_at < :before ORDER BY s.expires_at LIMIT :most FOR UPDATE SKIP LOCKED)
  RETURNING 1
)
SELECT ((SELECT count(*) FROM of_customers) + (SELECT count(*) FROM of_contacts))::int AS gone;

-- name: attempts
WITH gone AS (
  DELETE FROM login_attempts
  WHERE key_hash IN (
    SELECT a.key_hash FROM login_attempts a
    WHERE a.latest_at < :before ORDER BY a.latest_at LIMIT :most FOR UPDATE SKIP LOCKED)
  RETURNING 1
)
SELECT count(*)::int AS gone FROM gone;

-- News of codes that nobody has written: a carrier's words, with places and remarks.
-- name: waiting_reports
WITH gone AS (
  DELETE FROM waiting_reports
  WHERE id IN (
    SELECT w.id FROM waiting_reports w
    WHERE w.told_at < :before ORDER BY w.told_at LIMIT :most FOR UPDATE SKIP LOCKED)
  RETURNING 1
)
SELECT count(*)::int AS gone FROM gone;

-- name: audit_entries
WITH gone AS (
  DELETE FROM audit_entries
  WHERE id IN (
    SELECT a.id FROM audit_entries a
    WHERE a.occurred_at < :before ORDER BY a.id LIMIT :most FOR UPDATE SKIP LOCKED)
  RETURNING 1
)
SELECT count(*)::int AS gone FROM gone;

-- name: webhook_attempts
WITH gone AS (
  DELETE FROM webhook_attempts
  WHERE id IN (
    SELECT a.id FROM webhook_attempts a
    WHERE a.started_at < :before ORDER BY a.started_at LIMIT :most FOR UPDATE SKIP LOCKED)
  RETURNING 1
)
SELECT count(*)::int AS gone FROM gone;

-- Those that wait have not ended.
-- name: webhook_deliveries
WITH gone AS (
  DELETE FROM webhook_deliveries
  WHERE id IN (
    SELECT d.id FROM webhook_deliveries d
    WHERE d.ended_at < :before ORDER BY d.ended_at LIMIT :most FOR UPDATE SKIP LOCKED)
  RETURNING 1
)
SELECT count(*)::int AS gone FROM gone;
