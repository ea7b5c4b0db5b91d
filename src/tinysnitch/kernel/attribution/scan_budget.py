"""Limits the time spent on looking through descriptors of processes, or content of files: any user may have any number.

Long looks take no more than a tenth of the time for each user, and a fifth for all users together, since one person may
be many users (user_namespaces(7), subuid(5)). Unspent time is saved up: a quarter of a second for each user, half a
second for all.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.kernel.proc import procfs

LONG_S = 0.002  # a look that takes longer counts
LONGEST_S = 0.2  # at one process's descriptors: if it seems longer, others had the processor meanwhile
SAVED_S = 2.5  # debt up to which a long look is allowed: 0.25 s of a user, 0.5 s of all
_OF_USER, _OF_ALL = 10, 5  # how many times as long as a look took its debt lasts
_CAPACITY = 256
_ALL = -1  # no uid


class ScanBudget:
    def __init__(self, clock: Callable[[], float] = time.monotonic, longest_s: float = LONGEST_S) -> None:
        """`longest_s`: what takes longer counts as this long."""
        self._clock = clock
        self._longest_s = longest_s
        self._good_s: BoundedTable[int, float] = BoundedTable(_CAPACITY)  # by uid: when its debt is over
        self._last_good_s = 0.0  # the latest of them

    @contextmanager
    def look(self, pid: int) -> Iterator[bool]:
        """Yields whether a look at this process may take long, and counts how long it took."""
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
