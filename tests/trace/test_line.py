"""What is told of events, as text and as JSON."""

import json
from typing import cast

from tinysnitch.core.model.flow import TCP, parse_address
from tinysnitch.kernel.bpf.layout import (
    TRACE_ACCEPT,
    TRACE_BIND,
    TRACE_CONNECT,
    TRACE_EXEC,
    TRACE_EXIT,
    TRACE_FORK,
    TRACE_SEND,
    TRACE_TRAFFIC,
    Owner,
    TraceEvent,
)
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.trace.line import TraceLine, format_json, format_text, lost_line_of
from tinysnitch.trace.reader import TraceReader


class SmallImage:
    executable = "/usr/bin/curl"
    args = ("curl", "a b", "\x1b[31m")


class SmallPrograms:
    def __init__(self, *events: TraceEvent) -> None:
        self._events = events

    def find_image(self, exec_id: int) -> SmallImage | None:
        return SmallImage() if exec_id == 7 else None

    def list_processes(self) -> dict[int, int]:
        return {41: 7}

    def read_traces(self) -> list[TraceEvent]:
        return list(self._events)


def event(kind: int, address: str = "192.0.2.1", exec_id: int = 7, pid: int = 42, detail: int = 0) -> TraceEvent:
    return TraceEvent(
        2_000_000_000, 5, Owner(exec_id, 1, pid, 1000), parse_address(address), 80, TCP, kind, detail=detail
    )


def read(*events: TraceEvent) -> list[TraceLine]:
    return list(TraceReader(cast(BpfPrograms, SmallPrograms(*events)), 0.0).read())


def line(*what: TraceEvent) -> str:
    return format_text(read(*what)[-1])


def test_a_line_says_when_what_where_and_who() -> None:
    start = "1970-01-01T00:00:02.000Z connect tcp 192.0.2.1:80 42 1000 /usr/bin/curl 'a b' "
    assert line(event(TRACE_CONNECT)).startswith(start)
    assert "\x1b" not in line(event(TRACE_CONNECT))
    assert " accept tcp 192.0.2.1:80 42 1000 " in line(event(TRACE_ACCEPT))


def test_an_exec_is_nowhere_and_ipv6_is_in_brackets() -> None:
    assert " exec 42 1000 /usr/bin/curl" in line(event(TRACE_EXEC))
    assert " tcp [2001:db8::1]:80 " in line(event(TRACE_SEND, "2001:db8::1"))


def test_a_fork_has_its_parent_and_an_exit_how_it_ended() -> None:
    assert " fork parent 40 42 1000 /usr/bin/curl" in line(event(TRACE_FORK, detail=40))
    assert " exit status 3 41 1000 /usr/bin/curl" in line(event(TRACE_EXIT, pid=41, exec_id=0, detail=3 << 8))
    assert " exit signal 9 41 1000 /usr/bin/curl" in line(event(TRACE_EXIT, pid=41, exec_id=0, detail=9 | 0x80))


def test_what_ends_is_what_was_executed_last_and_ends_once() -> None:
    ends = event(TRACE_EXIT, exec_id=0)
    lines = read(event(TRACE_FORK, exec_id=8), event(TRACE_EXEC), ends, ends)
    assert [(each.event, each.program) for each in lines[1:]] == [("exec", "/usr/bin/curl"), ("exit", "/usr/bin/curl")]


def test_who_was_not_seen_to_start_is_unknown() -> None:
    assert line(event(TRACE_BIND, exec_id=8)).endswith(" 42 1000 unknown")


def test_rows_of_traffic_are_no_lines() -> None:
    assert read(event(TRACE_TRAFFIC)) == []


def test_json_has_each_field_and_no_raw_escape() -> None:
    written = format_json(read(event(TRACE_CONNECT))[0])
    assert "\x1b" not in written
    assert json.loads(written) == {
        "time": "1970-01-01T00:00:02.000Z",
        "event": "connect",
        "protocol": "tcp",
        "address": "192.0.2.1",
        "port": 80,
        "parent": None,
        "status": None,
        "signal": None,
        "pid": 42,
        "uid": 1000,
        "program": "/usr/bin/curl",
        "args": ["a b", "\x1b[31m"],
    }


def test_what_is_lost_is_a_line_in_each_form() -> None:
    lost = lost_line_of(3, 2.0)
    assert format_text(lost) == "1970-01-01T00:00:02.000Z WARNING lost 3 trace lines"
    assert json.loads(format_json(lost)) == {
        "event": "lost",
        "time": "1970-01-01T00:00:02.000Z",
        "what": "trace lines",
        "count": 3,
    }
