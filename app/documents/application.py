"""Applications and their callers, as commands and the API change them, each within a transaction."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

import asyncpg

from app.auth.viewer import Kind
from app.documents.policy import ANONYMOUS
from app.documents.upload import LONGEST_VERSION, MOST_APPLICATIONS, MOST_CALLERS
from sql import load

SQL = load("trusted_document")

KINDS = (*(kind.value for kind in Kind), ANONYMOUS)

_LONGEST_NAME = 64
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_VERSION = re.compile(rf"[!-~]{{1,{LONGEST_VERSION}}}")
_KEY = re.compile(r"(api_key|storefront_key):[1-9][0-9]{0,9}")

Fetch = Callable[..., Awaitable[list[asyncpg.Record]]]


def is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


def callers_of(names: Iterable[str]) -> list[str]:
    """The same, each once. Raises ValueError for what is no caller."""
    found = list(dict.fromkeys(names))
    for name in found:
        if name not in KINDS and not _KEY.fullmatch(name):
            raise ValueError(f"must be api_key:ID, storefront_key:ID or one of {', '.join(KINDS)}")
    return found


async def add_application(fetch: Fetch, name: str, callers: Sequence[str]) -> int:
    """Its id. Raises ValueError for a name that is taken, too many, and callers that are none."""
    if await fetch(SQL.lock_application, name=name):
        raise ValueError(f"there is an application {name!r} already")
    [row] = await fetch(SQL.count_applications)
    if row["number"] >= MOST_APPLICATIONS:
        raise ValueError(f"there are {MOST_APPLICATIONS:,} applications, and no more may be")
    await refuse_unknown(fetch, callers)
    [added] = await fetch(SQL.add_application, name=name)
    await fetch(SQL.add_callers, application_id=added["id"], callers=callers_of(callers))
    application_id: int = added["id"]
    return application_id


async def lock(fetch: Fetch, name: str) -> asyncpg.Record | None:
    """The row of an application, with its `callers`, which nobody else changes meanwhile."""
    rows = await fetch(SQL.lock_application, name=name)
    return rows[0] if rows else None


async def set_callers(fetch: Fetch, application: asyncpg.Record, added: Sequence[str], removed: Sequence[str]) -> None:
    """`application` is a row of `lock`. Raises ValueError for callers that there are not, and too many."""
    await refuse_unknown(fetch, added)
    if len(application["callers"]) + len(added) > MOST_CALLERS:
        raise ValueError(f"an application has at most {MOST_CALLERS:,} callers")
    gone = await fetch(SQL.remove_callers, application_id=application["id"], callers=list(removed))
    if missing := set(removed) - {row["caller"] for row in gone}:
        raise ValueError(f"{', '.join(sorted(missing))} does not call by this application")
    await fetch(SQL.add_callers, application_id=application["id"], callers=callers_of(added))


async def refuse_unknown(fetch: Fetch, callers: Sequence[str]) -> None:
    """Raises ValueError for keys that there are not."""
    keys = [caller for caller in callers if caller not in KINDS]
    known = {row["caller"] for row in await fetch(SQL.known_keys, callers=keys)} if keys else set()
    if missing := set(keys) - known:
        raise ValueError(f"there is no {', '.join(sorted(missing))}")


async def retire(
    fetch: Fetch,
    application_id: int,
    *,
    ids: Sequence[str] | None,
    version: str | None,
    unused_since: datetime | None,
) -> list[asyncpg.Record]:
    """What was found by all that is given; of a version that others have as well, `retired_at` is None."""
    return await fetch(
        SQL.retire,
        application_id=application_id,
        document_ids=None if ids is None else list(ids),
        version=version,
        unused_since=unused_since,
    )
