"""Programs with many remotes: when it is worth checking whether the rules treat all remotes alike.

A port scan or a peer-to-peer client would fill the cache with verdicts that all say the same. The first decisions are
made, and written into the history, one by one; the check is due after FIRST_LOOK of them, and whenever their number has
doubled.
"""

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict_key import VerdictKey

FIRST_LOOK = 32  # decisions
_Crowd = tuple[int, int, int, object]  # exec id, uid, protocol, direction


class Crowds:
    """Counts each program's decisions within one generation of the rules."""

    def __init__(self, capacity: int) -> None:
        self._counts: BoundedTable[_Crowd, int] = BoundedTable(capacity)

    def count(self, connection: Connection) -> VerdictKey | None:
        """Count a decision; returns the kernel's key for all remotes when the check is due, else None."""
        process, flow = connection.attribution.process, connection.flow
        if process is None:
            return None
        crowd = (process.exec_id, process.uid, flow.protocol, flow.direction)
        count = (self._counts.find(crowd) or 0) + 1
        self._counts.put(crowd, count)
        if count < FIRST_LOOK or count & (count - 1):
            return None
        return VerdictKey(process.exec_id, process.uid, flow.protocol, flow.direction, None, 0)

    def forget(self, key: VerdictKey) -> None:
        """Count anew: a verdict for every remote is remembered, and nothing is decided one by one while it holds."""
        self._counts.pop((key.exec_id, key.uid, key.protocol, key.direction))

    def clear(self) -> None:
        self._counts.clear()
