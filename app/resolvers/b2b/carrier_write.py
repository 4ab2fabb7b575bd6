"""Writing carriers on the B2B surface (B-55).

A carrier's link is followed by the customers of everybody who uses it. So those of a channel are written by whoever
sees all of the channel, and those of all channels by staff.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ariadne import MutationType

import sql
from app.auth.viewer import Kind, Viewer
from app.context import Context, Info
from app.errors import CarrierNotFound, Forbidden, ValidationError
from app.resolvers.b2b.argument import as_text, refuse_nulls, refuse_repeated, require_version
from app.resolvers.tracking import template_fault
from app.rules import as_key, key_fault, url_fault
from loaders.carrier import carrier_by_id, descriptions_by_carrier
from sql import Reach

SQL = sql.load("carrier")

mutation = MutationType()

_TABLES = frozenset(carrier_by_id.tables + descriptions_by_carrier.tables)
_COLUMNS = ("channel_id", "key", "name", "type", "track_and_trace_url", "logo", "shipping_cost", "time_zone")
_TEXTS = {"name": "name", "trackAndTraceURL": "track_and_trace_url", "logo": "logo"}
_LARGEST_COST = 9_999_999_999
_LANGUAGE = re.compile(r"[A-Z]{2}")
_NO_CHANNEL = "must be the id of a channel"


@mutation.field("carrierCreate")
async def resolve_carrier_create(_root: None, info: Info, input: dict[str, Any]) -> Any:
    """Raises `Forbidden`, `CarrierAlreadyExists` or `ValidationError`."""
    context = info.context
    await _begin(context, "carriers:write")
    given = {field: value for field, value in input.items() if value is not None}
    blank = {"key": None, "track_and_trace_url": None, "logo": None, "shipping_cost": None, "time_zone": None}
    [row] = await context.fetch(
        SQL.create,
        channel_id=_channel(context.viewer, given.get("channelId")),
        **{**blank, **_columns(given)},
        **_descriptions(given["descriptions"]),
        user_id=_user_id(context.viewer),
    )
    return row


@mutation.field("carrierUpdate")
async def resolve_carrier_update(
    _root: None, info: Info, id: int, input: dict[str, Any], ifVersion: int | None = None
) -> Any:
    """Raises `CarrierNotFound`, `Forbidden`, `CarrierAlreadyExists`, `ValidationError` or `VersionConflict`."""
    context = info.context
    await _begin(context, "carriers:update")
    present = await _lock(context, id)
    require_version(present, ifVersion)
    refuse_nulls(input, "key", "name", "type", "descriptions", "warehouseIds")
    # What stays as it is may have been written under other rules.
    is_same = {field for field in _TEXTS if field in input and input[field] == present[_TEXTS[field]]}
    values = _columns({field: value for field, value in input.items() if field not in is_same})
    if "channelId" in input and input["channelId"] != present["channel_id"]:
        values["channel_id"] = _other_channel(context.viewer, input["channelId"])
    if "descriptions" in input:
        await context.fetch(SQL.set_descriptions, id=id, **_descriptions(input["descriptions"]))
    elif all(present[column] == value for column, value in values.items()):
        [row] = await context.fetch(SQL.by_ids, ids=[id])
        return row
    columns = {column: present[column] for column in _COLUMNS}
    [row] = await context.fetch(SQL.update, id=id, user_id=_user_id(context.viewer), **{**columns, **values})
    return row


@mutation.field("carrierDelete")
async def resolve_carrier_delete(_root: None, info: Info, id: int, ifVersion: int | None = None) -> bool:
    """Raises `CarrierNotFound`, `Forbidden`, `CarrierInUse` or `VersionConflict`."""
    await _begin(info.context, "carriers:write")
    require_version(await _lock(info.context, id), ifVersion)
    await info.context.fetch(SQL.delete, id=id)
    return True


async def _begin(context: Context, permission: str) -> None:
    """Raises `Forbidden`, and what `Context.write` raises: an answer that is kept is for who may still write it."""
    viewer = context.require(permission)
    if viewer.visibility.reach not in (Reach.EVERYTHING, Reach.CHANNELS):
        raise Forbidden("Carriers are not written with a key of some companies: others' customers follow their links.")
    await context.write(permission, _TABLES)


async def _lock(context: Context, id: int) -> Any:
    """The row of a carrier that the viewer may write. Raises `CarrierNotFound` or `Forbidden`."""
    rows = await context.fetch(SQL.lock, id=id)
    if not rows:
        raise CarrierNotFound(id, "id")
    if context.viewer.kind is not Kind.STAFF and rows[0]["channel_id"] is None:
        raise Forbidden("The carrier is one of all channels, which staff write: its link is followed in all of them.")
    return rows[0]


def _channel(viewer: Viewer, channel_id: int | None) -> int | None:
    """The channel of a new carrier; None for all of them. Raises `ValidationError`.

    The contract's clients know nothing of channels (B-55), so a partner of several gives it to its first.
    """
    if channel_id is not None:
        return _own_channel(viewer, channel_id)
    if viewer.kind is Kind.STAFF:
        return None
    if not viewer.visibility.channel_ids:
        raise ValidationError("input.channelId", _NO_CHANNEL)
    return min(viewer.visibility.channel_ids)


def _other_channel(viewer: Viewer, channel_id: int | None) -> int | None:
    """The channel that a carrier is to go to. Raises `Forbidden` or `ValidationError`."""
    if channel_id is not None:
        return _own_channel(viewer, channel_id)
    if viewer.kind is not Kind.STAFF:
        raise Forbidden("Staff alone give a carrier to all channels.")
    return None


def _own_channel(viewer: Viewer, channel_id: int) -> int:
    """Raises `ValidationError` where the viewer does not see it; what staff name, the database looks for."""
    if viewer.kind is not Kind.STAFF and channel_id not in viewer.visibility.channel_ids:
        raise ValidationError("input.channelId", _NO_CHANNEL)
    return channel_id


def _user_id(viewer: Viewer) -> int | None:
    """Of staff alone: a partner's key is no user."""
    return int(viewer.subject.partition(":")[2]) if viewer.kind is Kind.STAFF else None


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the fields that are given. Raises `ValidationError`."""
    if given.get("warehouseIds"):
        raise ValidationError("input.warehouseIds", "must be empty: there are no warehouses")
    columns: dict[str, Any] = {}
    if "name" in given:
        columns["name"] = as_text(given["name"], "input.name")
    if "key" in given:
        columns["key"] = _key(given["key"])
    if "type" in given:
        columns["type"] = given["type"]
    if "trackAndTraceURL" in given:
        columns["track_and_trace_url"] = _url(given["trackAndTraceURL"], "input.trackAndTraceURL", template_fault)
    if "logo" in given:
        columns["logo"] = _url(given["logo"], "input.logo", url_fault)
    if "shippingCost" in given:
        columns["shipping_cost"] = _cost(given["shippingCost"])
    if "timeZone" in given:
        columns["time_zone"] = given["timeZone"]  # the database knows which there are
    return columns


def _key(text: str) -> str:
    key = as_key(text)
    if fault := key_fault(key):
        raise ValidationError("input.key", fault)
    return key


def _url(text: str | None, path: str, fault_of: Callable[[str], str | None]) -> str | None:
    if text is not None and (fault := fault_of(text)):
        raise ValidationError(path, fault)
    return text


def _cost(amount: float | None) -> Decimal | None:
    if amount is None:
        return None
    if not 0 <= amount <= _LARGEST_COST:
        raise ValidationError("input.shippingCost", f"must be at least 0 and at most {_LARGEST_COST}")
    return Decimal(str(amount)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _descriptions(descriptions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    for place, description in enumerate(descriptions):
        if not _LANGUAGE.fullmatch(description["language"]):
            raise ValidationError(f"input.descriptions.{place}.language", "must be two capitals, such as NL")
    languages = [description["language"] for description in descriptions]
    refuse_repeated(languages, "input.descriptions.{}.language")
    return {"languages": languages, "texts": [description.get("value") for description in descriptions]}


bindables = [mutation]
