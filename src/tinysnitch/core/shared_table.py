"""A bounded table of which no user may have more than a quarter; a service, which may act for all users, half.

A user who has too much loses the least recently used of their own entries. So no user can push out entries of others,
such as the names by which others' connections are denied.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

from tinysnitch.core.table import BoundedTable, TableStatistics
from tinysnitch.core.user_share import PEOPLE_FROM, share_of

K = TypeVar("K")
V = TypeVar("V")


class SharedTable(Generic[K, V]):
    """As BoundedTable, but each entry counts in the share of a user."""

    def __init__(self, capacity: int) -> None:
        self._entries: BoundedTable[K, tuple[int, V]] = BoundedTable(capacity)
        self._quarter = (capacity + 3) // 4
        self._of_user: dict[int, OrderedDict[K, None]] = {}
        self._evicted = 0  # for want of room in a user's share

    def put(self, key: K, value: V, user: int) -> None:
        self.pop(key)
        share = share_of(user)
        theirs = self._of_user.setdefault(share, OrderedDict())
        if len(theirs) >= self._quarter * (1 if share >= PEOPLE_FROM else 2):
            self._entries.pop(theirs.popitem(last=False)[0])
            self._evicted += 1
        theirs[key] = None
        if gone := self._entries.put(key, (share, value)):
            self._leave(gone[1][0], gone[0])

    def find(self, key: K) -> V | None:
        """The value, which is now the most recently used one."""
        found = self._entries.find(key)
        if found is None:
            return None
        self._of_user[found[0]].move_to_end(key)
        return found[1]

    def pop(self, key: K) -> V | None:
        """Take an entry out; this is no eviction."""
        found = self._entries.pop(key)
        if found is None:
            return None
        self._leave(found[0], key)
        return found[1]

    def find_oldest(self) -> tuple[K, V] | None:
        """The least recently used entry, left as it is."""
        oldest = self._entries.find_oldest()
        return None if oldest is None else (oldest[0], oldest[1][1])

    def shares(self) -> tuple[int, ...]:
        """Those who have entries, each as share_of() has them."""
        return tuple(self._of_user)

    def statistics(self) -> TableStatistics:
        counted = self._entries.statistics()
        return TableStatistics(counted.used, counted.evicted + self._evicted)

    def _leave(self, share: int, key: K) -> None:
        theirs = self._of_user[share]
        del theirs[key]
        if not theirs:
            del self._of_user[share]
