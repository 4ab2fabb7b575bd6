-- What carriers tell about the codes that they have issued. News comes late, twice and out of order, so every event is
-- kept as it was told, and what a shipment's status is follows from when the events happened.
--
-- An event belongs to its code, wherever that code is moved; the code says which shipment and which order it is about.

CREATE TABLE tracking_events (
  id                 uuid NOT NULL DEFAULT gen_random_uuid(),
  track_and_trace_id uuid NOT NULL,
  channel_id         int NOT NULL,
  external_id        text CONSTRAINT tracking_events_external_id_length CHECK (length(external_id) BETWEEN 1 AND 255),
  status             text NOT NULL,
  status_rank        int NOT NULL GENERATED ALWAYS AS (array_position(ARRAY[
                       'CREATED', 'PROCESSING', 'IN_TRANSIT', 'OUT_FOR_DELIVERY', 'FAILED_DELIVERY', 'EXCEPTION',
                       'PARTIALLY_DELIVERED', 'CANCELED', 'DELIVERED'], status)) STORED,
  occurred_at        timestamptz NOT NULL,
  recorded_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  recorded_by        text NOT NULL DEFAULT coalesce(nullif(current_setting('waybill.actor', true), ''), 'system'),
  location           text CONSTRAINT tracking_events_location_length CHECK (length(location) <= 255),
  description        text CONSTRAINT tracking_events_description_length CHECK (length(description) <= 1000),
  is_accepted        boolean NOT NULL DEFAULT false,
  CONSTRAINT tracking_events_pk PRIMARY KEY (id, channel_id),
  CONSTRAINT tracking_events_external_id_unique UNIQUE (track_and_trace_id, external_id, channel_id),
  CONSTRAINT tracking_events_track_and_trace_fk FOREIGN KEY (track_and_trace_id, channel_id) REFERENCES track_and_traces ON DELETE CASCADE
);
COMMENT ON COLUMN tracking_events.external_id IS 'the carrier''s key of the event, by which it is known when it is told again';
COMMENT ON COLUMN tracking_events.status_rank IS 'of events at the same moment, which carriers tell to the minute, the one of the higher rank counts as the later';
COMMENT ON COLUMN tracking_events.recorded_by IS 'subject of the viewer who told it';
COMMENT ON COLUMN tracking_events.is_accepted IS 'whether the shipment has taken the status, or had it already';
CREATE INDEX tracking_events_newest ON tracking_events (track_and_trace_id, occurred_at DESC, status_rank DESC, id DESC);
