-- Refunds that were made here are not a record's to take away, whatever key they have.

-- step: tell refunds that were made here
ALTER TABLE refunds ADD COLUMN is_made_here boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN refunds.is_made_here IS 'recorded by a mutation: a record that does not list its key leaves it. Those without a key are, too';
