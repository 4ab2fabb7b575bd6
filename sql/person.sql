-- What is held of a person, for the operator's commands: a customer, a contact, or whoever an order names. Their orders are
-- those of the account, and those without one that bear its e-mail; an account is one with all that were merged into it.

-- name: customer_accounts
SELECT c.id FROM customers c WHERE c.channel_id = :channel_id AND (c.id = :id OR c.merged_into_id = :id)

-- name: orders_of_customer
SELECT o.id
FROM orders o
WHERE o.channel_id = :channel_id AND (
  o.customer_id = ANY(:account_ids)
  OR o.customer_id IS NULL AND o.contact_id IS NULL AND lower(o.email) IN (
    SELECT lower(c.email) FROM customers c WHERE c.channel_id = :channel_id AND c.id = ANY(:account_ids) AND c.email <> ''))
ORDER BY o.id

-- name: orders_of_contact
SELECT o.id FROM orders o WHERE o.channel_id = :channel_id AND o.contact_id = :id ORDER BY o.id

-- name: orders_by_id
SELECT o.id, o.channel_id FROM orders o JOIN channels h ON h.id = o.channel_id
WHERE o.id = :id AND (:channel::text IS NULL OR h.code = :channel)

-- name: under_way
SELECT count(*)::int AS orders
FROM order_fulfillments f
WHERE f.channel_id = :channel_id AND f.order_id = ANY(:order_ids) AND f.status NOT IN ('DELIVERED', 'CANCELED')

-- The rows of orders are locked first, as everywhere.
-- name: lock_orders
SELECT o.id FROM orders o WHERE o.channel_id = :channel_id AND o.id = ANY(:order_ids) ORDER BY o.id FOR NO KEY UPDATE

-- A reference is what the buyer wrote, and stands on the invoice. The debtor is the person to the books of a shop, or their
-- company. Keys of the order itself stay, as does what a shop calls its payments, its coupons and its ways of shipping.
-- name: erase_orders
UPDATE orders o
SET email = '', first_name = '', last_name = '', remarks = NULL, extra3 = NULL, extra4 = NULL, export_message = NULL,
  reference = CASE WHEN :keeps_invoice THEN o.reference END,
  debtor_id = CASE WHEN :keeps_company OR :keeps_invoice THEN o.debtor_id END,
  last_modified_at = statement_timestamp()
WHERE o.channel_id = :channel_id AND o.id = ANY(:order_ids)

-- Of a contact the address is the company's: it stays, without whoever it names.
-- name: erase_addresses
UPDATE order_addresses a
SET name = NULL, first_name = NULL, middle_name = NULL, last_name = NULL, gender = 'U', phone = NULL, mobile = NULL, fax = NULL,
  email = NULL, url = NULL, notes = NULL,
  code = CASE WHEN :keeps_company THEN a.code END,
  company = CASE WHEN :keeps_company THEN a.company END,
  street = CASE WHEN :keeps_company THEN a.street ELSE '' END,
  number = CASE WHEN :keeps_company THEN a.number END,
  number_extension = CASE WHEN :keeps_company THEN a.number_extension END,
  postal_code = CASE WHEN :keeps_company THEN a.postal_code ELSE '' END,
  city = CASE WHEN :keeps_company THEN a.city ELSE '' END,
  region = CASE WHEN :keeps_company THEN a.region END,
  vat_id = CASE WHEN :keeps_company THEN a.vat_id END,
  last_modified_at = statement_timestamp()
WHERE a.channel_id = :channel_id AND a.order_id = ANY(:order_ids) AND NOT (:keeps_invoice AND a.type = 'invoice')

-- name: erase_items
UPDATE order_items i
SET notes = NULL, additional = NULL
WHERE i.channel_id = :channel_id AND i.order_id = ANY(:order_ids) AND (i.notes IS NOT NULL OR i.additional IS NOT NULL)

-- name: erase_refunds
UPDATE refunds r
SET reason = NULL, last_modified_at = statement_timestamp()
WHERE r.channel_id = :channel_id AND r.order_id = ANY(:order_ids) AND r.reason IS NOT NULL

