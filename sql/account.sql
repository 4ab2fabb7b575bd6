-- Who asks: read by the number of the viewer itself, in the channel that its credential is for.

-- name: contact_by_id
-- feeds: Contact
SELECT 'Contact' AS type, t.id AS contact_id, t.id AS user_id, t.channel_id, t.first_name, t.last_name, t.email,
  CASE WHEN t.password_hash IS NOT NULL THEN t.email END AS login, t.created_at, t.last_modified_at
FROM contacts t
WHERE t.id = :id AND t.channel_id = :channel_id

-- name: customer_by_id
-- feeds: Customer
SELECT 'Customer' AS type, c.id AS customer_id, c.id AS user_id, c.gender, c.first_name, c.last_name, c.phone, c.email,
  CASE WHEN c.password_hash IS NOT NULL THEN c.email END AS login, c.external_id, c.created_at, c.last_modified_at
FROM customers c
WHERE c.id = :id AND c.channel_id = :channel_id

-- name: companies_by_contact_ids
-- feeds: Company
SELECT m.contact_id, m.channel_id, c.id AS company_id, c.name
FROM contact_companies m
JOIN companies c ON c.id = m.company_id AND c.channel_id = m.channel_id
WHERE m.contact_id = ANY(:contact_ids) AND m.channel_id = ANY(:visible_channel_ids)
ORDER BY c.id
