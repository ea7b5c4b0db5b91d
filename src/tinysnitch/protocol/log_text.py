"""Log lines for people: `TIME INFO allow tcp 10.0.0.2:40516 -> google.com:80 426319 /usr/bin/curl google.com`."""

from functools import lru_cache
from typing import assert_never

from tinysnitch.core.engine.records import PromptAnswered, Record
from tinysnitch.core.model.asking_mode import AskingMode
from tinysnitch.core.model.domain import is_numbered
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import ANSWERED_ONCE, ANSWERED_UNTIL
from tinysnitch.core.rules.qualifiers import format_until
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.core.rules.secret_args import shorten_rule, shorten_secrets
from tinysnitch.protocol.log_lines import (
    AnswerLine,
    AskLine,
    ConnectionLine,
    LogLine,
    LostLine,
    ModeLine,
    PacketSocketLine,
    ReadyLine,
    RulesLine,
    SaidLine,
)

# All but ConnectionLine.
_OtherLine = SaidLine | AskLine | AnswerLine | RulesLine | ModeLine | LostLine | PacketSocketLine | ReadyLine
OBSERVING = "observing: what no rule decides is allowed and recorded"
WITH_PORTS = ("tcp", "udp")
_HOLD_FOR_LESS = (ANSWERED_ONCE, ANSWERED_UNTIL)  # the rule of these holds for less than its line tells


def format_text(line: LogLine, remarks: tuple[str, ...] = ()) -> str:
    """One line for people. Text that programs or servers control is escaped.

    `remarks`: what else to tell. The line has no fields for that, as its fields are a contract (docs/commands.md).
    """
    if isinstance(line, ConnectionLine):  # as nearly all are
        return f"{line.time} INFO {line.verdict.value} {_format_connection(line)}{_format_reason(line)}"
    return f"{line.time} {_level(line)} {_format_other(line, remarks)}"


def remarks_on(record: Record) -> tuple[str, ...]:
    """How long an answer holds, if the line of its rule does not tell."""
    if isinstance(record, PromptAnswered) and record.is_once:
        return ("once",)
    if isinstance(record, PromptAnswered) and record.quit_pid is not None:
        return (f"until process {record.quit_pid} ends",)
    return ()


def remarks_on_mode(mode: AskingMode) -> tuple[str, ...]:
    """That nobody is asked, which the ready line has no field for."""
    if mode.is_observing:
        return (OBSERVING,)
    until = "" if mode.until_s is None else f" until {format_until(mode.until_s)}"
    return () if mode.verdict is Verdict.ASK else (f"mode {mode.verdict.value}{until}",)


def _level(line: _OtherLine) -> str:
    if isinstance(line, LostLine | PacketSocketLine):
        return "WARNING"
    return "ERROR" if isinstance(line, RulesLine) and line.errors else "INFO"


def _format_other(line: _OtherLine, remarks: tuple[str, ...]) -> str:
    match line:
        case SaidLine():
            return f"said {_format_connection(line)} # {line.remote_address}"
        case AskLine():
            return f"ask {line.id} {_format_connection(line)}"
        case AnswerLine():
            holds = "".join(f"  # {remark}" for remark in remarks)  # as in `tinysnitch rules`
            return f"answer {line.id} uid {line.by_uid}: {escape(shorten_rule(line.rule))}{holds}"
        case RulesLine():
            if line.errors:
                return "; ".join((f"rules not all loaded, {line.loaded} hold", *map(escape, line.errors)))
            return f"rules {line.loaded} loaded"
        case ModeLine():
            who = "its time is over" if line.by_uid is None else f"uid {line.by_uid}"
            until = f" until {line.until}" if line.until else ""
            return f"mode {line.mode.value}{until}, {who}"
        case LostLine():
            return escape(line.what if _is_sentence(line) else f"lost {line.count} {line.what}")
        case PacketSocketLine():
            return f"{line.pid} {quote_word(line.program)} has a packet socket, which no firewall rule sees"
        case ReadyLine():
            rules = "1 rule" if line.rules == 1 else f"{line.rules} rules"
            return ", ".join(("ready", f"mode {line.mode.value}", rules, f"socket {escape(line.socket)}", *remarks))
        case _:
            assert_never(line)


def _format_reason(line: ConnectionLine) -> str:
    """The reason, unless the rule says it all. It is a comment, since the line before it is as it was in 2019."""
    # A rule that asks did not make the verdict.
    is_by_rule = line.rule is not None and line.rule.split(maxsplit=1)[0] == line.verdict.value
    if is_by_rule and not line.reason.startswith(_HOLD_FOR_LESS):
        return ""
    return f" # {escape(line.reason)}"


def what_holds(rules: int) -> str:
    """What is in force while the rules file has errors. `rules`: how many rules were loaded from it before."""
    return "the old rules hold" if rules else "no rule of the file holds until it is mended"


def _is_sentence(line: LostLine) -> bool:
    """Whether it reports one event, with its cause or effect. Other lines count things, and begin with `lost`."""
    return line.count == 1 and (": " in line.what or ", " in line.what)


def _format_connection(line: ConnectionLine | SaidLine | AskLine) -> str:
    """`tcp LOCAL:PORT -> REMOTE:PORT PID PROGRAM ARGS`; inbound the remote comes first. `started_as` is a comment."""
    pid = "-" if line.pid is None else line.pid
    name = f" # started as {quote_word(line.started_as)}" if isinstance(line.started_as, str) else ""
    return f"{format_endpoints(line)} {pid} {_format_words(line.program, line.args)}{name}"


def format_endpoints(line: ConnectionLine | SaidLine | AskLine) -> str:
    has_ports = line.protocol in WITH_PORTS
    local = format_endpoint(line.local_address, line.local_port if has_ports else None)
    remote = format_endpoint(line.remote_address, line.remote_port if has_ports else None, line.name)
    if line.direction is Direction.INBOUND:
        local, remote = remote, local
    return f"{line.protocol} {local} -> {remote}"


def format_endpoint(address: str, port: int | None, name: str | None = None) -> str:
    """`192.0.2.7:443`, `[2001:db8::1]:443`, by its name if that is known: `shop.test:443`; without a port where there
    are none."""
    host = f"[{address}]" if ":" in address else address
    if name:
        host = _format_name(name)
    return host if port is None else f"{host}:{port}"


def _format_name(name: str) -> str:
    """The name, quoted as in a rule if it reads like an address: a resolver may answer for `192.0.2.7`, too."""
    word = quote_word(name)
    return f"'{name}'" if word == name and is_numbered(name) else word


@lru_cache(maxsize=1024)
def _format_words(program: str, args: tuple[str, ...]) -> str:
    """Program and arguments, quoted as a rule has them. More people may read this text than its log as JSON."""
    return " ".join(map(quote_word, (program, *shorten_secrets(args))))


def escape(text: str) -> str:
    """Make one printable line of a text of ours that holds paths or rules."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
