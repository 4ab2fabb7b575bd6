-- What operators do by command, and who.

-- The feed of changes names the same actor where the command writes orders or shipments.
-- name: begin
SELECT set_config('waybill.actor', :actor, true), set_config('lock_timeout', '10s', true)

-- name: add
INSERT INTO audit_entries (actor, action, subject, details)
VALUES (current_setting('waybill.actor'), :action, :subject, :details::jsonb)

-- The newest first; with `after` those that came after an entry, the oldest first.
-- name: newest
SELECT e.id, e.occurred_at, e.actor, e.action, e.subject, e.details::text AS details
FROM audit_entries e
WHERE (:actor::text IS NULL OR e.actor = :actor) AND (:subject::text IS NULL OR e.subject = :subject)
ORDER BY e.id DESC
LIMIT :limit
