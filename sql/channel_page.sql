-- How the pages of channels look, for the command that sets it.

-- name: by_code
SELECT c.id AS channel_id, g.channel_id IS NOT NULL AS has_page, g.name, g.accent, g.help_url, g.languages, g.picture_origin,
  g.logo
FROM channels c
LEFT JOIN channel_pages g ON g.channel_id = c.id
WHERE c.code = :code;

-- name: set
INSERT INTO channel_pages (channel_id, name, accent, help_url, languages, picture_origin, logo, logo_type)
VALUES (:channel_id, :name, :accent, :help_url, :languages, :picture_origin, :logo, :logo_type)
ON CONFLICT (channel_id) DO UPDATE
SET name = EXCLUDED.name, accent = EXCLUDED.accent, help_url = EXCLUDED.help_url, languages = EXCLUDED.languages,
  picture_origin = EXCLUDED.picture_origin, logo = EXCLUDED.logo, logo_type = EXCLUDED.logo_type;
