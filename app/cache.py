"""What was costly to make and may be needed again, of all kinds, within one bound of bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

DEFAULT_BYTES = 64 * 1024 * 1024


class Cache:
    """Values by key, at most `limit` bytes of them together; the least recently used goes first.

    What a value weighs is its maker's estimate. Keys of different kinds are never equal: a document's is its text, a
    combined statement's a tuple.
    """

    def __init__(self, limit: int = DEFAULT_BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    @property
    def count(self) -> int:
        """How many values are cached."""
        return len(self._entries)

    def get(self, key: Hashable) -> Any | None:
        """None where the value is not cached, or not any more."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Any, weight: int) -> None:
        """Caches a value that weighs so many bytes, in place of what the key had. One above the limit is not cached."""
        entries = self._entries
        before = entries.pop(key, None)
        if before is not None:
            self.bytes -= before[1]
        if weight > self.limit:
            return
        entries[key] = value, weight
        self.bytes += weight
        while self.bytes > self.limit:
            _, (_, freed) = entries.popitem(last=False)
            self.bytes -= freed
