"""Who calls by which applications, and what they may ask: a callers' view of the registry, small enough to be held."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import asyncpg

from app.auth.storefront_key import Storefront
from app.auth.viewer import Kind, Viewer
from app.settings import DOCUMENT_MODES

# What a caller without any credential is called beside the kinds of viewers.
ANONYMOUS = "anonymous"
_SHOP = "storefront_key:"


class Mode(IntEnum):
    """What is asked in texts, the more the stricter."""

    OFF = 0  # anything
    LOG = 1  # anything, and what is not registered is told to the log
    SAFELIST = 2  # what is registered
    ID_ONLY = 3  # nothing: documents are named by their ids

    @classmethod
    def of(cls, word: str) -> "Mode":
        """By a word of `DOCUMENT_MODES`."""
        return cls(DOCUMENT_MODES.index(word))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by the names of `application_callers`: the keys that came, and the kind of viewer."""

    keys: tuple[str, ...]
    kind: str

    @classmethod
    def of(cls, viewer: Viewer | None, storefront: Storefront) -> "Caller":
        keys = [] if viewer is None else [f"api_key:{key_id}" for key_id in viewer.key_ids]
        if storefront.key is not None:
            keys.append(f"{_SHOP}{storefront.key['id']}")
        return cls(tuple(keys), ANONYMOUS if viewer is None else viewer.kind.value)

    @property
    def known_by(self) -> str | None:
        """The key that stands for who asks: a partner's own, and a shop's for its visitors and its customers."""
        if self.kind == Kind.PARTNER.value:
            return next(iter(self.keys), None)  # others come behind it
        if self.kind in (ANONYMOUS, Kind.CUSTOMER.value):
            return next((key for key in self.keys if key.startswith(_SHOP)), None)
        return None


@dataclass(frozen=True)
class Policy:
    """`modes` and `applications` by the name of a caller; `default` is the mode of all others."""

    default: Mode = Mode.OFF
    modes: Mapping[str, Mode] = field(default_factory=dict)
    applications: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, default: Mode, rows: Iterable[asyncpg.Record]) -> "Policy":
        modes: dict[str, Mode] = {}
        applications: dict[str, frozenset[int]] = {}
        for row in rows:
            if row["mode"] is not None:
                modes[row["caller"]] = Mode.of(row["mode"])
            if row["application_ids"]:
                applications[row["caller"]] = frozenset(row["application_ids"])
        return cls(default, modes, applications)

    @property
    def asks_for_nothing(self) -> bool:
        """Whether everybody may ask what they want, without anything being told."""
        return self.default is Mode.OFF and not any(self.modes.values())

    def mode_of(self, caller: Caller) -> Mode:
        """The strictest of what holds for the viewer and of the own modes of all keys that came.

        For a viewer holds the own mode of the key that it is known by, else that of its kind, else the default. A key
        that somebody else's token comes with makes nothing looser: that of a shop is in its page for anybody.
        """
        held = self.modes.get(caller.known_by or caller.kind, self.modes.get(caller.kind, self.default))
        return max([held, *(self.modes[key] for key in caller.keys if key in self.modes)])

    def applications_of(self, caller: Caller) -> frozenset[int]:
        none: frozenset[int] = frozenset()
        return none.union(*(self.applications.get(name, none) for name in (*caller.keys, caller.kind)))
