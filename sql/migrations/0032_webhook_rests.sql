-- Webhooks: what a receiver asked for by Retry-After is told from the pause of one that is away, and an endpoint that is moved
-- back is told again what comes after its new place, once.

-- step: keep until when a receiver asked to be left alone
ALTER TABLE webhook_endpoints ADD COLUMN asked_until timestamptz;
COMMENT ON COLUMN webhook_endpoints.asked_until IS 'until when the receiver asked to be left alone; paused_until, where that is later, is for one that is away';
COMMENT ON COLUMN webhook_endpoints.failures IS 'since the last success: attempts that reached nobody, and orders that failed for the first time; ten are a receiver that is away';

-- step: keep before which deliveries an endpoint was moved
ALTER TABLE webhook_endpoints ADD COLUMN moved_below bigint;
COMMENT ON COLUMN webhook_endpoints.moved_below IS 'deliveries with a lower place are of before the endpoint was last moved in the feed, and are told again; null if it never was';
