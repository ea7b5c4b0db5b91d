"""Every count of the daemon under one name each: what waits, what is in use, and above all what was lost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tinysnitch.core.engine import Engine
from tinysnitch.core.events import DataLost
from tinysnitch.daemon.control_server import ControlServer
from tinysnitch.daemon.recorder import Recorder
from tinysnitch.kernel.bpf_programs import BpfPrograms
from tinysnitch.kernel.nfqueue import Queue

_KERNEL_LOSSES = {
    "LOST_IMAGES": "executed images not stored",
    "LOST_PROCESSES": "processes not stored",
    "LOST_SOCKETS": "sockets not stored",
    "LOST_LISTENERS": "listening ports not stored",
    "LOST_FLOWS": "flows not stored",
    "LOST_TRACES": "trace lines",
}


@dataclass(slots=True)
class Counters:
    engine: Engine
    programs: BpfPrograms | None
    queue: Queue
    names_queue: Queue
    recorder: Recorder
    server: ControlServer
    count_malformed: Callable[[], int]

    def losses(self) -> dict[str, int]:
        connections, names = self.queue.statistics(), self.names_queue.statistics()
        statistics = self.server.statistics()
        return {
            "packets dropped, queue full": connections.dropped_full,
            "packets dropped, not read in time": connections.dropped_unread,
            "DNS messages dropped": names.dropped_full + names.dropped_unread,
            "packets not parsed": self.count_malformed(),
            "questions turned away": self.engine.prompts.turned_away,
            "further packets of held flows dropped": self.engine.prompts.dropped,
            "clients cut off, too slow": statistics.slow,
            "clients turned away, too many": statistics.crowded_out,
            **self.recorder.losses(),
            **self._kernel_losses(),
            **{f"{table} evicted": each.evicted for table, each in self.engine.settlement.statistics().items()},
        }

    def hits_and_misses(self) -> tuple[int, int]:
        counted = self.programs.read_statistics() if self.programs else {}
        hits = sum(counted.get(name, 0) for name in ("HITS_ALLOWED", "HITS_DENIED", "HITS_DENIED_EARLY"))
        return hits, counted.get("MISSES", 0)

    def waiting(self) -> dict[str, int]:
        return {"connections": self.queue.statistics().waiting, "names": self.names_queue.statistics().waiting}

    def tables(self) -> dict[str, int]:
        return {table: each.used for table, each in self.engine.settlement.statistics().items()}

    def _kernel_losses(self) -> dict[str, int]:
        counted = self.programs.read_statistics() if self.programs else {}
        return {text: counted[name] for name, text in _KERNEL_LOSSES.items() if name in counted}


class LossWatch:
    """Turns counters that rose into events, so that no loss goes unsaid."""

    def __init__(self, read_losses: Callable[[], dict[str, int]]) -> None:
        self._read = read_losses
        self._known = read_losses()

    def new_losses(self) -> Iterator[DataLost]:
        losses = self._read()
        for what, count in losses.items():
            if count > self._known.get(what, 0) and not what.endswith("evicted"):
                yield DataLost(what, count - self._known.get(what, 0))
        self._known = losses
