"""What comes to ports that no program listens on: the first ones are told, then one in a while.

Any remote can send as many as it likes: each told would fill the log's disk, and push all else out of the history.
"""

from collections.abc import Iterable

from tinysnitch.core.records import ConnectionDecided, Record

BURST = 100  # told at once: who tries a service that is not up, and who looks through the first ports
EACH_S = 10.0  # one more


class ClosedPorts:
    def __init__(self) -> None:
        self.untold = 0
        self._paid_until_s = 0.0  # when all that was told is paid

    def leave_out(self, records: Iterable[Record], now_s: float) -> list[Record]:
        """Those that are told. `now_s`: boot-time seconds."""
        return [record for record in records if not _is_to_closed_port(record) or self._is_told(now_s)]

    def _is_told(self, now_s: float) -> bool:
        paid_until_s = max(self._paid_until_s, now_s) + EACH_S
        if paid_until_s > now_s + BURST * EACH_S:
            self.untold += 1
            return False
        self._paid_until_s = paid_until_s
        return True


def _is_to_closed_port(record: Record) -> bool:
    return isinstance(record, ConnectionDecided) and not record.connection.attribution.is_listening
