"""How much a user who decides for their own processes alone may change at once: each change writes and reads files.

Time is an argument: boot-time seconds.
"""

from tinysnitch.core.errors import SnitchError
from tinysnitch.core.table import BoundedTable

BURST = 100  # changes at once: a page may ask for many connections, answered together
EACH_S = 0.5  # one more
_USERS = 256


class ChangeBudget:
    def __init__(self) -> None:
        self._paid_until: BoundedTable[int, float] = BoundedTable(_USERS)  # by uid: when all that was changed is paid

    def spend(self, uid: int, now_s: float) -> None:
        """Note a change. Raises SnitchError when there were too many."""
        paid_until = max(self._paid_until.find(uid) or 0.0, now_s) + EACH_S
        if paid_until > now_s + BURST * EACH_S:
            raise SnitchError(f"user {uid} changes too much at once", f"wait {EACH_S:g} s for each further change")
        self._paid_until.put(uid, paid_until)
