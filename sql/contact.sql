-- Contacts of companies, for the operator's commands. Whom a contact stands for at the door says sql/viewer.sql.

-- fragment: contact
SELECT t.id, h.code AS channel, t.channel_id, t.email, t.first_name, t.last_name, t.is_active, t.created_at,
  t.password_hash IS NOT NULL AS has_password,
  ARRAY(
    SELECT m.company_id FROM contact_companies m
    WHERE m.contact_id = t.id AND m.channel_id = t.channel_id ORDER BY m.company_id
  ) AS companies
FROM contacts t
JOIN channels h ON h.id = t.channel_id

-- name: newest
{contact}
WHERE (:channel::text IS NULL OR h.code = :channel) AND (:company_id::int IS NULL OR EXISTS (
  SELECT FROM contact_companies m
  WHERE m.contact_id = t.id AND m.channel_id = t.channel_id AND m.company_id = :company_id))
ORDER BY t.id DESC
LIMIT :limit

-- name: look_up
{contact}
WHERE t.id = :id AND (:channel::text IS NULL OR h.code = :channel)
ORDER BY t.channel_id

-- name: find
{contact}
WHERE t.id = :id AND (:channel::text IS NULL OR h.code = :channel)
ORDER BY t.channel_id
FOR NO KEY UPDATE OF t

-- name: add
INSERT INTO contacts (channel_id, email, first_name, last_name, password_hash)
VALUES (:channel_id, :email, :first_name, :last_name, :password_hash)
RETURNING id

-- name: add_companies
INSERT INTO contact_companies (contact_id, channel_id, company_id)
SELECT :id, c.channel_id, c.id FROM companies c WHERE c.channel_id = :channel_id AND c.id = ANY(:company_ids)
ON CONFLICT DO NOTHING
RETURNING company_id

-- name: drop_companies
DELETE FROM contact_companies WHERE contact_id = :id AND channel_id = :channel_id

-- name: known_companies
SELECT c.id FROM companies c WHERE c.channel_id = :channel_id AND c.id = ANY(:company_ids)

-- name: set_password
UPDATE contacts t
SET password_hash = :password_hash, last_modified_at = statement_timestamp()
WHERE t.id = :id AND t.channel_id = :channel_id

-- name: activate
UPDATE contacts t
SET is_active = :is_active, last_modified_at = statement_timestamp()
WHERE t.id = :id AND t.channel_id = :channel_id
