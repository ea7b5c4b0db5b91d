"""Flows that were decided a moment ago: their retransmissions and datagrams get the same verdict, once reported.

A flow is the same only while its socket is (cookie) and its process runs the same image; an answer that was given
for one connection outlives a change of the rules, any other decision does not.
"""

import msgspec

from tinysnitch.core.decision import Decision
from tinysnitch.core.flow import Flow
from tinysnitch.core.table import BoundedTable, TableStatistics
from tinysnitch.core.watch import Watch


class SettledFlow(msgspec.Struct, frozen=True, kw_only=True):
    decision: Decision
    cookie: int
    exec_id: int
    generation: int
    expires_s: float | None  # boot-time seconds, None: as long as its outbound socket
    is_answer: bool  # a person decided this very connection
    tied_to: int = 0  # the interface that it is decided for; 0: any
    watch: Watch = Watch.NONE


class SettledFlows:
    def __init__(self, capacity: int) -> None:
        self._flows: BoundedTable[Flow, SettledFlow] = BoundedTable(capacity)

    def put(self, flow: Flow, settled: SettledFlow) -> None:
        self._flows.put(flow, settled)

    def find(
        self, flow: Flow, *, cookie: int, exec_id: int, interface: int, generation: int, now_s: float
    ) -> SettledFlow | None:
        settled = self._flows.find(flow)
        if settled is None or settled.cookie != cookie or settled.exec_id != exec_id:
            return None
        if settled.tied_to not in (0, interface):
            return None
        if settled.generation != generation and not settled.is_answer:
            return None
        if settled.expires_s is not None and settled.expires_s <= now_s:
            return None
        return settled

    def statistics(self) -> TableStatistics:
        return self._flows.statistics()
