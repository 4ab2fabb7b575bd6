-- What a partner may see is channels times companies. A company's id may be in use in several channels, so a limited
-- key's company counts only where the key names it in each of its channels that has one of that id.

-- fragment: partner
SELECT
  k.id,
  k.scopes,
  extract(epoch FROM k.expires_at)::float8 AS expires_at,
  k.key_hash,
  extract(epoch FROM k.former_expires_at)::float8 AS former_expires_at,
  k.networks,
  EXISTS (SELECT FROM api_key_companies l WHERE l.api_key_id = k.id) AS is_limited,
  ARRAY(SELECT g.channel_id FROM api_key_channels g WHERE g.api_key_id = k.id ORDER BY g.channel_id) AS channel_ids,
  ARRAY(
    SELECT l.company_id
    FROM api_key_companies l
    WHERE l.api_key_id = k.id
      AND NOT EXISTS (
        SELECT
        FROM companies c
        JOIN api_key_channels g ON g.api_key_id = k.id AND g.channel_id = c.channel_id
        WHERE c.id = l.company_id
          AND NOT EXISTS (
            SELECT
            FROM api_key_companies n
            WHERE n.api_key_id = k.id AND n.channel_id = c.channel_id AND n.company_id = c.id
          )
      )
    GROUP BY l.company_id
    ORDER BY l.company_id
  ) AS company_ids
FROM api_keys k
WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())

-- name: partner_by_key_hash
{partner} AND (k.key_hash = :key_hash OR k.former_key_hash = :key_hash AND k.former_expires_at > now())

-- name: partner_by_id
{partner} AND k.id = :partner_id

-- name: contacts_by_ids
-- Each contact's companies with all their daughters. UNION drops what it has seen, so a circle of companies ends. How many
-- contacts are asked for is hidden from the planner, which would plan for the very number each time.
WITH RECURSIVE family (contact_id, company_id, channel_id) AS (
  SELECT m.contact_id, m.company_id, m.channel_id
  FROM contact_companies m
  WHERE m.contact_id = ANY(ARRAY(SELECT unnest(:contact_ids::int[])))
  UNION
  SELECT f.contact_id, d.id, d.channel_id
  FROM family f
  JOIN companies d ON d.parent_id = f.company_id AND d.channel_id = f.channel_id
)
SELECT t.id, t.channel_id, coalesce(f.company_ids, '{}') AS company_ids
FROM contacts t
LEFT JOIN (
  SELECT f.contact_id, f.channel_id, array_agg(f.company_id ORDER BY f.company_id) AS company_ids
  FROM family f
  GROUP BY f.contact_id, f.channel_id
) AS f ON f.contact_id = t.id AND f.channel_id = t.channel_id
WHERE t.id = ANY(ARRAY(SELECT unnest(:contact_ids::int[]))) AND t.is_active
