-- What a partner has to deliver. An event is there until it is acknowledged, or until there is nothing to deliver any more.

-- The oldest first; one that is committed late is not missed, since nothing is read by its place.
-- name: oldest
-- feeds: OutboxEvent, CustomerPasswordLink
SELECT e.id::text, e.type, e.channel_id, e.created_at, l.id AS link_id, l.customer_id, l.expires_at, c.email, c.first_name,
  c.last_name, h.code AS channel_code
FROM outbox_events e
JOIN password_links l ON l.id = e.password_link_id AND l.channel_id = e.channel_id
JOIN customers c ON c.id = l.customer_id AND c.channel_id = l.channel_id
JOIN channels h ON h.id = e.channel_id
WHERE l.expires_at > now() AND {visible outbox_events e}
ORDER BY e.id
LIMIT :limit;

-- name: acknowledge
DELETE FROM outbox_events e
WHERE e.id = ANY(:ids) AND {visible outbox_events e}
RETURNING e.id;
