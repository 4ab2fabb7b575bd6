"""Dates, times, numbers and amounts as a visitor reads them: by Babel, in the visitor's language and form."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time, match_skeleton
from babel.numbers import format_currency, format_decimal

from app.pages.language import N_, translations

_DAYS = {0: N_("today"), 1: N_("tomorrow"), -1: N_("yesterday")}


class Wording:
    """The words of one visitor. `zone` is where days begin and end for what the page tells, `now` when it was made."""

    def __init__(self, locale: Locale, zone: str = "UTC", now: datetime | None = None) -> None:
        self.locale = locale
        self.zone: tzinfo = ZoneInfo(zone)
        self.now = now or datetime.now(UTC)
        self._texts = translations(locale.language)

    @property
    def language(self) -> str:
        return self.locale.language

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return self.locale.text_direction

    def translated(self, text: str) -> str:
        """A text that `N_` marks."""
        return self._texts.gettext(text)

    def day(self, moment: str | datetime | date) -> str:
        """A day in words: `today`, `Friday, December 5`; with the year where it is another one."""
        there, today = self._day_of(moment), self._day_of(self.now)
        if word := _DAYS.get((there - today).days):
            return self.translated(word)
        skeleton = "MMMMEEEEd" if there.year == today.year else "yMMMMEEEEd"
        return str(format_date(there, _written_out(self.locale, skeleton), self.locale))

    def short_day(self, moment: str | datetime | date) -> str:
        """A day as a date: `Dec 5, 2025`."""
        return str(format_date(self._day_of(moment), "medium", self.locale))

    def time(self, moment: str | datetime) -> str:
        """`2:30 PM`, where the goods go."""
        return str(format_time(self._here(_moment(moment)), "short", tzinfo=self.zone, locale=self.locale))

    def stamp(self, moment: str | datetime) -> str:
        """A day as a date, and the time: `Dec 5, 2025, 2:30 PM`."""
        pattern = str(self.locale.datetime_formats["medium"])
        return pattern.replace("'", "").replace("{1}", self.short_day(moment)).replace("{0}", self.time(moment))

    def is_past(self, moment: str | datetime) -> bool:
        return _moment(moment) < self.now

    def number(self, value: float | Decimal) -> str:
        return str(format_decimal(value, locale=self.locale))

    def money(self, amount: Mapping[str, Any]) -> str:
        """An amount of the type `Money`."""
        return str(format_currency(Decimal(amount["amount"]), amount["currency"], locale=self.locale))

    def _here(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def _day_of(self, moment: str | datetime | date) -> date:
        if isinstance(moment, str):
            if len(moment) == len("2025-12-05"):
                return date.fromisoformat(moment)
            moment = _moment(moment)
        return self._here(moment).date() if isinstance(moment, datetime) else moment


def _moment(text: str | datetime) -> datetime:
    return datetime.fromisoformat(text) if isinstance(text, str) else text


@cache
def _written_out(locale: Locale, skeleton: str) -> str:
    """A locale's own pattern of a day, with its weekday and month as whole words: CLDR shortens some."""
    patterns = locale.datetime_skeletons
    pattern = patterns[match_skeleton(skeleton, patterns)].pattern
    return re.sub("(?<!L)M{3,}", "MMMM", re.sub("E+", "EEEE", pattern))
