-- What the runner of migrations asks and notes: which are done, which steps of one that is under way, who else is at it.

-- What may bound the statements of this role must not end a migration; each step bounds its waits for locks itself.
-- name: prepare_session
SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false),
  set_config('idle_in_transaction_session_timeout', '0', false);

-- Asked again and again, never waited for: a statement that waits here would hold a snapshot, and CREATE INDEX
-- CONCURRENTLY of the one who holds the lock would wait for that snapshot.
-- name: try_lock
SELECT pg_try_advisory_lock(:lock::bigint) AS is_locked;

-- name: ledger
CREATE TABLE IF NOT EXISTS schema_migrations (
  name       text CONSTRAINT schema_migrations_pk PRIMARY KEY,
  checksum   text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);

-- Steps of migrations that are not done as a whole; those of one that is are taken away.
-- name: step_ledger
CREATE TABLE IF NOT EXISTS schema_migration_steps (
  migration  text NOT NULL,
  step       text NOT NULL,
  checksum   text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT schema_migration_steps_pk PRIMARY KEY (migration, step)
);

-- name: has_table
SELECT to_regclass(:table::text) IS NOT NULL AS is_there;

-- name: applied
SELECT name, checksum FROM schema_migrations;

-- name: done_steps
SELECT migration, step, checksum FROM schema_migration_steps;

-- name: note_step
INSERT INTO schema_migration_steps (migration, step, checksum) VALUES (:migration, :step, :checksum);

-- name: note_migration
INSERT INTO schema_migrations (name, checksum) VALUES (:name, :checksum);

-- name: forget_steps
DELETE FROM schema_migration_steps WHERE migration = :migration;

-- Too few rows for autovacuum ever to count them. Without statistics each statement that asks what may follow a status
-- makes room for 400,000 ways, which takes more than all the rest of it.
-- name: measure_lifecycle
ANALYZE shipment_status_successors;

-- name: bound_waits
SELECT set_config('lock_timeout', :milliseconds, true);

-- An index that was being built when its run was interrupted is there, costs its writers, and serves nobody.
-- name: is_index_valid
SELECT i.indisvalid AS is_valid FROM pg_index i WHERE i.indexrelid = to_regclass(:index::text);

-- name: tables
SELECT c.relname AS name FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm');

-- Who may hold what a step waits for: the transactions of this database that have been open longest.
-- name: oldest_transactions
SELECT a.pid, a.application_name, extract(epoch FROM clock_timestamp() - a.xact_start)::int AS seconds
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL
ORDER BY a.xact_start
LIMIT 3;
