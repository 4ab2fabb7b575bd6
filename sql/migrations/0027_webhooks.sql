-- Webhooks: an endpoint is a cursor over the feed of changes. Whoever writes knows nothing of it: what an endpoint is told is
-- read from the feed behind its place, as its owner sees it, and stored together with the next place.

-- step: keep the endpoints
CREATE TABLE webhook_endpoints (
  id                    uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT webhook_endpoints_pk PRIMARY KEY,
  owner                 text NOT NULL,
  api_key_id            int CONSTRAINT webhook_endpoints_api_key_fk REFERENCES api_keys ON DELETE CASCADE,
  url                   text NOT NULL CONSTRAINT webhook_endpoints_url_length CHECK (length(url) <= 2048),
  description           text CONSTRAINT webhook_endpoints_description_length CHECK (length(description) <= 255),
  types                 text[] NOT NULL,
  channel_ids           int[],
  company_ids           int[],
  shipment_statuses     text[],
  order_statuses        text[],
  header_names          text[] NOT NULL DEFAULT '{}',
  header_values         text[] NOT NULL DEFAULT '{}',
  document              text CONSTRAINT webhook_endpoints_document_length CHECK (length(document) <= 100000),
  envelope              text NOT NULL DEFAULT 'STANDARD'
                        CONSTRAINT webhook_endpoints_envelope_known CHECK (envelope IN ('STANDARD', 'CLOUD_EVENTS')),
  signature             text NOT NULL DEFAULT 'V1'
                        CONSTRAINT webhook_endpoints_signature_known CHECK (signature IN ('V1', 'V1A')),
  secret                bytea NOT NULL,
  previous_secret       bytea,
  previous_secret_until timestamptz,
  concurrency           int NOT NULL DEFAULT 10 CONSTRAINT webhook_endpoints_concurrency_bounds CHECK (concurrency BETWEEN 1 AND 100),
  rate                  int CONSTRAINT webhook_endpoints_rate_bounds CHECK (rate BETWEEN 1 AND 1000),
  disabled_at           timestamptz,
  disabled_reason       text CONSTRAINT webhook_endpoints_reason_known
                        CHECK (disabled_reason IN ('BY_OWNER', 'GONE', 'FAILING', 'OWNER_ENDED', 'DOCUMENT_INVALID')),
  position              bigint NOT NULL,
  number                bigint NOT NULL,
  held                  bigint[] NOT NULL DEFAULT '{}',
  late_until            timestamptz NOT NULL DEFAULT now(),
  lost_at               timestamptz,
  replay_position       bigint,
  replay_number         bigint,
  replay_end            bigint,
  replay_from           timestamptz,
  replay_until          timestamptz,
  failures              int NOT NULL DEFAULT 0,
  failing_since         timestamptz,
  paused_until          timestamptz,
  delivered_at          timestamptz,
  deliverer             uuid,
  revision              bigint NOT NULL DEFAULT 1,
  created_at            timestamptz NOT NULL DEFAULT now(),
  last_modified_at      timestamptz NOT NULL DEFAULT now(),
  version               int NOT NULL DEFAULT 1,
  CONSTRAINT webhook_endpoints_headers_in_pairs CHECK (cardinality(header_names) = cardinality(header_values)),
  CONSTRAINT webhook_endpoints_reason_if_disabled CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
) WITH (fillfactor = 50);
COMMENT ON TABLE webhook_endpoints IS 'who is called, and how far in the feed of changes they have been told';
COMMENT ON COLUMN webhook_endpoints.owner IS 'subject of the viewer whose sight decides what is told: partner:<id of the API key> or staff:<id>';
COMMENT ON COLUMN webhook_endpoints.api_key_id IS 'the key of a partner, with which the endpoint goes; null of staff';
COMMENT ON COLUMN webhook_endpoints.secret IS 'what is signed with, as it is: whoever reads it can sign';
COMMENT ON COLUMN webhook_endpoints.position IS 'with number: the place of the last change that was read for it';
COMMENT ON COLUMN webhook_endpoints.held IS 'transactions behind the place that are known already';
COMMENT ON COLUMN webhook_endpoints.late_until IS 'up to when shipments have been looked for that became late';
COMMENT ON COLUMN webhook_endpoints.lost_at IS 'when changes were found to be kept no more that it had not been told';
COMMENT ON COLUMN webhook_endpoints.replay_position IS 'as position, of a replay that is under way up to replay_end; null without one';
COMMENT ON COLUMN webhook_endpoints.failures IS 'attempts that failed since the last one that did not';
COMMENT ON COLUMN webhook_endpoints.deliverer IS 'the process that serves it, as long as that one is alive';
COMMENT ON COLUMN webhook_endpoints.revision IS 'counts what the process that serves it has to read anew';
CREATE INDEX webhook_endpoints_owner ON webhook_endpoints (owner, id);
CREATE INDEX webhook_endpoints_api_key ON webhook_endpoints (api_key_id);

