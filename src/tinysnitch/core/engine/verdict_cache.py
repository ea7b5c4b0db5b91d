"""What the engine remembers of decisions: a mirror of the kernel's cache, and the flows that were decided lately.

The mirror (VerdictCache) is there so that a new name for an address can take verdicts back. Rules: (1) an entry holds
for one generation of the rules and until its expiry; (2) what falls out of here is taken out of the kernel as well, so
that no verdict lives there that a new name could not reach.

A flow that was decided a moment ago (FlowVerdict) gets the same verdict for its retransmissions and datagrams, reported
once. It holds only while the flow has the same socket (cookie) and its process runs the same image. Outbound, the
socket is enough where the program is not known any more: a packet may have been held so long that its program ended,
and that the kernel's entry for it made room for others. A person's answer for one connection outlives a change of the
rules; any other decision does not.
"""

import msgspec

from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import UNKNOWN_EXEC_ID, exec_id_of
from tinysnitch.core.model.tables import BoundedTable, TableStatistics
from tinysnitch.core.model.verdict import Inspection, VerdictKey
from tinysnitch.core.policy.decision import Decision


class Remembered(msgspec.Struct, frozen=True, gc=False):
    decision: Decision
    expires_s: float | None  # boot-time seconds, None: never


class VerdictCache:
    def __init__(self, capacity: int) -> None:
        self._entries: BoundedTable[VerdictKey, Remembered] = BoundedTable(capacity)
        # Most addresses have one key, and a set takes 200 bytes: a single key stands here by itself.
        self._by_address: dict[bytes | None, VerdictKey | set[VerdictKey]] = {}

    def put(self, key: VerdictKey, remembered: Remembered) -> VerdictKey | None:
        """Store; returns the key that had to make room, which the kernel must forget too."""
        indexed = self._by_address.setdefault(key.remote, key)
        if isinstance(indexed, set):
            indexed.add(key)
        elif indexed != key:
            self._by_address[key.remote] = {indexed, key}
        evicted = self._entries.put(key, remembered)
        if evicted is None:
            return None
        self._drop_from_index(evicted[0])
        return evicted[0]

    def find(self, key: VerdictKey, now_s: float) -> Remembered | None:
        """The verdict if it still holds at `now_s` (boot-time seconds)."""
        remembered = self._entries.find(key)
        if remembered is None or remembered.expires_s is None or now_s < remembered.expires_s:
            return remembered
        self._entries.pop(key)
        self._drop_from_index(key)
        return None

    def pop_address(self, address: bytes) -> tuple[VerdictKey, ...]:
        """Forget all verdicts for a remote address; return their keys."""
        found = self._by_address.pop(address, set())
        keys = tuple(found) if isinstance(found, set) else (found,)
        for key in keys:
            self._entries.pop(key)
        return keys

    def clear(self) -> None:
        """Forget all: the rules have another generation, and no verdict of the old one holds."""
        self._entries.clear()
        self._by_address.clear()

    def statistics(self) -> TableStatistics:
        return self._entries.statistics()

    def _drop_from_index(self, key: VerdictKey) -> None:
        found = self._by_address[key.remote]
        if isinstance(found, set):
            found.discard(key)
        if found == key or not found:
            del self._by_address[key.remote]


class FlowVerdict(msgspec.Struct, frozen=True, kw_only=True):
    decision: Decision
    cookie: int
    exec_id: int
    decided_s: float  # boot-time seconds
    generation: int
    expires_s: float | None  # boot-time seconds, None: as long as its outbound socket
    is_answer: bool  # a person decided this one connection
    tied_to: int = 0  # the interface that it is decided for; 0: any
    inspection: Inspection = Inspection.NONE

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
