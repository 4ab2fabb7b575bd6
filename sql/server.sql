-- What there is to know of the server itself.

-- name: readiness
SELECT array(SELECT name FROM schema_migrations) AS migrations,
  current_setting('transaction_read_only') = 'off' AS is_writable;

-- What has become of a transaction: committed, aborted or in progress; null where it is too old to tell.
-- name: outcome
SELECT pg_xact_status(:transaction_id::text::xid8) AS outcome;
