"""What comes in great numbers: the history keeps the first ones, then one in a while. The log has every one.

Any remote can send as many packets as it likes, in the name of as many machines, to ports that are open or closed; and
a program can try as many connections when no more questions find room, or where it is allowed to: 127.0.0.0/8 has
millions of addresses. Kept each, they would push all else out, and what the program did before.
"""

from tinysnitch.core.flow import Direction
from tinysnitch.core.prompts import TURNED_AWAY
from tinysnitch.core.records import ConnectionDecided, NameSaid, Record, uid_told_of
from tinysnitch.core.table import BoundedTable
from tinysnitch.core.user_share import share_of
from tinysnitch.core.verdict import Verdict
from tinysnitch.daemon.pace import Pace

BURST = 100  # kept at once: whoever tries a service that is not up, or the first ports that a scan looks through
EACH_S = 10.0  # one more
BURST_OF_VISITORS = 1000  # likewise, to ports that a program listens on, and of what was turned away
EACH_VISITOR_S = 1.0
BURST_OF_USER = 20_000  # likewise, of all that programs of one user but root do: a tenth of the history
EACH_OF_USER_S = 0.5
_USERS = 256


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
        self.of_users = 0  # left out
        self._paces: BoundedTable[int, Pace] = BoundedTable(_USERS)

    def is_kept(self, record: Record, now_s: float) -> bool:
        """Whether the history keeps it, as it does all else. `now_s`: boot-time seconds."""
        budget = self._find_budget(record)
        return self._is_users_kept(record, now_s) if budget is None else budget.has_room(now_s)

    def _is_users_kept(self, record: Record, now_s: float) -> bool:
        uid = uid_told_of(record)
        if not uid or not isinstance(record, ConnectionDecided | NameSaid):
            return True
        pace = self._paces.find(share_of(uid)) or Pace(burst=BURST_OF_USER, each_s=EACH_OF_USER_S)
        self._paces.put(share_of(uid), pace)
        is_kept = pace.may_go(now_s)
        self.of_users += not is_kept
        return is_kept

    def _find_budget(self, record: Record) -> Budget | None:
        if not isinstance(record, ConnectionDecided):
            return None
        if not record.connection.attribution.is_listening:
            return self.to_closed_ports
        if record.decision.verdict is not Verdict.DENY:
            return None
        if record.connection.flow.direction is Direction.INBOUND:
            return self.of_visitors
        return self.turned_away if record.decision.reason.startswith(TURNED_AWAY) else None
