"""All counters of the daemon, each under one name: what waits, what is in use, and above all what was lost."""

from collections import Counter

from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.logs.traffic_recorder import TrafficRecorder
from tinysnitch.daemon.loop.driver import Driver
from tinysnitch.daemon.loop.file_guard import GONE, HINT, InterpreterWatch
from tinysnitch.daemon.loop.netfilter_guard import PUT_BACK, NetfilterGuard
from tinysnitch.daemon.rules.saver import NOT_SAVED
from tinysnitch.kernel.bpf.programs import BpfPrograms

KERNEL_LOSSES = {
    "lost_images": "executed images not stored",
    "lost_processes": "processes not stored",
    "lost_sockets": "sockets not stored",
    "lost_listeners": "listening ports not stored",
    "lost_flows": "flows not stored",
    "lost_conversations": "conversations not stored",
    "lost_watches": "connections without a name not read",
    "lost_packet_users": "processes with packet sockets not reported",
    "lost_traces": "trace lines",
    # The last check (late_check.bpf.h) stops a denied packet that has no mark. It cannot tell whether another rule
    # removed the mark, or whether the packet was allowed in our chains and its verdict or process changed since then.
    "lost_marks": "denied packets stopped by the last check: other netfilter rules removed their mark, or they were"
    " denied only meanwhile",
    "lost_answers": "answers to connections that were still held, or denied",
    "lost_first_packets": "first packets to a port whose program was not known yet",
    "lost_astray": "packets to this machine itself that were routed out of it (dropped)",
    "lost_over_quota": "packets dropped, of programs that send or receive too many at once",
    "lost_traffic": "connections that found no row of the traffic in the kernel",
    "lost_messages": "DNS messages dropped, of programs with too many at once, or several in one packet",
}
STARTING = "tinysnitchd is still starting"


class Counters:
    def __init__(self, driver: Driver, programs: BpfPrograms | None, error_log: ErrorLog) -> None:
        self._error_log = error_log
        self.guard: NetfilterGuard | None = None  # once the netfilter rules stand
        self.sums: TrafficRecorder | None = None  # once rows of traffic are kept
        self.interpreter: InterpreterWatch | None = None  # once it is watched
        self._driver = driver
        self._ports = driver.ports
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
        return self.untold_losses() | self._told_losses()

    def untold_losses(self) -> dict[str, int]:
        """Losses that are only counted where they happen. LossWatch tells people when one of them rises."""
        connections, names = self._ports.queue.statistics(), self._ports.names_queue.statistics()
        clients = self._ports.clients.statistics()
        return {
            "packets dropped, queue full": connections.dropped_full,
            "packets dropped, not read in time": connections.dropped_unread,
            "DNS messages dropped": names.dropped_full + names.dropped_unread,
            "packets dropped, waited too long": self._ports.intake.too_late,
            "packets gone before their verdict": self._ports.queue.gone + self._ports.names_queue.gone,
            "DNS questions from unknown programs": self._ports.intake.events.lost_askers,
            "packets not parsed": self._ports.intake.malformed,
            "connections whose program is unknown": self._ports.attributor.unknown,
            "failures, see the log": self._driver.failures.count,
            "rules until a program quits that ended at once, too many of them": self._ports.processes.turned_away,
            "questions turned away": self._engine.prompts.turned_away,
            "further packets of held flows dropped": self._engine.prompts.dropped,
            "clients cut off, too slow": clients.slow,
            "clients turned away, too many": clients.crowded_out,
            "clients turned away, not permitted": clients.refused,
            "clients cut off, not understood": clients.malformed,
            **self._ports.recorder.losses(),
            "connections in no row of the traffic": self._ports.traffic.lost,
            "connections and questions in no row of the history": self.sums.lost if self.sums else 0,
            "DNS questions not counted": self._ports.questions.lost,
            "lines on standard error": self._error_log.lost,
            **self._kernel_losses(),
            "DNS connections given up": self._engine.dns.streams.given_up,
        }

    def _told_losses(self) -> dict[str, int]:
        """Losses that LossWatch need not tell: they are told as they happen, or are evictions, which are no news."""
        watched = self._engine.server_names.tables()
        evictions = self._engine.dns.evictions() | {table: each.evicted for table, each in watched.items()}
        return {
            PUT_BACK: self.guard.put_back if self.guard else 0,
            NOT_SAVED: self._ports.rule_saver.unsaved,
            **self._ports.recorder.not_kept(),
            **self._engine.dns.refusals(),
            **{f"{table} evicted": count for table, count in evictions.items()},
        }

    def hits_and_misses(self) -> tuple[int, int]:
        """Packets that the kernel decided, and packets that came to the daemon, since its start.

        A packet that the daemon decided walks the chain again and hits there: that hit is not counted.
        """
        if self._programs is None:  # without BPF the kernel has no cache
            return 0, self._ports.verdicts.issued
        counted = self._read_kernel() - self._at_start
        hits = counted["hits_allowed"] + counted["hits_denied"] + counted["hits_denied_early"]
        verdicts = self._ports.verdicts
        return max(0, hits - (verdicts.issued - verdicts.followed)), counted["misses"]

    def waiting(self) -> dict[str, int]:
        return {
            "connections": self._ports.queue.statistics().waiting,
            "names": self._ports.names_queue.statistics().waiting,
        }

    def tables(self) -> dict[str, int]:
        engine = self._engine
        tables = engine.verdict_writer.tables() | engine.server_names.tables() | engine.dns.tables()
        return {table: each.used for table, each in tables.items()}

    def evicted(self) -> dict[str, int]:
        """Entries that made room in the mirror of the verdict cache. No losses: what they said is decided again."""
        return {table: each.evicted for table, each in self._engine.verdict_writer.tables().items()}

    def _kernel_losses(self) -> dict[str, int]:
        counted = self._read_kernel()
        return {text: counted[name] for name, text in KERNEL_LOSSES.items()}

    def _read_kernel(self) -> Counter[str]:
        return Counter(self._programs.read_statistics()) if self._programs else Counter()
