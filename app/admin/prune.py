"""`prune`: takes away what is kept no longer, once; a service with `RETENTION_DAYS` does so by itself every hour."""

import argparse

import asyncpg

from app.admin.command import Answer, Commands, Options, Refused, add_task, note_alone
from app.postgres.retention import prune
from app.settings import KEPT_UNLESS_NAMED, LEAST_RETENTION_DAYS, MOST_RETENTION_DAYS, RETAINED


def add_commands(commands: Commands) -> None:
    help_ = "remove changes, idempotency keys, sessions and logins of long ago"
    add_task(commands, "prune", _prune, help_, is_noted=True).add_argument(
        "--days", type=_days, metavar="N", help="that are kept; RETENTION_DAYS and its kin where it is left out"
    )


async def _prune(connection: asyncpg.Connection, options: Options) -> Answer:
    """In batches that are committed one by one."""
    if options.days is None:
        days = options.settings().retention
        if not days:
            raise Refused("say by --days, or by RETENTION_DAYS, how many days are kept")
    else:
        days = {name: options.days for name in RETAINED if name not in KEPT_UNLESS_NAMED}
    gone = await prune(connection, days)
    await note_alone(connection, options, "prune", "database", days=days, removed=gone)
    return Answer([{"what": name, "days": days[name], "removed": gone[name]} for name in days])


def _days(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not LEAST_RETENTION_DAYS <= int(text[:12]) <= MOST_RETENTION_DAYS:
        raise argparse.ArgumentTypeError(f"must be a whole number from {LEAST_RETENTION_DAYS} to {MOST_RETENTION_DAYS}")
    return int(text)
