"""Names of users, from the system's user database, looked up beside the prompt.

A name service may need the network, and so an answer that the person can only give once the question is shown. It is
waited for only a moment, longer than any database on this machine takes; then the number has to do until the name is
there.
"""

import pwd
import time
from contextlib import suppress
from threading import Event, Thread

from tinysnitch.core.table import BoundedTable

LIFE_S = 60.0  # a prompt runs for months, and users come and go
PATIENCE_S = 0.05
CAPACITY = 256  # users that are remembered
MAX_LOOKUPS = 16  # threads


class UserNames:
    """For one thread."""

    def __init__(self) -> None:
        self._known: BoundedTable[int, tuple[str | None, float]] = BoundedTable(CAPACITY)  # with when it is old
        self._lookups: dict[int, _Lookup] = {}  # by uid

    def find(self, uid: int) -> str | None:
        """A user's name; None for a uid that nobody has, and while it is not known whether anybody has it."""
        self._collect()
        known = self._known.find(uid)
        is_old = known is None or time.monotonic() >= known[1]
        if is_old and uid not in self._lookups and len(self._lookups) < MAX_LOOKUPS:
            self._lookups[uid] = lookup = _Lookup(uid)
            lookup.is_done.wait(PATIENCE_S)
            self._collect()
            known = self._known.find(uid) or known
        return known[0] if known else None

    def _collect(self) -> None:
        for uid, lookup in list(self._lookups.items()):
            if lookup.is_done.is_set():
                del self._lookups[uid]
                self._known.put(uid, (lookup.name, time.monotonic() + LIFE_S))


class _Lookup:
    """Of one user, in a thread that the end of the program does not wait for."""

    def __init__(self, uid: int) -> None:
        self.name: str | None = None
        self.is_done = Event()
        self._uid = uid
        try:
            Thread(target=self._look_up, daemon=True).start()
        except RuntimeError:  # there can be no more threads
            self.is_done.set()

    def _look_up(self) -> None:
        with suppress(KeyError, OverflowError):
            self.name = pwd.getpwuid(self._uid).pw_name
        self.is_done.set()


_names = UserNames()


def find_user(uid: int) -> str | None:
    """Likewise, for all that one prompt shows."""
    return _names.find(uid)
