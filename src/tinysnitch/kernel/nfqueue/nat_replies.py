"""Lets in answers to packets whose destination was translated on the way out (DNAT in nat OUTPUT).

Mangle INPUT sees such an answer before nat INPUT restores the address that the program knows, so BPF finds no
conversation for it. Conntrack knows which one it is: that conversation is written once more, with the address that the
answer has.

If the source was translated too (masqueraded, since the new destination is behind another interface), the answer has
the program's address already at that place, but conntrack knows it by the address that it came to.
"""

import time
from collections import Counter
from collections.abc import Callable

import msgspec

from tinysnitch.core.model.flow import TCP, Direction, Flow
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netlink.source_addresses import SourceAddresses
from tinysnitch.kernel.nfqueue.conntrack import Conntrack

MAX_FLOWS = 1024
MAX_TRIES = 16  # of one flow: a packet that BPF refuses all the same must not come around for ever
ANEW_S = 0.1  # then tries are counted anew: a packet that comes around uses them up within a few ms


class TranslatedAnswers:
    """`programs` None: without BPF the netfilter rules ask conntrack themselves, and nothing is done here."""

    def __init__(
        self,
        programs: BpfPrograms | None,
        open_conntrack: Callable[[], Conntrack] = Conntrack,
        open_sources: Callable[[], SourceAddresses] = SourceAddresses,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._programs = programs
        self._conntrack = open_conntrack() if programs else None
        self._sources = open_sources() if programs else None
        self._clock = clock
        self._tries: Counter[Flow] = Counter()
        self._anew_s = 0.0

    def close(self) -> None:
        for opened in (self._conntrack, self._sources):
            if opened:
                opened.close()

    def let_pass(self, flow: Flow, interface: int) -> bool:
        """Whether a packet of the flow answers something that was allowed. If so, BPF knows it from now on.

        `interface`: index of the interface that the packet came by.
        """
        if flow.direction is Direction.OUTBOUND or flow.protocol == TCP:
            return False
        if not self._programs or not self._conntrack or not self._sources:
            return False
        asked = self._conntrack.find_asked(flow)
        if asked is None:
            asked = _find_masqueraded(self._conntrack, flow, self._sources.find(flow.remote, interface))
        if asked is None or not self._may_try(flow):
            return False
        return self._programs.translate_conversation(asked, flow)

    def _may_try(self, flow: Flow) -> bool:
        now_s = self._clock()
        if now_s >= self._anew_s or len(self._tries) >= MAX_FLOWS:
            self._tries.clear()
            self._anew_s = now_s + ANEW_S
        self._tries[flow] += 1
        return self._tries[flow] <= MAX_TRIES


def _find_masqueraded(conntrack: Conntrack, flow: Flow, local: bytes | None) -> Flow | None:
    """The flow of the question, if its source was translated to `local`, an address of ours."""
    if local in (None, flow.local):
        return None
    asked = conntrack.find_asked(msgspec.structs.replace(flow, local=local))
    return asked if asked and (asked.local, asked.local_port) == (flow.local, flow.local_port) else None
