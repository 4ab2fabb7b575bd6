-- How the pages of shops look, which everybody may see.

-- fragment: shop
c.id AS channel_id, c.code, coalesce(g.name, c.name) AS name, g.accent, g.help_url, g.languages, g.picture_origin,
  lower(c.language) AS language, encode(sha256(g.logo), 'hex') AS logo_hash, g.logo_type

-- name: by_code
-- feeds: Shop
SELECT {shop}
FROM channels c
JOIN channel_pages g ON g.channel_id = c.id
WHERE c.code = :code;

-- name: by_channel_ids
-- feeds: Shop
SELECT {shop}
FROM channels c
LEFT JOIN channel_pages g ON g.channel_id = c.id
WHERE c.id = ANY(:channel_ids);

-- name: logo
SELECT 'data:' || g.logo_type || ';base64,' || translate(encode(g.logo, 'base64'), E'\n', '') AS logo_data
FROM channel_pages g
WHERE g.channel_id = :channel_id AND g.logo IS NOT NULL;
