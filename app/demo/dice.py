"""Random draws in the store's terms, and the shape of what they fill."""

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

Row = dict[str, Any]
Tables = dict[str, list[Row]]
T = TypeVar("T")


class Dice(random.Random):
    """One stream of numbers for everything that a seed makes."""

    def pick(self, shares: Mapping[T, int]) -> T:
        return self.choices(list(shares), list(shares.values()))[0]

    def uuid(self) -> UUID:
        return UUID(int=self.getrandbits(128), version=4)

    def hours(self, least: float, most: float) -> timedelta:
        """A while between the two, in whole milliseconds as the surfaces show them."""
        return timedelta(milliseconds=int(self.uniform(least, most) * 3_600_000))
