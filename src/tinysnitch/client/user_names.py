"""Names of users, from the system's user database, looked up in threads.

A name service may need the network, whose connection may itself wait for an answer from this prompt. So a look-up is
waited for only PATIENCE_S, longer than any database on this machine takes; then the prompt shows the number until the
name has come.
"""

import pwd
import time
from contextlib import suppress
from threading import Event, Thread

from tinysnitch.core.model.tables import BoundedTable

LIFE_S = 60.0  # after which a name is looked up again: a prompt runs for months, and users come and go
PATIENCE_S = 0.05
CAPACITY = 256  # users that are remembered
MAX_LOOKUPS = 16  # threads at once


class UserNames:
    """Known names and look-ups. All calls must come from one thread."""

    def __init__(self) -> None:
        # By uid: the name, and until when it is good.
        self._known: BoundedTable[int, tuple[str | None, float]] = BoundedTable(CAPACITY)
        self._lookups: dict[int, _Lookup] = {}  # by uid

    def find(self, uid: int) -> str | None:
        """The user's name; None if no user has this uid, or its look-up has not ended yet."""
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
    """The look-up of one user, in a thread that the end of the program does not wait for."""

    def __init__(self, uid: int) -> None:
        self.name: str | None = None
        self.is_done = Event()
        self._uid = uid
        try:
            Thread(target=self._look_up, daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self.is_done.set()

    def _look_up(self) -> None:
        with suppress(KeyError, OverflowError):
            self.name = pwd.getpwuid(self._uid).pw_name
        self.is_done.set()


_names = UserNames()


def find_user(uid: int) -> str | None:
    """UserNames.find() on the one table of this process, for use in its main thread."""
    return _names.find(uid)
