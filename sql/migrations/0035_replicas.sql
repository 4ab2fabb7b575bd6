-- Replicas: of which history a server is. Places in the log of two servers compare only where one goes on behind the other:
-- a standby that was further than the one that became the primary has rows that exist nowhere else. So the primary notes
-- each timeline that it writes, and a standby that shows the note has the same history up to it.

-- step: note timelines
CREATE TABLE timelines (
  system_identifier bigint NOT NULL,
  timeline          int NOT NULL,
  noted_at          timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT timelines_pk PRIMARY KEY (system_identifier, timeline)
);

-- step: tell where the log ends
-- A server names the byte that it writes next. Behind a page's header, as after a switch of files, the last record ended
-- before the header: there a standby is that has everything.
CREATE FUNCTION log_end() RETURNS bigint LANGUAGE sql AS $$
  SELECT next.byte - CASE
    WHEN next.byte % pg_size_bytes(current_setting('wal_segment_size')) = 40 THEN 40
    WHEN next.byte % current_setting('wal_block_size')::bigint = 24 THEN 24
    ELSE 0
  END
  FROM (SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS byte) next
$$;
