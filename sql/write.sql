-- The frame of a request's writes: who writes, and the answers of requests that came with a key.

-- A writer that waits too long for another gives up, so that no caller and no connection waits for ever; and one that is
-- not heard of any more ends by itself, with the locks it holds. Whatever the triggers do has a plan that is kept, for any
-- values: PostgreSQL took lists of unknown length for a reason to plan anew each time, and that for the most of what a
-- write cost. The number of the transaction is null where nothing can be written.
-- name: begin
SELECT set_config('waybill.actor', :actor, true), set_config('waybill.request_id', :request_id, true),
  set_config('lock_timeout', '10s', true), set_config('plan_cache_mode', 'force_generic_plan', true),
  set_config('statement_timeout', :milliseconds, true),
  set_config('idle_in_transaction_session_timeout', :milliseconds, true),
  CASE WHEN current_setting('transaction_read_only') = 'off' THEN pg_current_xact_id()::text END AS transaction_id;

-- Whoever holds the key until its transaction ends is the only one who may look for its answer.
-- name: claim_key
SELECT pg_try_advisory_xact_lock(hashtextextended(:actor || ' ' || :key, :lock)) AS is_claimed;

-- name: answer_by_key
SELECT request_hash, response, scopes, order_ids, channel_ids FROM idempotency_keys WHERE actor = :actor AND key = :key;

-- Takes a few old answers away in passing, twice as late as callers may rely on. The orders are those named, and those of
-- the shipments that are: of several channels that have one of that id, those that the caller sees.
-- name: keep_answer
WITH old AS (
  DELETE FROM idempotency_keys
  WHERE (actor, key) IN (
    SELECT actor, key FROM idempotency_keys
    WHERE created_at < now() - interval '48 hours' ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED)
), shown AS (
  SELECT unnest(:order_ids::int[]) AS id
  UNION
  SELECT s.order_id FROM shipments s WHERE s.id = ANY(:shipment_ids::uuid[])
)
INSERT INTO idempotency_keys (actor, key, request_hash, response, scopes, order_ids, channel_ids)
SELECT :actor, :key, :request_hash, :response, :scopes, coalesce(array_agg(o.id), '{}'),
  coalesce(array_agg(o.channel_id), :channel_ids::int[])
FROM shown
JOIN orders o USING (id)
WHERE :sees_all OR o.channel_id = ANY(:channel_ids);
