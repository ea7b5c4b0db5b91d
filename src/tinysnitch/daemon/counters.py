"""Every count of the daemon under one name each: what waits, what is in use, and above all what was lost."""

import math
from collections import Counter
from collections.abc import Callable, Iterator

from tinysnitch.core.dns_talk import NOT_LEARNED
from tinysnitch.core.events import DataLost
from tinysnitch.core.table import TableStatistics
from tinysnitch.daemon.control_server import ControlServer
from tinysnitch.daemon.driver import Driver
from tinysnitch.daemon.error_log import ErrorLog
from tinysnitch.daemon.interpreter_watch import GONE, HINT, InterpreterWatch
from tinysnitch.daemon.netfilter_guard import PUT_BACK, NetfilterGuard
from tinysnitch.daemon.recorder import NOT_KEPT
from tinysnitch.daemon.rule_saver import NOT_SAVED
from tinysnitch.kernel.bpf_programs import BpfPrograms

KERNEL_LOSSES = {
    "lost_images": "executed images not stored",
    "lost_processes": "processes not stored",
    "lost_sockets": "sockets not stored",
    "lost_listeners": "listening ports not stored",
    "lost_flows": "flows not stored",
    "lost_conversations": "conversations not stored",
    "lost_watches": "connections without a name not read",
    "lost_packet_users": "users of packet sockets not told of",
    "lost_traces": "trace lines",
    "lost_marks": "marks of denied packets, taken by other netfilter rules (dropped all the same)",
    "lost_answers": "answers to connections that were still held, or denied",
    "lost_first_packets": "first packets to a port, before it was known whose it is",
    "lost_astray": "packets to this machine itself that were to leave it (dropped)",
}
# Beginnings of what needs no watch: it is told as it happens, or is in the log one by one.
_TOLD = (NOT_LEARNED, PUT_BACK, NOT_SAVED, NOT_KEPT)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 64.0
STARTING = "tinysnitchd is still starting"


class Counters:
    def __init__(
        self, driver: Driver, programs: BpfPrograms | None, server: ControlServer, error_log: ErrorLog
    ) -> None:
        self.server = server
        self._error_log = error_log
        self.guard: NetfilterGuard | None = None  # once the netfilter rules stand
        self.interpreter: InterpreterWatch | None = None  # likewise
        self._driver = driver
        self._doors = driver.doors
        self._engine = driver.engine
        self._programs = programs
        self._at_start = self._read_kernel()

    @property
    def not_enforcing(self) -> str:
        """Why our netfilter rules are not there, or not all of them; "" when they are."""
        return self.guard.problem if self.guard else STARTING

    @property
    def cannot_restart(self) -> str:
        return f"{GONE}; {HINT}" if self.interpreter and self.interpreter.is_gone else ""

    def losses(self) -> dict[str, int]:
        connections, names = self._doors.queue.statistics(), self._doors.names_queue.statistics()
        statistics = self.server.statistics()
        return {
            "packets dropped, queue full": connections.dropped_full,
            "packets dropped, not read in time": connections.dropped_unread,
            "DNS messages dropped": names.dropped_full + names.dropped_unread,
            "packets dropped, waited too long": self._driver.outwaited,
            "packets gone before their verdict": self._doors.queue.gone + self._doors.names_queue.gone,
            "DNS questions of which it is not known who asked": self._doors.packet_events.lost_askers,
            "packets not parsed": self._driver.malformed,
            "connections whose program is unknown": self._doors.attributor.unknown,
            "failures, see the log": self._driver.failures.count,
            "rules till a process quits that ended at once, too many": self._doors.processes.turned_away,
            "questions turned away": self._engine.prompts.turned_away,
            "further packets of held flows dropped": self._engine.prompts.dropped,
            "clients cut off, too slow": statistics.slow,
            "clients turned away, too many": statistics.crowded_out,
            "clients turned away, not permitted": statistics.refused,
            "clients cut off, not understood": statistics.malformed,
            PUT_BACK: self.guard.put_back if self.guard else 0,
            NOT_SAVED: self._doors.rule_saver.unsaved,
            **self._doors.recorder.losses(),
            "lines on standard error": self._error_log.lost,
            **self._kernel_losses(),
            **self._engine.dns.losses(),
            **{f"{table} evicted": each.evicted for table, each in self._evictable().items()},
        }

    def hits_and_misses(self) -> tuple[int, int]:
        """Since this daemon started. A packet that we decided walks the chain again and hits: that one is ours."""
        if self._programs is None:  # the kernel remembers nothing
            return 0, self._doors.enforcement.issued
        counted = self._read_kernel() - self._at_start
        hits = counted["hits_allowed"] + counted["hits_denied"] + counted["hits_denied_early"]
        enforcement = self._doors.enforcement
        return max(0, hits - (enforcement.issued - enforcement.followed)), counted["misses"]

    def waiting(self) -> dict[str, int]:
        return {
            "connections": self._doors.queue.statistics().waiting,
            "names": self._doors.names_queue.statistics().waiting,
        }

    def tables(self) -> dict[str, int]:
        tables = self._evictable() | self._engine.dns.tables()
        return {table: each.used for table, each in tables.items()}

    def _evictable(self) -> dict[str, TableStatistics]:
        return self._engine.settlement.tables() | self._engine.watcher.tables()

    def _kernel_losses(self) -> dict[str, int]:
        counted = self._read_kernel()
        return {text: counted[name] for name, text in KERNEL_LOSSES.items()}

    def _read_kernel(self) -> Counter[str]:
        return Counter(self._programs.read_statistics()) if self._programs else Counter()


class LossWatch:
    """Turns counters that rose into events, so that no loss goes unsaid. What is told at once is left out.

    What goes on is told at longer and longer intervals, with all that came since then: a remote can have some of them
    rise all day, and would fill the log and the history.
    """

    def __init__(self, read_losses: Callable[[], dict[str, int]]) -> None:
        self._read = read_losses
        self._known = read_losses()
        self._told: dict[str, tuple[float, float]] = {}  # when it was told last, and for how long that is enough

    def new_losses(self, now_s: float) -> Iterator[DataLost]:
        """What is to be told at `now_s` (boot-time seconds)."""
        for what, count in self._read().items():
            lost = count - self._known.get(what, 0)
            is_told = lost > 0 and not what.endswith("evicted") and not what.startswith(_TOLD)
            if is_told and not self._is_due(what, now_s):
                continue
            self._known[what] = count
            if is_told:
                yield DataLost(what, lost)

    def rest(self) -> Iterator[DataLost]:
        """At the end, what would have been told later."""
        return self.new_losses(math.inf)

    def _is_due(self, what: str, now_s: float) -> bool:
        told_s, pause_s = self._told.get(what, (-math.inf, 0.0))
        if now_s < told_s + pause_s:
            return False
        goes_on = now_s < told_s + 2 * LONGEST_PAUSE_S
        self._told[what] = now_s, min(2 * pause_s, LONGEST_PAUSE_S) if goes_on else FIRST_PAUSE_S
        return True
