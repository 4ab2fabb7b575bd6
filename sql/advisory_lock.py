"""The advisory locks of the service, all of them: PostgreSQL knows them by numbers, of which none may be given twice.

The numbers are arbitrary and ours. Processes of different versions must agree on them, so they never change.
"""

from enum import IntEnum


class AdvisoryLock(IntEnum):
    """Each says what it guards, who holds it, and for how long."""

    # The schema, for the session of a process that migrates: several that start at once take turns
    # (app/postgres/migrate.py).
    MIGRATION = 0x57A1B111
    # The demo's fixed rows, for the transaction that looks for them and adds them (app/demo/fixtures.py).
    FIXTURES = 0x57A1B112
    # The demo's made-up orders, while a development server counts and generates them (app/demo/dev.py).
    GENERATED_ORDERS = 0x57A1B113
    # The rows that an import creates, for the transaction of one batch: two imports of the same file would both find
    # them missing (sql/ingest.sql).
    IMPORT = 0x57A2A113
    # The end of the feed of changes, for the transaction that gives positions to commits; a literal of
    # sql/migrations/0020_group_commit.sql, which nobody edits.
    FEED_POSITION = 0x57A2A114
    # Codes, carriers and the news that waits for them, from the end of the transaction that writes one of them until
    # its commit can be seen: shared by codes, alone for news and carriers. A literal of the same migration, and of
    # sql/migrations/0021_pages.sql.
    CODES_AND_NEWS = 0x57A2A116
    # The beginning of the feed, for the transaction that takes a batch of the oldest changes away; a literal of the
    # same migration.
    FEED_BEGINNING = 0x57A2A117
    # What an operator's doctor mends, for the transaction of each thing (app/admin/doctor.py).
    MENDING = 0x57A2A118
    # No lock but the seed of many: an owner, hashed with it, has one endpoint of webhooks made at a time, so that they
    # can be counted (sql/webhook_endpoint.sql).
    WEBHOOK_OWNER = 0x57A2A119
    # No lock but the seed of many: an actor and its idempotency key, hashed with it, are locked while the request is
    # answered (sql/write.sql).
    IDEMPOTENCY_KEY = 0x57A2A115
