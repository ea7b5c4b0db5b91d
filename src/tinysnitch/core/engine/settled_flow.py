"""A flow that was decided a moment ago: its retransmissions and datagrams get the same verdict, reported once.

The decision holds only while the flow has the same socket (cookie) and its process runs the same image. Outbound, the
socket is enough where the program is not known any more: a packet may have been held so long that its program ended,
and that the kernel's note of it made room for others. A person's answer for one connection outlives a change of the
rules; any other decision does not.
"""

import msgspec

from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import UNKNOWN_EXEC_ID, exec_id_of
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.tls.inspection import Watch


class SettledFlow(msgspec.Struct, frozen=True, kw_only=True):
    decision: Decision
    cookie: int
    exec_id: int
    decided_s: float  # boot-time seconds
    generation: int
    expires_s: float | None  # boot-time seconds, None: as long as its outbound socket
    is_answer: bool  # a person decided this one connection
    tied_to: int = 0  # the interface that it is decided for; 0: any
    watch: Watch = Watch.NONE

    def holds_for(self, event: PacketQueued, generation: int, now_s: float) -> bool:
        """Whether a further packet of the flow gets the same verdict. `generation`: of the rules now."""
        if self.cookie != event.cookie or not self._is_of_program(event):
            return False
        if self.tied_to not in (0, event.interface_index):
            return False
        if self.generation != generation and not self.is_answer:
            return False
        return self.expires_s is None or now_s < self.expires_s

    def _is_of_program(self, event: PacketQueued) -> bool:
        exec_id = exec_id_of(event.attribution)
        is_gone = exec_id == UNKNOWN_EXEC_ID and event.cookie != 0 and event.flow.direction is Direction.OUTBOUND
        return is_gone or exec_id == self.exec_id
