-- Attempts to log in are counted for an e-mail and the client's address together, and more slowly for the e-mail alone. The
-- slow count must not lock out a customer at an address where they have logged in lately, so these are remembered.

-- step: login_addresses
CREATE TABLE login_addresses (
  key_hash     bytea CONSTRAINT login_addresses_pk PRIMARY KEY CONSTRAINT login_addresses_key_sha256 CHECK (length(key_hash) = 32),
  account_hash bytea NOT NULL CONSTRAINT login_addresses_account_sha256 CHECK (length(account_hash) = 32),
  good_at      timestamptz NOT NULL
);
COMMENT ON TABLE login_addresses IS 'from where customers have logged in: twenty addresses of each, for thirty days';
COMMENT ON COLUMN login_addresses.key_hash IS 'HMAC of an e-mail of a channel together with a client address';
COMMENT ON COLUMN login_addresses.account_hash IS 'HMAC of the e-mail alone';
COMMENT ON COLUMN login_addresses.good_at IS 'when the last login from there was good';
CREATE INDEX login_addresses_account ON login_addresses (account_hash, good_at);
CREATE INDEX login_addresses_good ON login_addresses (good_at);

COMMENT ON COLUMN login_attempts.key_hash IS 'HMAC of what attempts are counted for, and of the name of the count';
COMMENT ON COLUMN login_attempts.attempted_at IS 'the counted attempts of the last minute or hour, oldest first; as many as are allowed at most';
