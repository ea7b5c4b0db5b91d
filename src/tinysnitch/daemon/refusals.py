"""What is refused in great numbers: the history keeps the first ones, then one in a while. The log has every one.

Any remote can send as many packets as it likes, in the name of as many machines, to ports that are open or closed; and
a program can try as many connections when no more questions find room. Kept each, they would push all else out.
"""

from tinysnitch.core.flow import Direction
from tinysnitch.core.prompts import TURNED_AWAY
from tinysnitch.core.records import ConnectionDecided, Record
from tinysnitch.core.verdict import Verdict
from tinysnitch.daemon.pace import Pace

BURST = 100  # kept at once: whoever tries a service that is not up, or the first ports that a scan looks through
EACH_S = 10.0  # one more
BURST_OF_VISITORS = 1000  # likewise, to ports that a program listens on, and of what was turned away
EACH_VISITOR_S = 1.0


class Budget:
    def __init__(self, burst: int, each_s: float) -> None:
        self.left_out = 0
        self._pace = Pace(burst=burst, each_s=each_s)

    def has_room(self, now_s: float) -> bool:
        """Boot-time seconds. Whoever asks takes it."""
        has_room = self._pace.may_go(now_s)
        self.left_out += not has_room
        return has_room


class Refusals:
    def __init__(self) -> None:
        self.to_closed_ports = Budget(BURST, EACH_S)
        self.of_visitors = Budget(BURST_OF_VISITORS, EACH_VISITOR_S)
        self.turned_away = Budget(BURST_OF_VISITORS, EACH_VISITOR_S)

    def is_kept(self, record: Record, now_s: float) -> bool:
        """Whether the history keeps it, as it does all else. `now_s`: boot-time seconds."""
        budget = self._find_budget(record)
        return budget is None or budget.has_room(now_s)

    def _find_budget(self, record: Record) -> Budget | None:
        if not isinstance(record, ConnectionDecided) or record.decision.verdict is not Verdict.DENY:
            return None
        if not record.connection.attribution.is_listening:
            return self.to_closed_ports
        if record.connection.flow.direction is Direction.INBOUND:
            return self.of_visitors
        return self.turned_away if record.decision.reason.startswith(TURNED_AWAY) else None
