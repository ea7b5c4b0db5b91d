"""How many records of a kind the history keeps: the first ones, then one in a while. The log has all of them.

A remote can send any number of packets, from as many forged addresses as it likes, to open or closed ports. A program
can try any number of connections when there is no room for more questions, or where it is allowed to: 127.0.0.0/8 has
millions of addresses. If the history kept them all, they would push out everything else, such as what the program did
before.
"""

from collections import Counter
from enum import Enum

from tinysnitch.core.engine.records import ConnectionDecided, Record, ServerNameRead
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import share_of
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.daemon.scheduling.timers import Pace

_CAPACITY = 256  # shares that are remembered: the common ones, and those of users


class Share(Enum):
    """Kinds of records that may be too many: how many are kept at once, and one more in how many seconds."""

    CLOSED_PORTS = "packets to ports that no program listens on", 100, 10.0  # a client retries while a service is down
    VISITORS = "refused visitors", 1000, 1.0  # to ports that a program listens on
    TURNED_AWAY = "questions turned away", 1000, 1.0
    USER = "connections of users who have too many", 20_000, 0.5  # for each user but root: a tenth of the history

    __hash__ = object.__hash__  # each is one object; Enum's own is Python, and paid at every look-up

    def __init__(self, what: str, burst: int, each_s: float) -> None:
        self.what = what
        self.burst = burst
        self.each_s = each_s


class HistoryQuota:
    def __init__(self) -> None:
        self.left_out: Counter[Share] = Counter()
        self._paces: BoundedTable[tuple[Share, int], Pace] = BoundedTable(_CAPACITY)

    def has_room(self, record: Record, now_s: float) -> bool:
        """Whether the history keeps this record; if so it is counted. `now_s`: boot-time seconds."""
        found = _find_share(record)
        if found is None:
            return True
        share, _whose = found
        pace = self._paces.find(found)
        if pace is None:
            pace = Pace(burst=share.burst, each_s=share.each_s)
            self._paces.put(found, pace)
        has_room = pace.may_go(now_s)
        self.left_out[share] += not has_room
        return has_room


def _find_share(record: Record) -> tuple[Share, int] | None:
    """Which share a record counts for, and the user whose share that is (0: of all together); None: it is kept."""
    if not isinstance(record, ConnectionDecided | ServerNameRead):
        return None
    decision, flow, attribution = record.decision, record.connection.flow, record.connection.attribution
    if isinstance(record, ConnectionDecided):
        if not attribution.is_listening:
            return Share.CLOSED_PORTS, 0
        if decision.verdict is Verdict.DENY and flow.direction is Direction.INBOUND:
            return Share.VISITORS, 0
        if decision.is_turned_away:
            return Share.TURNED_AWAY, 0
    process = attribution.process
    return (Share.USER, share_of(process.uid)) if process and process.uid else None
