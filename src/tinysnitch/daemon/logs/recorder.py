"""Writes records to the log and the history, and in observe mode makes rules of what was let pass.

The log begins with the ready line (docs/commands.md). What is recorded before that is written after it, with the time
of the ready line, so that times in the log never go back.
"""

import msgspec

from tinysnitch.core.engine.records import (
    ConnectionDecided,
    PacketSocketSeen,
    PromptAnswered,
    PromptOpened,
    Record,
    ServerNameRead,
)
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.process import program_of
from tinysnitch.core.policy.decision import LEARNING
from tinysnitch.core.prompts.answer import bounded, can_be_remembered
from tinysnitch.core.prompts.proposal import choose_first_for_ever, learn_rule
from tinysnitch.core.rules.learned_line import LEARN, PAUSE
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.daemon.logs.history_quota import HistoryQuota, Share
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.daemon.options import LogFormat
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import LogLine, ReadyLine, log_line_of
from tinysnitch.protocol.log_text import format_text, remarks_on
from tinysnitch.store.history import History
from tinysnitch.store.learned_rules import LearnedRules


class Recorder:
    def __init__(self, log: LogOutput, log_format: LogFormat, history: History, learned_rules: LearnedRules) -> None:
        self._log = log
        self._is_text = log_format is LogFormat.TEXT
        self._history = history
        self.learned_rules = learned_rules
        self._early: list[LogLine] | None = []  # lines from before the ready line; None: that is written
        self.due_s: float | None = None  # boot-time seconds: when `flush` is due; None: nothing waits for it
        self._history_quota = HistoryQuota()
        self.private: frozenset[str] = frozenset()  # programs that the history does not name
        self._unnamed = 0  # records about these

    def record(self, record: Record, uid: int | None, now: Instant) -> bytes:
        """Write a record about a process of `uid` to the log and the history; return its line as JSON."""
        line = log_line_of(record)
        encoded = encode_object(line)
        if self._early is None:
            remarks = remarks_on(record) if isinstance(record, PromptAnswered) else ()
            self._log.write(self._format(line, encoded, remarks))
        else:
            self._early.append(line)
        if _names_one_of(record, self.private):
            self._unnamed += 1
        elif self._history_quota.has_room(record, now.boot_s):
            self._history.append(encoded, uid)
            self.due_s = self.due_s or 0.0
        if isinstance(record, ConnectionDecided):
            self._learn(record)
        return encoded

    def _learn(self, record: ConnectionDecided) -> None:
        """Add the rule that a prompt would propose, if no rule decided this connection."""
        connection = record.connection
        if record.decision.is_learned and can_be_remembered(connection):
            choice = choose_first_for_ever(connection)
            if bounded(connection, choice) != choice:  # no lasting rule is proposed, as for a secret
                return
            rule, wider = learn_rule(connection, record.decision.rule, record.wall_s)
            why = LEARN if record.decision.reason.startswith(LEARNING) else PAUSE
            self.learned_rules.add(format_rule(rule), why, record.wall_s, tuple(map(format_rule, wider)))

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
        self.learned_rules.flush()  # first: of what the log has let pass, a kill leaves no rule out
        self._log.flush()
        self.due_s = self._history.flush_due(now.boot_s)

    def losses(self) -> dict[str, int]:
        lost = {"log lines": self._log.lost, "history rows": self._history.lost}
        return lost | {"learned rules": self.learned_rules.lost}

    def not_kept(self) -> dict[str, int]:
        """Records that are in the log but were left out of the history."""
        left_out = self._history_quota.left_out
        unnamed = {"records of private programs, in the log alone": self._unnamed}
        return unnamed | {f"{share.what}, in the log alone": left_out[share] for share in Share}


def _names_one_of(record: Record, programs: frozenset[str]) -> bool:
    if not programs:
        return False
    match record:
        case ConnectionDecided(connection) | ServerNameRead(connection) | PromptOpened(connection=connection):
            return program_of(connection.attribution) in programs
        case PromptAnswered(rule=rule):
            return any(quote_word(program) in rule for program in programs)
        case PacketSocketSeen(program=program):
            return program in programs
        case _:
            return False
