"""The lines of the log, of the history and of `--follow`. Their fields are those in docs/commands.md."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import assert_never

import msgspec

from tinysnitch import __version__
from tinysnitch.core.engine.records import (
    ConnectionDecided,
    LossCounted,
    ModeChanged,
    PacketSocketSeen,
    PromptAnswered,
    PromptOpened,
    Record,
    RulesReplaced,
    ServerNameRead,
)
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction, format_address, format_protocol
from tinysnitch.core.model.process import AttributionSource, program_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.protocol.framing import FrameDecoder
from tinysnitch.protocol.messages import Mode


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", gc=False):
    time: str  # ISO 8601, UTC, milliseconds


class ReadyLine(_Line, frozen=True, kw_only=True, tag="ready"):
    """Enforcement stands."""

    version: str = __version__
    pid: int
    mode: Mode
    netns: int
    rules: int
    socket: str
    cgroup: str  # the cgroup whose processes BPF knows


class _JudgedLine(_Line, frozen=True, kw_only=True):
    """What connection and ask lines share."""

    verdict: Verdict
    reason: str
    rule: str | None
    cached: bool
    direction: Direction
    protocol: str
    local_address: str
    local_port: int  # ICMP echo: the identifier
    remote_address: str
    remote_port: int
    name: str | None
    pid: int | None
    uid: int | None
    program: str
    args: tuple[str, ...]
    parents: tuple[str, ...]
    attribution: AttributionSource
    started_as: str | msgspec.UnsetType = msgspec.UNSET  # only for a program that has several names


class ConnectionLine(_JudgedLine, frozen=True, kw_only=True, tag="connection"):
    pass


class SaidLine(_JudgedLine, frozen=True, kw_only=True, tag="said"):
    """A connection that was allowed without a name, or with a guessed one, says this `name` itself and goes on."""


class AskLine(_JudgedLine, frozen=True, kw_only=True, tag="ask"):
    id: int
    count: int = 1  # connections that wait
    remaining_s: float | msgspec.UnsetType = msgspec.UNSET  # only in a list of open prompts


class AnswerLine(_Line, frozen=True, kw_only=True, tag="answer"):
    id: int
    rule: str
    by_uid: int


class RulesLine(_Line, frozen=True, kw_only=True, tag="rules"):
    loaded: int
    errors: tuple[str, ...]  # FILE:LINE:COLUMN: problem


class ModeLine(_Line, frozen=True, kw_only=True, tag="mode"):
    """What no rule covers is decided in another way from now on."""

    mode: Verdict
    until: str | None  # as `time`; null: no end
    by_uid: int | None  # null: the time of the mode before is over


class LostLine(_Line, frozen=True, kw_only=True, tag="lost"):
    what: str
    count: int


class PacketSocketLine(_Line, frozen=True, kw_only=True, tag="packet_socket"):
    pid: int
    uid: int
    program: str  # its executable


LogLine = (
    ReadyLine | ConnectionLine | SaidLine | AskLine | AnswerLine | RulesLine | ModeLine | LostLine | PacketSocketLine
)

_decoder: FrameDecoder[LogLine] = FrameDecoder(LogLine)


def parse_log_line(frame: bytes) -> LogLine:
    """The line that encode_object made this frame of. Raises Malformed."""
    return _decoder.decode(frame)


def log_line_of(record: Record) -> LogLine:
    """The line that tells of a record."""
    time = format_time(record.wall_s)
    match record:
        case ConnectionDecided():
            return _connection_line(record.connection, record.decision, time, is_cached=record.is_cached)
        case ServerNameRead(connection, decision):
            return SaidLine(**msgspec.structs.asdict(_connection_line(connection, decision, time)))
        case PromptOpened(prompt_id, connection, decision):
            return _ask_line(connection, decision, id=prompt_id, time=time)
        case PromptAnswered(prompt_id, rule, by_uid):
            return AnswerLine(time=time, id=prompt_id, rule=rule, by_uid=by_uid)
        case RulesReplaced(loaded, errors):
            return RulesLine(time=time, loaded=loaded, errors=tuple(error.with_hint() for error in errors))
        case ModeChanged(mode, until_s, by_uid):
            until = None if until_s is None else format_time(until_s)
            return ModeLine(time=time, mode=mode, until=until, by_uid=by_uid)
        case LossCounted(what, count):
            return LostLine(time=time, what=what, count=count)
        case PacketSocketSeen(pid, uid, program):
            return PacketSocketLine(time=time, pid=pid, uid=uid, program=program)
        case _:
            assert_never(record)


def ask_line_of(prompt: Prompt) -> AskLine:
    """The line of an open prompt, with how long it still waits."""
    time = format_time(prompt.opened_s)
    decision = Decision(verdict=Verdict.ASK, reason=prompt.reason, rule=prompt.rule)
    line = _ask_line(prompt.connection, decision, id=prompt.prompt_id, time=time)
    return msgspec.structs.replace(line, count=prompt.count, remaining_s=round(prompt.remaining_s, 3))


def _ask_line(connection: Connection, decision: Decision, *, id: int, time: str) -> AskLine:
    return AskLine(id=id, **msgspec.structs.asdict(_connection_line(connection, decision, time)))


def _connection_line(
    connection: Connection, decision: Decision, time: str, *, is_cached: bool = False
) -> ConnectionLine:
    """A single flat call, since this runs for every decision."""
    flow, attribution = connection.flow, connection.attribution
    process = attribution.process
    return ConnectionLine(
        time=time,
        verdict=decision.verdict,
        reason=decision.reason,
        rule=None if decision.rule is None else _rule_line(decision.rule),
        cached=is_cached,
        direction=flow.direction,
        protocol=format_protocol(flow.protocol),
        local_address=format_address(flow.local),
        local_port=flow.local_port,
        remote_address=format_address(flow.remote),
        remote_port=flow.remote_port,
        name=connection.name,
        pid=process.pid if process else None,
        uid=process.uid if process else None,
        program=program_of(attribution),
        args=process.args if process else (),
        parents=process.parents if process else (),
        attribution=attribution.source,
        started_as=(process and process.started_as) or msgspec.UNSET,
    )


@lru_cache(maxsize=1024)
def _rule_line(rule: Rule) -> str:
    return format_rule(rule)


def format_time(wall_s: float) -> str:
    """ISO 8601, UTC, with milliseconds: 2019-08-24T10:17:03.250Z."""
    milliseconds = int(wall_s * 1000)
    return f"{_format_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=64)
def _format_second(wall_s: int) -> str:
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
