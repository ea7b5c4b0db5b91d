"""What comes to ports that no program listens on: the history keeps the first ones, then one in a while.

Any remote can send as many as it likes: kept each, a scan would push all else out. The log has every one.
"""

from tinysnitch.core.records import ConnectionDecided, Record
from tinysnitch.daemon.pace import Pace

BURST = 100  # kept at once: whoever tries a service that is not up, or the first ports that a scan looks through
EACH_S = 10.0  # one more


class ClosedPorts:
    def __init__(self) -> None:
        self.left_out = 0
        self._pace = Pace(burst=BURST, each_s=EACH_S)

    def is_kept(self, record: Record, now_s: float) -> bool:
        """Whether the history keeps it, as it does all else. `now_s`: boot-time seconds."""
        if not _is_to_closed_port(record) or self._pace.may_go(now_s):
            return True
        self.left_out += 1
        return False


def _is_to_closed_port(record: Record) -> bool:
    return isinstance(record, ConnectionDecided) and not record.connection.attribution.is_listening
