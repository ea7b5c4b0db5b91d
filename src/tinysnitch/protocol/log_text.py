"""Log lines for people: `TIME INFO allow tcp 10.0.0.2:40516 -> google.com:80 426319 /usr/bin/curl google.com`."""

import re
import shlex
from functools import lru_cache
from typing import assert_never

from tinysnitch.core.flow import Direction
from tinysnitch.protocol.log_lines import (
    AnswerLine,
    AskLine,
    ConnectionLine,
    LogLine,
    LostLine,
    ReadyLine,
    RulesLine,
)

_PLAIN = re.compile(r"[!-~ ]*")
_WITH_PORTS = ("tcp", "udp")


def format_text(line: LogLine) -> str:
    """One line for a person; what programs and servers control is escaped."""
    return f"{line.time} {_level(line)} {_tell(line)}"


def _level(line: LogLine) -> str:
    if isinstance(line, LostLine):
        return "WARNING"
    return "ERROR" if isinstance(line, RulesLine) and line.errors else "INFO"


def _tell(line: LogLine) -> str:
    match line:
        case ConnectionLine():
            return f"{line.verdict.value} {format_connection(line)}"
        case AskLine():
            return f"ask {line.id} {format_connection(line)}"
        case AnswerLine():
            return f"answer {line.id} uid {line.by_uid}: {escape(line.rule)}"
        case RulesLine():
            return "; ".join((f"rules {line.loaded} loaded", *map(escape, line.errors)))
        case LostLine():
            return f"lost {line.count} {escape(line.what)}"
        case ReadyLine():
            return f"ready, mode {line.mode}, {line.rules} rules, socket {escape(line.socket)}"
        case _:
            assert_never(line)


def format_connection(line: ConnectionLine | AskLine) -> str:
    """`tcp LOCAL:PORT -> REMOTE:PORT PID PROGRAM ARGS`; inbound the remote comes first."""
    pid = "-" if line.pid is None else line.pid
    words = " ".join(map(quote, (line.program, *line.args)))
    return f"{format_endpoints(line)} {pid} {words}"


def format_endpoints(line: ConnectionLine | AskLine) -> str:
    has_ports = line.protocol in _WITH_PORTS
    local = _endpoint(line.local_address, line.local_port if has_ports else None)
    remote = _endpoint(line.name or line.remote_address, line.remote_port if has_ports else None)
    if line.direction is Direction.INBOUND:
        local, remote = remote, local
    return f"{line.protocol} {local} -> {remote}"


def _endpoint(host: str, port: int | None) -> str:
    host = f"[{host}]" if ":" in host else escape(host).replace(" ", "\\x20")
    return host if port is None else f"{host}:{port}"


@lru_cache(maxsize=4096)
def quote(word: str) -> str:
    """A word as a shell would take it, with nothing in it that a terminal would obey."""
    return shlex.quote(escape(word))


def escape(text: str) -> str:
    """What is not plain ASCII as `\\xNN`, `\\uNNNN` or `\\UNNNNNNNN`, letters of other scripts excepted."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(char if _is_plain(char) else _escape_char(ord(char)) for char in text)


def _is_plain(char: str) -> bool:
    return " " <= char <= "~" or char.isalnum()


def _escape_char(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
