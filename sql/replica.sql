-- Where servers are in the history that the primary writes: a timeline, which a promotion ends, and a place in its log (LSN).

-- Of the server that writes: up to `lsn` all is sent to standbys that this session has committed, and up to `begun` all is
-- that anybody has, of which some may wait for the next flush. A standby refuses to say.
-- name: primary
SELECT s.system_identifier, l.timeline,
  CASE current_setting('synchronous_commit')
    WHEN 'off' THEN log_end() ELSE (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint
  END AS lsn,
  log_end() AS begun,
  EXISTS (
    SELECT FROM timelines t WHERE t.system_identifier = s.system_identifier AND t.timeline = l.timeline
  ) AS is_noted
FROM pg_control_system() s
CROSS JOIN (SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline) l;

-- name: note
INSERT INTO timelines (system_identifier, timeline) VALUES (:system_identifier, :timeline)
ON CONFLICT DO NOTHING;

-- Of one that reads: `follows` tells that what it has is that primary's.
-- name: standby
SELECT pg_is_in_recovery() AS is_standby, pg_postmaster_start_time() AS started_at,
  (SELECT c.system_identifier FROM pg_control_system() c) AS system_identifier,
  current_setting('hot_standby_feedback') = 'on' AS has_feedback, (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint AS lsn,
  EXISTS (
    SELECT FROM timelines t WHERE t.system_identifier = :system_identifier AND t.timeline = :timeline
  ) AS follows;

-- No earlier than what was read on the same server before.
-- name: place
SELECT CASE
  WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint ELSE log_end()
END AS lsn;
