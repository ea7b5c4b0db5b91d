"""A table with a bound: the least recently used entry goes first, and what goes is counted."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K")
V = TypeVar("V")


class TableStatistics(msgspec.Struct, frozen=True):
    used: int
    evicted: int  # entries that had to make room for others, since the start


class BoundedTable(Generic[K, V]):
    """A mapping of at most `capacity` entries; `put` and `find` make an entry the most recently used one."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a table needs room for one entry, not {capacity}")
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._capacity = capacity
        self._evicted = 0

    def put(self, key: K, value: V) -> tuple[K, V] | None:
        """Store; return the entry that had to make room for it."""
        size = len(self._entries)
        self._entries[key] = value
        if len(self._entries) == size:  # a new key stands at the end already
            self._entries.move_to_end(key)
            return None
        if size < self._capacity:
            return None
        self._evicted += 1
        return self._entries.popitem(last=False)

    def find(self, key: K) -> V | None:
        """The value, which is now the most recently used one."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def pop(self, key: K) -> V | None:
        """Take an entry out; this is no eviction."""
        return self._entries.pop(key, None)

    def find_oldest(self) -> tuple[K, V] | None:
        """The least recently used entry, left as it is."""
        return next(iter(self._entries.items()), None)

    def clear(self) -> None:
        self._entries.clear()

    def items(self) -> Iterator[tuple[K, V]]:
        """Least recently used first. Do not change the table meanwhile."""
        return iter(self._entries.items())

    def statistics(self) -> TableStatistics:
        return TableStatistics(len(self._entries), self._evicted)
