-- What operators set of channels, for their commands.

-- fragment: channel
SELECT h.id, h.code, h.name, h.currency, h.language, h.time_zone, h.shipped_status, h.delivered_status, h.created_at
FROM channels h

-- name: newest
{channel}
ORDER BY h.id

-- name: by_codes
{channel}
WHERE h.code = ANY(:codes)

-- name: rates
SELECT r.currency, r.rate FROM channel_rates r WHERE r.channel_id = :channel_id ORDER BY r.currency

-- name: counts
SELECT
  (SELECT count(*) FROM storefront_keys k WHERE k.channel_id = :channel_id AND k.is_active) AS storefront_keys,
  (SELECT count(*) FROM api_key_channels g JOIN api_keys k ON k.id = g.api_key_id
    WHERE g.channel_id = :channel_id AND k.revoked_at IS NULL) AS api_keys,
  (SELECT coalesce(sum(t.n), 0)::bigint FROM order_tallies t WHERE t.channel_id = :channel_id AND t.company_id = 0) AS orders,
  (SELECT coalesce(sum(t.n), 0)::bigint FROM shipment_tallies t WHERE t.channel_id = :channel_id AND t.company_id = 0) AS shipments

-- name: add
INSERT INTO channels (code, name, currency, language, time_zone)
VALUES (:code, :name, :currency, :language, :time_zone)
RETURNING id

-- name: set_time_zone
UPDATE channels SET time_zone = :time_zone WHERE id = :id

-- name: set_rate
INSERT INTO channel_rates (channel_id, currency, rate)
VALUES (:channel_id, :currency, :rate)
ON CONFLICT (channel_id, currency) DO UPDATE SET rate = EXCLUDED.rate

-- name: drop_rate
DELETE FROM channel_rates WHERE channel_id = :channel_id AND currency = :currency RETURNING currency
