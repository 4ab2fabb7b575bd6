-- Channels, and the days that are theirs (decision 24).

-- name: local_day
SELECT (:moment::timestamptz AT TIME ZONE channel_time_zone(:channel_id))::date AS day;
