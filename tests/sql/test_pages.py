"""What 0021_pages.sql makes of addresses, and of news that was told by one before."""

import asyncio
import random
import re

import asyncpg

from app.postgres.migrate import migrate
from app.resolvers.tracking import code_of
from tests.app.postgres.test_locks import FILLED
from tests.app.resolvers.test_tracking import PAGES
from tests.conftest import ConnectionTo, Databases
from tests.sql.before import migrate_before

MIGRATION = "0021_pages.sql"
OF_TEMPLATES = (*("{code}", "{code}", "{country}", "{language}", "{postalCode}"), *"a-./xb%[]^\\$(+é")
OF_ADDRESSES = (*("%20", "%2F", "%ff", "%0a", "%3D", "%C3%A9", "\u2003"), *"Aa-./+xbß%[]^B&=é")


def some_page(chance: random.Random) -> tuple[str, str]:
    """A template, and an address that is often one of it."""

    def some(pieces: tuple[str, ...], most: int) -> str:
        return "".join(chance.choices(pieces, k=chance.randint(0, most)))

    query = "&".join(f"{chance.choice('pq')}={some(OF_TEMPLATES, 4)}" for _ in range(chance.randint(0, 2)))
    fragment = some(OF_TEMPLATES, 3) if chance.random() < 0.2 else ""
    template = f"/{some(OF_TEMPLATES, 5)}" + (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")
    given = re.sub(r"\{\w+\}", lambda _place: some(OF_ADDRESSES, 4), template)
    host = chance.choice(["https://t.example", "HTTP://www.T.example", " \u00a0https://t.example"])
    return f"https://t.example{template}", f"{host}{given}{chance.choice(['', ' ', '/', chr(0x200B)])}"


async def test_page_says_the_same_to_the_store_and_to_us(connection: asyncpg.Connection) -> None:
    chance = random.Random(21)
    pages = [(template, text) for template, text, _ in PAGES] + [some_page(chance) for _ in range(3000)]
    told = await connection.fetch(
        "SELECT coalesce(code_of_page(p.text, p.template), p.text) AS code"
        " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS p (template, text, place) ORDER BY p.place",
        *([page[n] for page in pages] for n in (0, 1)),
    )
    expected = [code_of(text, template) for template, text in pages]
    assert [(page, row["code"]) for page, row in zip(pages, told, strict=True)] == list(
        zip(pages, expected, strict=True)
    )
    assert sum(code != text for code, (_, text) in zip(expected, pages, strict=True)) > 200


async def test_migration_reads_the_news_that_waits(databases: Databases, connection_to: ConnectionTo) -> None:
    """Carrier 1 has a template; what has become the same as another goes on waiting as it was told."""
    dsn = await asyncio.to_thread(databases.create)
    store = await connection_to(dsn)
    await migrate_before(dsn, MIGRATION)
    await store.execute(FILLED)
    wait = """
        INSERT INTO waiting_reports (code, carrier_id, external_id, status, occurred_at)
        VALUES ($1, $2, $3, 'IN_TRANSIT', now())
    """
    told = [
        *(("https://a.example/2-1", None, "e-1"), ("https://a.example/early", None, "e-2"), ("EARLY", None, "e-2")),
        *(("https://a.example/other", 2, None), ("https://b.example/x", None, None)),
    ]
    await store.executemany(wait, told)
    await migrate(dsn)
    assert [row["code"] for row in await store.fetch("SELECT code FROM waiting_reports ORDER BY code")] == [
        *("EARLY", "https://a.example/early", "https://a.example/other", "https://b.example/x")
    ]
    assert await store.fetchval("SELECT count(*) FROM track_and_traces WHERE status = 'IN_TRANSIT'") == 1