-- What carriers tell names neighbours, doors and depots.
-- name: erase_events
UPDATE tracking_events e
SET location = NULL, description = NULL
FROM track_and_traces t
WHERE t.id = e.track_and_trace_id AND t.channel_id = e.channel_id AND t.channel_id = :channel_id
  AND t.order_id = ANY(:order_ids) AND (e.location IS NOT NULL OR e.description IS NOT NULL)

-- name: erase_waiting_reports
UPDATE waiting_reports w
SET location = NULL, description = NULL
WHERE normalized_code(w.code) IN (
  SELECT normalized_code(t.code) FROM track_and_traces t WHERE t.channel_id = :channel_id AND t.order_id = ANY(:order_ids))

-- Answers that show one of the orders, and those that do not say what they show.
-- name: erase_answers
DELETE FROM idempotency_keys k
WHERE k.actor = ANY(:actors) OR k.order_ids IS NULL OR k.order_ids && :order_ids::int[]

-- Whoever serves an endpoint that was to be sent what is erased reads anew what waits for it.
-- name: wake_endpoints
UPDATE webhook_endpoints e
SET revision = e.revision + 1
WHERE EXISTS (
  SELECT FROM webhook_deliveries d
  WHERE d.endpoint_id = e.id AND d.state = 'WAITING' AND d.body IS NOT NULL AND d.order_id = ANY(:order_ids)
    AND (d.event ->> 'channel_id')::int = :channel_id)

-- What was sent of an order, and what receivers said to it. What waits, or is asked for again, is told as it is then.
-- name: erase_deliveries
WITH of_orders AS (
  SELECT d.id FROM webhook_deliveries d
  WHERE d.order_id = ANY(:order_ids) AND (d.event ->> 'channel_id')::int = :channel_id
), answers AS (
  UPDATE webhook_attempts a SET answer = NULL WHERE a.delivery_id IN (SELECT id FROM of_orders) AND a.answer IS NOT NULL
)
UPDATE webhook_deliveries d
SET body = NULL, media_type = NULL
WHERE d.id IN (SELECT id FROM of_orders) AND d.body IS NOT NULL

-- Gathered anew when the transaction commits.
-- name: erase_words
SELECT note_due(array_agg(o.id), array_agg(o.channel_id), array_agg(true))
FROM orders o
WHERE o.channel_id = :channel_id AND o.id = ANY(:order_ids)

-- Its number goes on to stand for it in orders; links, and with them what waits in the outbox, go.
-- name: erase_customers
WITH links AS (
  DELETE FROM password_links l WHERE l.channel_id = :channel_id AND l.customer_id = ANY(:account_ids)
), sessions AS (
  DELETE FROM customer_sessions s WHERE s.channel_id = :channel_id AND s.customer_id = ANY(:account_ids)
)
UPDATE customers c
SET email = NULL, phone = NULL, external_id = 'erased:' || c.id, first_name = '', last_name = '', gender = NULL,
  password_hash = NULL, api_token_hash = NULL, is_suspended = true, last_modified_at = statement_timestamp()
WHERE c.channel_id = :channel_id AND c.id = ANY(:account_ids)

-- name: erase_logins
DELETE FROM login_addresses WHERE account_hash = ANY(:account_hashes)

-- name: emails
-- With those among whom an e-mail is somebody's, as attempts to log in are counted.
SELECT :channel_id::int::text AS whose, lower(c.email) AS email FROM customers c
WHERE c.channel_id = :channel_id AND c.id = ANY(:account_ids) AND c.email IS NOT NULL
UNION ALL
SELECT :contacts AS whose, lower(t.email) FROM contacts t
WHERE t.channel_id = :channel_id AND t.id = :contact_id::int AND t.password_hash IS NOT NULL

-- name: erase_contact
WITH companies AS (
  DELETE FROM contact_companies m WHERE m.channel_id = :channel_id AND m.contact_id = :id
), sessions AS (
  DELETE FROM contact_sessions s WHERE s.channel_id = :channel_id AND s.contact_id = :id
)
UPDATE contacts t
SET email = 'erased-' || t.id || '@erased.invalid', first_name = '', last_name = '', is_active = false, password_hash = NULL,
  last_modified_at = statement_timestamp()
