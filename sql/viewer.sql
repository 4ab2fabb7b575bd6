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

-- name: contact_by_id
-- The contact's companies with all their daughters. UNION drops what it has seen, so a circle of companies ends.
WITH RECURSIVE family (company_id, channel_id) AS (
  SELECT m.company_id, m.channel_id
  FROM contact_companies m
  WHERE m.contact_id = :contact_id
  UNION
  SELECT d.id, d.channel_id
  FROM family f
  JOIN companies d ON d.parent_id = f.company_id AND d.channel_id = f.channel_id
)
SELECT
  t.id,
  t.channel_id,
  ARRAY(SELECT f.company_id FROM family f WHERE f.channel_id = t.channel_id ORDER BY f.company_id) AS company_ids
FROM contacts t
WHERE t.id = :contact_id AND t.is_active
