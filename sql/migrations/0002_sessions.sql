-- What customers' logins leave behind. One row is one token: revoking it ends that token and no other.

CREATE TABLE customer_sessions (
  id          bigint GENERATED ALWAYS AS IDENTITY,
  channel_id  int NOT NULL,
  customer_id int NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  expires_at  timestamptz NOT NULL,
  revoked_at  timestamptz,
  CONSTRAINT customer_sessions_pk PRIMARY KEY (id, channel_id),
  CONSTRAINT customer_sessions_customer_fk FOREIGN KEY (customer_id, channel_id) REFERENCES customers ON DELETE CASCADE,
  CONSTRAINT customer_sessions_lifetime CHECK (expires_at > created_at)
);
CREATE INDEX customer_sessions_customer ON customer_sessions (customer_id, channel_id);
CREATE INDEX customer_sessions_expiry ON customer_sessions (expires_at);

-- Unlogged would be lost in a crash, and lockouts must outlive one.
CREATE TABLE login_attempts (
  key_hash     bytea CONSTRAINT login_attempts_pk PRIMARY KEY CONSTRAINT login_attempts_key_sha256 CHECK (length(key_hash) = 32),
  attempted_at timestamptz[] NOT NULL,
  latest_at    timestamptz NOT NULL
);
COMMENT ON COLUMN login_attempts.key_hash IS 'HMAC of what attempts are counted for: an e-mail of a channel, or a client address';
COMMENT ON COLUMN login_attempts.attempted_at IS 'the counted attempts of the last minute, oldest first; as many as are allowed at most';
CREATE INDEX login_attempts_latest ON login_attempts (latest_at);