-- step: keep the processes that deliver
CREATE TABLE webhook_deliverers (
  id          uuid NOT NULL CONSTRAINT webhook_deliverers_pk PRIMARY KEY,
  alive_until timestamptz NOT NULL
);
COMMENT ON TABLE webhook_deliverers IS 'the processes that deliver: what one of them serves is anybody''s after alive_until';

-- step: keep what is delivered
CREATE SEQUENCE webhook_places AS bigint;
CREATE TABLE webhook_deliveries (
  id              uuid NOT NULL CONSTRAINT webhook_deliveries_pk PRIMARY KEY,
  endpoint_id     uuid NOT NULL CONSTRAINT webhook_deliveries_endpoint_fk REFERENCES webhook_endpoints ON DELETE CASCADE,
  place           bigint NOT NULL DEFAULT nextval('webhook_places'),
  lane            text NOT NULL,
  type            text NOT NULL,
  event           jsonb NOT NULL,
  order_id        int,
  shipment_id     uuid,
  state           text NOT NULL DEFAULT 'WAITING' CONSTRAINT webhook_deliveries_state_known
                  CHECK (state IN ('WAITING', 'DELIVERED', 'FAILED', 'WITHHELD')),
  attempts        int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL,
  media_type      text,
  body            bytea,
  created_at      timestamptz NOT NULL DEFAULT now(),
  tried_at        timestamptz,
  ended_at        timestamptz
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE webhook_deliveries IS 'one for an endpoint and an event; what has ended is kept for the log';
COMMENT ON COLUMN webhook_deliveries.id IS 'made of the endpoint and the event: the same event is never two';
COMMENT ON COLUMN webhook_deliveries.place IS 'of those of a lane the lower one is delivered first';
COMMENT ON COLUMN webhook_deliveries.lane IS 'what has an order of its own: that of an order waits for its own alone';
COMMENT ON COLUMN webhook_deliveries.body IS 'what is sent, frozen before the first attempt; null before';
COMMENT ON COLUMN webhook_deliveries.tried_at IS 'when the first attempt since the last time that it was made to wait was made';
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (endpoint_id, place) WHERE state = 'WAITING';
CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (endpoint_id, place);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at);

-- step: keep every attempt
CREATE TABLE webhook_attempts (
  id           bigint NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT webhook_attempts_pk PRIMARY KEY,
  delivery_id  uuid NOT NULL CONSTRAINT webhook_attempts_delivery_fk REFERENCES webhook_deliveries ON DELETE CASCADE,
  started_at   timestamptz NOT NULL,
  milliseconds int NOT NULL,
  status       int,
  error        text,
  headers      jsonb NOT NULL,
  answer       bytea
);
COMMENT ON TABLE webhook_attempts IS 'the log: each request that was made, or could not be';
COMMENT ON COLUMN webhook_attempts.status IS 'of the answer; null where none came, and error says why';
COMMENT ON COLUMN webhook_attempts.headers IS 'of the request, without what is secret';
COMMENT ON COLUMN webhook_attempts.answer IS 'the beginning of its body';
CREATE INDEX webhook_attempts_of_delivery ON webhook_attempts (delivery_id, id);
CREATE INDEX webhook_attempts_age ON webhook_attempts (started_at);
