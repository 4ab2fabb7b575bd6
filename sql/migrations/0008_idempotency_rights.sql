-- An answer is replayed only to who may still see what it shows.

-- step: shown
-- locks: idempotency_keys ACCESS EXCLUSIVE
ALTER TABLE idempotency_keys
  ADD COLUMN scopes text[] NOT NULL DEFAULT '{orders:read,shipments:read}',
  ADD COLUMN order_ids int[],
  ADD COLUMN channel_ids int[];
COMMENT ON COLUMN idempotency_keys.scopes IS 'that opened fields of the answer; all that can where nobody noted them';
COMMENT ON COLUMN idempotency_keys.order_ids IS 'whose rows the answer shows; null where nobody noted them';
COMMENT ON COLUMN idempotency_keys.channel_ids IS 'of these orders, one by one; of an answer without orders, those that the caller could see';
