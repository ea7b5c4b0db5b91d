"""How long may be looked through the descriptors of processes, or the content of files, which anyone may have any
number of.

What takes long is a tenth of the time for each user, and a fifth for all together, since one person may be many users
(user_namespaces(7), subuid(5)). What was not spent is saved up, to a quarter of a second and half a one.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinysnitch.core.table import BoundedTable
from tinysnitch.kernel import procfs

LONG_S = 0.002
LONGEST_S = 0.1  # at one process's descriptors: whatever seems longer, the processor was somebody else's
SAVED_S = 2.5  # the time that makes good what was saved up
_OF_USER, _OF_ALL = 10, 5  # times as long as a look took until it is made good
_CAPACITY = 256
_ALL = -1  # no uid


class LookBudget:
    def __init__(self, clock: Callable[[], float] = time.monotonic, longest_s: float = LONGEST_S) -> None:
        """`longest_s`: that a look may take; what is beyond does not count."""
        self._clock = clock
        self._longest_s = longest_s
        self._good_s: BoundedTable[int, float] = BoundedTable(_CAPACITY)  # by uid: when all is made good
        self._last_good_s = 0.0  # the latest of them

    @contextmanager
    def look(self, pid: int) -> Iterator[bool]:
        """Whether it may take long to look at this process; counts how long it took."""
        began_s = self._clock()
        yield self._may_be_long(pid, began_s)
        took_s = min(self._clock() - began_s, self._longest_s)
        if took_s > LONG_S:
            self._spend(_ALL, began_s, took_s * _OF_ALL)
            self._spend(_uid_of(pid), began_s, took_s * _OF_USER)

    def _may_be_long(self, pid: int, now_s: float) -> bool:
        if now_s >= self._last_good_s:
            return True
        return all(self._left_s(key, now_s) <= SAVED_S for key in (_ALL, _uid_of(pid)))

    def _left_s(self, key: int, now_s: float) -> float:
        return (self._good_s.find(key) or 0.0) - now_s

    def _spend(self, key: int, now_s: float, cost_s: float) -> None:
        good_s = now_s + max(0.0, self._left_s(key, now_s)) + cost_s
        self._good_s.put(key, good_s)
        self._last_good_s = max(self._last_good_s, good_s)


def _uid_of(pid: int) -> int:
    uid = procfs.read_uid(pid)
    return _ALL if uid is None else uid
