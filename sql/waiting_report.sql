-- News of codes that nobody has recorded yet. Nobody reads it: a code takes what waits for it, see
-- sql/migrations/0016_parcel_items.sql.

-- What is told again under the same external id waits once. `channel_ids` and `company_ids` are whose codes the teller
-- sees, null for those of all. Beside it goes some of what has waited too long.
-- name: wait
WITH gone AS (
  DELETE FROM waiting_reports
  WHERE id IN (
    SELECT w.id FROM waiting_reports w
    WHERE w.told_at < now() - interval '30 days'
    ORDER BY w.told_at
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
  )
)
INSERT INTO waiting_reports (
  id, code, carrier_id, channel_ids, company_ids, external_id, status, sub_status, occurred_at, occurred_local,
  expected_delivery_at, expected_local, location, description)
SELECT w.id, w.code, w.carrier_id, :channel_ids::int[], :company_ids::int[], w.external_id, w.status, w.sub_status,
  w.occurred_at, w.occurred_local, w.expected_delivery_at, w.expected_local, w.location, w.description
FROM unnest(
  :ids::uuid[], :codes::text[], :carrier_ids::int[], :external_ids::text[], :statuses::text[], :sub_statuses::text[],
  :occurred_at::timestamptz[], :occurred_local::timestamp[], :expected_delivery_at::timestamptz[], :expected_local::timestamp[],
  :locations::text[], :descriptions::text[]) WITH ORDINALITY AS w (
  id, code, carrier_id, external_id, status, sub_status, occurred_at, occurred_local, expected_delivery_at, expected_local,
  location, description, place)
ORDER BY w.place
ON CONFLICT (told_by, normalized_code(code), carrier_id, external_id) WHERE external_id IS NOT NULL DO NOTHING
RETURNING id;

-- Counted no further than is allowed: of all, and of those that wait for a carrier's page.
-- name: room
SELECT :most::int - (
    SELECT count(*)::int FROM (SELECT FROM waiting_reports w WHERE w.told_by = :told_by LIMIT :most) AS told) AS room,
  :most_pages::int - (
    SELECT count(*)::int
    FROM (
      SELECT FROM waiting_reports w WHERE w.told_by = :told_by AND page_host(w.code) IS NOT NULL LIMIT :most_pages
    ) AS told) AS page_room;
