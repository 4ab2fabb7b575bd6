-- name: by_key_hash
-- The key and the channel it opens.
SELECT k.id, k.requests_per_minute, c.id AS channel_id, c.code, c.name, c.currency
FROM storefront_keys k
JOIN channels c ON c.id = k.channel_id
WHERE k.key_hash = :key_hash AND k.is_active