WHERE t.channel_id = :channel_id AND t.id = :id

-- name: export_account
SELECT jsonb_build_object(
  'customers', coalesce((
    SELECT jsonb_agg(to_jsonb(c) - '{password_hash,api_token_hash}'::text[] ORDER BY c.id)
    FROM customers c WHERE c.channel_id = :channel_id AND c.id = ANY(:account_ids)), '[]'),
  'contacts', coalesce((
    SELECT jsonb_agg(to_jsonb(t) - 'password_hash' || jsonb_build_object('companies', ARRAY(
      SELECT m.company_id FROM contact_companies m
      WHERE m.channel_id = t.channel_id AND m.contact_id = t.id ORDER BY m.company_id)) ORDER BY t.id)
    FROM contacts t WHERE t.channel_id = :channel_id AND t.id = :contact_id::int), '[]'),
  'sessions', coalesce((
    SELECT jsonb_agg(to_jsonb(s) ORDER BY s.id)
    FROM customer_sessions s WHERE s.channel_id = :channel_id AND s.customer_id = ANY(:account_ids)), '[]'),
  'contact_sessions', coalesce((
    SELECT jsonb_agg(to_jsonb(s) - 'refresh_hash' ORDER BY s.created_at)
    FROM contact_sessions s WHERE s.channel_id = :channel_id AND s.contact_id = :contact_id::int), '[]'),
  'password_links', coalesce((
    SELECT jsonb_agg(to_jsonb(l) ORDER BY l.created_at)
    FROM password_links l WHERE l.channel_id = :channel_id AND l.customer_id = ANY(:account_ids)), '[]'),
  'answers', (
    SELECT count(*) FROM idempotency_keys k WHERE k.actor = ANY(:actors) OR k.order_ids && :order_ids::int[])
)::text AS held

-- One row for each order, so that nothing gathers all of them.
-- name: export_order
SELECT (to_jsonb(o) || jsonb_build_object(
  'addresses', coalesce((
    SELECT jsonb_agg(to_jsonb(a) ORDER BY a.id) FROM order_addresses a
    WHERE a.channel_id = o.channel_id AND a.order_id = o.id), '[]'),
  'items', coalesce((
    SELECT jsonb_agg(to_jsonb(i) ORDER BY i.id) FROM order_items i
    WHERE i.channel_id = o.channel_id AND i.order_id = o.id), '[]'),
  'refunds', coalesce((
    SELECT jsonb_agg(to_jsonb(r) ORDER BY r.created_at) FROM refunds r
    WHERE r.channel_id = o.channel_id AND r.order_id = o.id), '[]'),
  'shipments', coalesce((
    SELECT jsonb_agg(to_jsonb(s) ORDER BY s.number) FROM shipments s
    WHERE s.channel_id = o.channel_id AND s.order_id = o.id), '[]'),
  'codes', coalesce((
    SELECT jsonb_agg(to_jsonb(t) || jsonb_build_object('events', coalesce((
      SELECT jsonb_agg(to_jsonb(e) ORDER BY e.occurred_at) FROM tracking_events e
      WHERE e.channel_id = t.channel_id AND e.track_and_trace_id = t.id), '[]')) ORDER BY t.created_at)
    FROM track_and_traces t WHERE t.channel_id = o.channel_id AND t.order_id = o.id), '[]'),
  'webhooks', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'id', d.id, 'type', d.type, 'state', d.state, 'told', e.owner, 'created_at', d.created_at, 'ended_at', d.ended_at,
      'body', convert_from(d.body, 'UTF8')) ORDER BY d.place)
    FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
    WHERE d.order_id = o.id AND (d.event ->> 'channel_id')::int = o.channel_id), '[]')
))::text AS held
FROM orders o
WHERE o.channel_id = :channel_id AND o.id = ANY(:order_ids)
ORDER BY o.id
