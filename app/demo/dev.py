"""The development server: all that a newcomer needs from one command, again and again, also after a killed run."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from app.demo import embedded
from app.settings import Settings, secret
from sql.advisory_lock import AdvisoryLock

GENERATED_ORDERS = 2_000
GENERATOR_SEED = 1

# Who the demo's tokens speak for: the fixtures' partner key and their contact, by id. Staff are no rows.
SUBJECTS = {"staff": "staff:1", "partner": "partner:1", "contact": "contact:4"}

# A server of one's own calls receivers on the same machine.
_OF_ONES_OWN = {"DEVELOPMENT": "1", "IDE": "1", "DELIVER": "1", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128"}

QUERY = (
    "{ shipments(input: {offset: 3}) { itemsFound items "
    "{ id status expectedDeliveryAt trackAndTraces { code trackingUrl carrier { name } } } } }"
)


MUTATION = "mutation { shipmentCreate(input: {orderId: 2075, items: []}) { id } }"


def data_dir(environ: Mapping[str, str]) -> Path:
    """In a checkout beside the sources, or else where programs keep their users' data."""
    checkout = Path(__file__).parents[2]
    if (checkout / "Makefile").exists():
        folder = checkout / ".data"
    else:
        folder = Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "waybill"
    return Path(environ.get("DATA_DIR") or folder).absolute()


@contextmanager
def database(environ: Mapping[str, str], *, join: bool = True) -> Iterator[str]:
    """The DSN to work on: DATABASE_URL, else the embedded server's, started for the time of the `with` block.

    `join` takes the server of a `dev` that is running; without it that is an EmbeddedError.
    """
    folder = data_dir(environ)
    if dsn := secret(environ, "DATABASE_URL")[0] or (join and embedded.running(folder)):
        yield dsn
        return
    with embedded.start(folder) as server:
        yield server.dsn


def settings(environ: Mapping[str, str], dsn: str = "postgresql://") -> Settings:
    """As the environment says; what it does not say is fit for a machine of one's own. Raises `SettingsError`.

    Without `dsn` they are for what needs no database.
    """
    return Settings.from_env(environment(environ, dsn))


def environment(environ: Mapping[str, str], dsn: str) -> dict[str, str]:
    """What `settings` reads."""
    given = {key: value for key, value in environ.items() if value and key != "DATABASE_URL_FILE"}
    if not secret(environ, "TOKEN_SECRET")[0]:
        given["TOKEN_SECRET"] = embedded.secret(data_dir(environ) / "token.secret")
    return {**_OF_ONES_OWN, "PUBLIC_URL": _site(given), **given, "DATABASE_URL": dsn}


def _site(given: Mapping[str, str]) -> str:
    """Where a browser on this machine finds the server."""
    told = given.get("HOST", Settings.host)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(told, told).lower()  # noqa: S104 - shown, not bound
    port = given.get("PORT", str(Settings.port))
    return f"http://{f'[{host}]' if ':' in host else host}{'' if port == '80' else f':{port}'}"


async def prepare(settings: Settings) -> None:
    """Migrates and, for development, loads the demo once. A killed run is simply repeated.

    Raises MigrationError, asyncpg.PostgresError or OSError.
    """
    from app.demo import fixtures
    from app.postgres.migrate import migrate

    dsn = settings.database_url
    for name in await migrate(dsn):
        print(f"applied {name}")
    if settings.development:
        if await fixtures.load(dsn):
            print("loaded the fixtures")
        await _generate_once(dsn)


