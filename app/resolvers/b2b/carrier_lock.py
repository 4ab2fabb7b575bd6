"""Carriers that a mutation is about to refer to."""

from collections.abc import Mapping

import sql
from app.context import Context
from app.errors import ValidationError

SQL = sql.load("carrier")


async def require_carriers(context: Context, channel_id: int, ids: Mapping[str, int | None]) -> None:
    """`ids` by the paths of the arguments that hold them, for codes of the channel.

    Raises `ValidationError` for what is no carrier's (B-50), or that of another channel.
    """
    wanted = list(set(ids.values()) - {None})
    rows = await context.fetch(SQL.share, ids=wanted, channel_id=channel_id) if wanted else []
    unknown = set(wanted) - {row["id"] for row in rows}
    for path, carrier_id in ids.items():
        if carrier_id in unknown:
            raise ValidationError(path, "must be the id of a carrier")
