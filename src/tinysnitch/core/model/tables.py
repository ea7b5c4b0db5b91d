"""Tables with a bound: the least recently used entry goes first, and what goes is counted.

The entries of a ClaimedTable are claimed by users: who claims most makes room, and an entry goes when nobody claims it.
So no user can push out what another claims, as long as that is less; and who is alone may have the whole table.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from tinysnitch.core.model.process import share_of

MAX_CLAIMS = 8  # to one entry; then the first one ends
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


class ClaimedTable(Generic[K, V]):
    def __init__(self, capacity: int) -> None:
        self._entries: OrderedDict[K, tuple[V, tuple[int, ...]]] = OrderedDict()  # each with the shares that claim it
        self._of_share: dict[int, OrderedDict[K, None]] = {}  # none of them empty
        self._capacity = capacity
        self._evicted = 0

    def put(self, key: K, value: V, user: int) -> tuple[K, V] | None:
        """Store, as claimed by the user too; return the entry that had to make room for it."""
        gone = None
        entry = self._entries.get(key)
        if entry is None and len(self._entries) >= self._capacity:
            gone = self.make_room()
            self._evicted += 1
        self._entries[key] = value, self._claim(key, share_of(user), entry[1] if entry else ())
        if entry is not None:  # a new key stands at the end already
            self.find(key)
        return gone

    def find(self, key: K) -> V | None:
        """The value, which is now the most recently used one."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        for share in entry[1]:
            self._of_share[share].move_to_end(key)
        return entry[0]

    def claims_of(self, key: K) -> tuple[int, ...]:
        """The shares that claim an entry, as users who may claim it again."""
        entry = self._entries.get(key)
        return entry[1] if entry else ()

    def shares(self) -> tuple[int, ...]:
        """Those who claim entries, each as share_of() has them."""
        return tuple(self._of_share)

    def find_oldest(self) -> tuple[K, V] | None:
        """The least recently used entry, left as it is."""
        for key, (value, _shares) in self._entries.items():
            return key, value
        return None

    def pop(self, key: K) -> V | None:
        """Take an entry out; this is no eviction."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        for share in entry[1]:
            self._leave(share, key)
        return entry[0]

    def make_room(self) -> tuple[K, V] | None:
        """Take claims from the share that has most, the least recently used first, until an entry has none, and take
        that out; this is no eviction."""
        while self._of_share:
            theirs = max(self._of_share, key=lambda share: len(self._of_share[share]))
            key = next(iter(self._of_share[theirs]))
            self._leave(theirs, key)
            value, shares = self._entries[key]
            left = tuple(share for share in shares if share != theirs)
            if not left:
                del self._entries[key]
                return key, value
            self._entries[key] = value, left
        return None

    def items(self) -> Iterator[tuple[K, V]]:
        """Least recently used first. Do not change the table meanwhile."""
        return ((key, value) for key, (value, _shares) in self._entries.items())

    def statistics(self) -> TableStatistics:
        return TableStatistics(len(self._entries), self._evicted)

    def _claim(self, key: K, share: int, shares: tuple[int, ...]) -> tuple[int, ...]:
        """Add a claim to those that an entry has; returns all of them."""
        self._of_share.setdefault(share, OrderedDict())[key] = None
        if share in shares:
            return shares
        if len(shares) == MAX_CLAIMS:
            self._leave(shares[0], key)
        return (*shares, share)[-MAX_CLAIMS:]

    def _leave(self, share: int, key: K) -> None:
        del self._of_share[share][key]
        if not self._of_share[share]:
            del self._of_share[share]