async def _generate_once(dsn: str) -> None:
    """Adds the made-up orders to a database that has fewer; their number is one transaction, so all or none are there.

    The people and companies are another: where a killed run left only those, their names are taken, and the next seed
    finds new ones.
    """
    import asyncpg

    from app.demo.generate import generate

    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", AdvisoryLock.GENERATED_ORDERS)
        if await connection.fetchval("SELECT EXISTS (SELECT FROM orders OFFSET $1::int - 1)", GENERATED_ORDERS):
            return
        for seed in range(GENERATOR_SEED, GENERATOR_SEED + 10):
            with suppress(asyncpg.UniqueViolationError):
                await generate(dsn, orders=GENERATED_ORDERS, seed=seed)
                print(f"generated {GENERATED_ORDERS:,} orders")
                return
    finally:
        await connection.close()


def token(settings: Settings, viewer: str) -> str:
    """A token of `SUBJECTS` for eight hours: staff may do everything, the others what their rows say."""
    from app.auth.token import Tokens
    from app.auth.viewer import PERMISSIONS

    tokens = Tokens(settings)
    if viewer == "staff":
        return tokens.issue(SUBJECTS[viewer], scope=" ".join(PERMISSIONS))
    return tokens.issue(SUBJECTS[viewer])


async def customer_token(settings: Settings) -> str:
    """A token of the demo's first customer, for seven days, as if he had logged in."""
    from app.auth.login import Logins
    from app.auth.password import Passwords
    from app.auth.token import Tokens
    from app.demo import fixtures
    from app.postgres.database import Database
    from sql import Visibility, load

    db, passwords = await Database.connect(settings), Passwords()
    try:
        channel_id = fixtures.CUSTOMER_CHANNEL_ID
        [customer] = await db.fetch(
            load("customer_session").customer_by_email,
            Visibility.everything(),
            channel_id=channel_id,
            email=fixtures.CUSTOMER_EMAIL,
        )
        return (await Logins(db, Tokens(settings), passwords, settings).start(channel_id, customer)).token
    finally:
        passwords.close()
        await db.close()


def welcome(settings: Settings, customer: str) -> str:
    """What a newcomer reads: where it is, who to be, what to paste. `customer` is the customer's token."""
    from app.auth.linked_order import LinkedOrder, LinkSigner
    from app.auth.token import Tokens
    from app.demo.fixtures import (
        CONTACT_EMAIL,
        CONTACT_PASSWORD,
        CUSTOMER_EMAIL,
        CUSTOMER_PASSWORD,
        PARTNER_KEY,
        STOREFRONT_KEY,
    )

    site = _site({"HOST": settings.host, "PORT": str(settings.port)})
    link = LinkSigner(Tokens(settings), settings).token(LinkedOrder(1, 2075, 1))
    url = f"{site}/graphql"
    tokens = {viewer: token(settings, viewer) for viewer in SUBJECTS}
    return "\n".join(
        [
            "",
            f"look        {site}/ · GraphiQL {url} · documentation {site}/docs",
            f"GraphQL     {url}",
            f"storefront  {site}/api/graphql and {site}/api/shop with X-STOREFRONT-KEY: {STOREFRONT_KEY}",
            "",
            f"order page  {site}/track/{link}",
            f"            {site}/shops/default/track, {site}/account/default",
            f"            ({CUSTOMER_EMAIL}, {CUSTOMER_PASSWORD})",
            f"portal      {site}/portal ({CONTACT_EMAIL}, {CONTACT_PASSWORD}, or a token from below)",
            "",
            *(f"{viewer:11} {text}\n" for viewer, text in {**tokens, "customer": customer}.items()),
            f"curl --silent {url} \\",
            f"  --header 'authorization: Bearer {tokens['staff']}' \\",
            "  --header 'content-type: application/json' \\",
            f'  --data \'{{"query": "{QUERY}"}}\'',
            "",
            f"webhooks    {os.path.relpath(sys.executable)} -m app webhooks listen",
            "            in another terminal, prints what endpoints are told; then write something:",
            "",
            f"curl --silent {url} --header 'apikey: {PARTNER_KEY}' --header 'content-type: application/json' \\",
            f'  --data \'{{"query": "{MUTATION}"}}\'',
            "",
        ]
    )
