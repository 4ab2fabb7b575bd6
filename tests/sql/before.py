"""A store as it was before a migration."""

import pytest

from app.postgres.migrate import migrate, migrations


async def migrate_before(dsn: str, migration: str) -> None:
    """Brings an empty database to the schema that `migration` finds."""
    known = {name: text for name, text in migrations().items() if name < migration}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.postgres.migrate.migrations", lambda: known)
        await migrate(dsn)
