-- Contacts log in by e-mail and password. A session is what one login began: it gives access tokens until it ends, each time
-- for the one refresh token that is good at the moment. The token itself is kept nowhere, only its digest.

-- step: give contacts a password
ALTER TABLE contacts ADD COLUMN password_hash text;
COMMENT ON COLUMN contacts.password_hash IS 'argon2id; null of who cannot log in here';

-- step: contact_sessions
CREATE TABLE contact_sessions (
  id           uuid NOT NULL,
  channel_id   int NOT NULL,
  contact_id   int NOT NULL,
  refresh_hash bytea NOT NULL CONSTRAINT contact_sessions_refresh_sha256 CHECK (length(refresh_hash) = 32),
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL,
  revoked_at   timestamptz,
  CONSTRAINT contact_sessions_pk PRIMARY KEY (id, channel_id),
  CONSTRAINT contact_sessions_contact_fk FOREIGN KEY (contact_id, channel_id) REFERENCES contacts ON DELETE CASCADE,
  CONSTRAINT contact_sessions_lifetime CHECK (expires_at > created_at)
);
CREATE INDEX contact_sessions_contact ON contact_sessions (contact_id, channel_id);
CREATE INDEX contact_sessions_expiry ON contact_sessions (expires_at);
COMMENT ON COLUMN contact_sessions.refresh_hash IS 'SHA-256 of the refresh token that is good; those before it, and no others, end the session';

-- The service keeps in memory which sessions are good. It is told of those that end before their time: a login, the next refresh
-- token and what has expired by itself change nothing that is kept.
CREATE TRIGGER contact_sessions_end AFTER UPDATE OF revoked_at, expires_at ON contact_sessions
  FOR EACH ROW WHEN (NEW.revoked_at IS DISTINCT FROM OLD.revoked_at OR NEW.expires_at < OLD.expires_at)
  EXECUTE FUNCTION tell_change();
CREATE TRIGGER contact_sessions_go AFTER DELETE ON contact_sessions
  FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now()) EXECUTE FUNCTION tell_change();
CREATE TRIGGER contact_sessions_go_all AFTER TRUNCATE ON contact_sessions EXECUTE FUNCTION tell_change();

-- step: end the sessions of a contact with its password
CREATE FUNCTION end_contact_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE contact_sessions s SET revoked_at = now()
  WHERE s.contact_id = NEW.id AND s.channel_id = NEW.channel_id AND s.revoked_at IS NULL;
  RETURN NULL;
END
$$;
CREATE TRIGGER contacts_end_sessions AFTER UPDATE OF password_hash, is_active ON contacts
  FOR EACH ROW WHEN (NEW.password_hash IS DISTINCT FROM OLD.password_hash OR NOT NEW.is_active)
  EXECUTE FUNCTION end_contact_sessions();
