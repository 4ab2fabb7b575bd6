"""Carriers that a mutation is about to refer to."""

from collections.abc import Iterable, Mapping
from typing import Any

import sql
from app.context import Context
from app.errors import ValidationError

SQL = sql.load("carrier")


async def require_carriers(context: Context, channel_id: int, ids: Mapping[str, int | None]) -> dict[int | None, Any]:
    """Rows of carriers by their ids, for codes of a channel. `ids` are by the paths of the arguments that hold them.

    Raises `ValidationError` for what is no carrier's (B-50), or that of another channel.
    """
    wanted = list(set(ids.values()) - {None})
    rows = await context.fetch(SQL.share, ids=wanted, channel_id=channel_id) if wanted else []
    return carriers_of(rows, ids)


def carriers_of(rows: Iterable[Any], ids: Mapping[str, int | None]) -> dict[int | None, Any]:
    """The same of `rows` that were found for `ids` already."""
    carriers: dict[int | None, Any] = {row["id"]: row for row in rows}
    for path, carrier_id in ids.items():
        if carrier_id is not None and carrier_id not in carriers:
            raise ValidationError(path, "must be the id of a carrier")
    return carriers
