"""Writes records to the log and the history, and in observe mode makes rules of what was let pass.

The log begins with the ready line (docs/commands.md). What is recorded before that is written after it, with the time
of the ready line, so that times in the log never go back.

The history keeps a limited number of records of a kind: the first ones, then one in a while. The log has all of them. A
remote can send any number of packets, from as many forged addresses as it likes, to open or closed ports. A program
can try any number of connections when there is no room for more questions, or where it is allowed to: 127.0.0.0/8 has
millions of addresses. If the history kept them all, they would push out everything else, such as what the program did
before.
"""

from collections import Counter
from enum import Enum

import msgspec

from tinysnitch.core.engine.records import ConnectionDecided, PromptAnswered, Record, ServerNameRead
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import share_of
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.answer import can_be_remembered
from tinysnitch.core.prompts.proposal import learn_rule
from tinysnitch.core.rules.text import format_rule
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.daemon.options import LogFormat
from tinysnitch.daemon.scheduling.timers import Pace
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import LogLine, ReadyLine, log_line_of
from tinysnitch.protocol.log_text import format_text, remarks_on
from tinysnitch.store.history import History
from tinysnitch.store.learned_rules import LearnedRules

_CAPACITY = 256  # shares that are remembered: the common ones, and those of users


class Share(Enum):
    """Kinds of records that may be too many: how many are kept at once, and one more in how many seconds."""

    CLOSED_PORTS = "packets to ports that no program listens on", 100, 10.0  # a client retries while a service is down
    VISITORS = "refused visitors", 1000, 1.0  # to ports that a program listens on
    TURNED_AWAY = "questions turned away", 1000, 1.0
    USER = "connections of users who have too many", 20_000, 0.5  # for each user but root: a tenth of the history

    def __init__(self, what: str, burst: int, each_s: float) -> None:
        self.what = what
        self.burst = burst
        self.each_s = each_s


class HistoryBudget:
    def __init__(self) -> None:
        self.left_out: Counter[Share] = Counter()
        self._paces: BoundedTable[tuple[Share, int], Pace] = BoundedTable(_CAPACITY)

    def has_room(self, record: Record, now_s: float) -> bool:
        """Whether the history keeps this record; if so it is counted. `now_s`: boot-time seconds."""
        found = _find_share(record)
        if found is None:
            return True
        share, _whose = found
        pace = self._paces.find(found) or Pace(burst=share.burst, each_s=share.each_s)
        self._paces.put(found, pace)
        has_room = pace.may_go(now_s)
        self.left_out[share] += not has_room
        return has_room


def _find_share(record: Record) -> tuple[Share, int] | None:
    """Which share a record counts for, and the user whose share that is (0: of all together); None: it is kept."""
    if not isinstance(record, ConnectionDecided | ServerNameRead):
        return None
    decision, flow, attribution = record.decision, record.connection.flow, record.connection.attribution
    if isinstance(record, ConnectionDecided):
        if not attribution.is_listening:
            return Share.CLOSED_PORTS, 0
        if decision.verdict is Verdict.DENY and flow.direction is Direction.INBOUND:
            return Share.VISITORS, 0
        if decision.is_turned_away:
            return Share.TURNED_AWAY, 0
    process = attribution.process
    return (Share.USER, share_of(process.uid)) if process and process.uid else None


class Recorder:
    def __init__(
        self, log: LogOutput, log_format: LogFormat, history: History, learned_rules: LearnedRules | None = None
    ) -> None:
        self._log = log
        self._is_text = log_format is LogFormat.TEXT
        self._history = history
        self._learned_rules = learned_rules  # None: not observing
        self._early: list[LogLine] | None = []  # lines from before the ready line; None: that is written
        self.due_s: float | None = None  # boot-time seconds: when `flush` is due; None: nothing waits for it
        self._history_budget = HistoryBudget()

    def record(self, record: Record, uid: int | None, now: Instant) -> bytes:
        """Write a record about a process of `uid` to the log and the history; return its line as JSON."""
        line = log_line_of(record)
        encoded = encode_object(line)
        if self._early is None:
            remarks = remarks_on(record) if isinstance(record, PromptAnswered) else ()
            self._log.write(self._format(line, encoded, remarks))
        else:
            self._early.append(line)
        if self._history_budget.has_room(record, now.boot_s):
            self._history.append(encoded, uid)
            self.due_s = self.due_s or 0.0
        if self._learned_rules is not None and isinstance(record, ConnectionDecided):
            self._learn(record, self._learned_rules)
        return encoded

    def _learn(self, record: ConnectionDecided, learned_rules: LearnedRules) -> None:
        """Add the rule that a prompt would propose, if no rule decided this connection."""
        connection = record.connection
        if record.decision.is_learned and can_be_remembered(connection):
            rule, wider = learn_rule(connection, record.decision.rule, record.wall_s)
            learned_rules.add(format_rule(rule), tuple(map(format_rule, wider)))

    def begin(self, ready: ReadyLine, *remarks: str) -> None:
        """Begin the log with the ready line, now that enforcement stands."""
        early, self._early = self._early or [], None
        self._log.write(self._format(ready, encode_object(ready), remarks))
        for line in early:
            told = msgspec.structs.replace(line, time=ready.time)
            self._log.write(self._format(told, encode_object(told)))

    def _format(self, line: LogLine, encoded: bytes, remarks: tuple[str, ...] = ()) -> bytes:
        return format_text(line, remarks).encode(errors="backslashreplace") if self._is_text else encoded

    def flush(self, now: Instant) -> None:
        self._log.flush()
        self.due_s = self._history.flush_due(now.boot_s)
        if self._learned_rules is not None:
            self._learned_rules.flush()

    def losses(self) -> dict[str, int]:
        learned = {} if self._learned_rules is None else {"learned rules": self._learned_rules.lost}
        return {"log lines": self._log.lost, "history rows": self._history.lost, **learned}

    def not_kept(self) -> dict[str, int]:
        """Records that are in the log but were left out of the history."""
        left_out = self._history_budget.left_out
        return {f"{share.what}, in the log alone": left_out[share] for share in Share}
