"""Limits how many changes a user with the right for their own processes may make: each one writes and reads files.

Time is an argument: boot-time seconds.
"""

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.daemon.scheduling.pace import Pace

BURST = 100  # changes at once: a page may ask for many connections, answered together
EACH_S = 0.5  # seconds until one further change is free
_USERS = 256


class ChangeBudget:
    def __init__(self) -> None:
        self._paces: BoundedTable[int, Pace] = BoundedTable(_USERS)  # by uid

    def spend(self, uid: int, now_s: float) -> None:
        """Count one change of this user. Raises SnitchError when there were too many."""
        pace = self._paces.find(uid) or Pace(burst=BURST, each_s=EACH_S)
        self._paces.put(uid, pace)
        if not pace.may_go(now_s):
            raise SnitchError(f"user {uid} changes too much at once", f"wait {EACH_S:g} s for each further change")
