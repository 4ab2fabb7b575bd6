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
