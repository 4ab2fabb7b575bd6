"""Whose clock the promise of a delivery is told by: that of where the goods go, as far as the country tells."""

from collections import defaultdict
from datetime import UTC, datetime
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from babel.core import get_global

# Clocks that show the same in both are the same.
_MONTHS = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))


@cache
def _zones() -> dict[str, list[str]]:
    """The time zones of CLDR by the ISO code of their country."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for zone, country in get_global("zone_territories").items():
        found[country].append(zone)
    return found


@lru_cache(1_000)
def _likeliest(country: str, channel_zone: str) -> str:
    zones = _zones().get(country, [])
    if not zones or channel_zone in zones:
        return channel_zone
    by_clock: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for zone in zones:
        by_clock[tuple(month.astimezone(ZoneInfo(zone)).utcoffset() for month in _MONTHS)].append(zone)
    return max(by_clock.values(), key=len)[0]


def zone_of(country: str | None, channel_zone: str) -> str:
    """The time zone of a country: of several the channel's if it is among them, else one whose clock most of them have.

    The channel's where the country is not known: the goods come from there.
    """
    return _likeliest((country or "").upper(), channel_zone)
