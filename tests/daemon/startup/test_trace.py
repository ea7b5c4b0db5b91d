"""The lines of tinysnitch-trace. tests/lab tests it with the BPF programs."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.flow import TCP, parse_address
from tinysnitch.daemon.startup.trace import _stop_by_signals, describe, trace
from tinysnitch.kernel.bpf.layout import TRACE_BIND, TRACE_CONNECT, TRACE_EXEC, TRACE_SEND, Owner, TraceEvent
from tinysnitch.kernel.bpf.programs import BpfPrograms


@pytest.fixture(autouse=True)
def _pipes_as_before() -> Iterator[None]:
    """Restore SIGPIPE: asyncio leaves its default action, which would end the process of all later tests."""
    before = signal.getsignal(signal.SIGPIPE)
    yield
    signal.signal(signal.SIGPIPE, before)


class SmallImage:
    executable = "/usr/bin/curl"
    args = ("curl", "a b", "\x1b[31m")


class SmallPrograms:
    def find_image(self, exec_id: int) -> SmallImage | None:
        return SmallImage() if exec_id == 7 else None


def line(kind: int, address: str = "192.0.2.1", exec_id: int = 7) -> str:
    event = TraceEvent(2_000_000_000, 5, Owner(exec_id, 1, 42, 1000), parse_address(address), 80, TCP, kind)
    return describe(cast(BpfPrograms, SmallPrograms()), event, 0.0)


def test_a_line_says_when_what_where_and_who() -> None:
    start = "1970-01-01T00:00:02.000Z connect tcp 192.0.2.1:80 42 1000 /usr/bin/curl 'a b' "
    assert line(TRACE_CONNECT).startswith(start)
    assert "\x1b" not in line(TRACE_CONNECT)


def test_an_exec_is_nowhere_and_ipv6_is_in_brackets() -> None:
    assert " exec 42 1000 /usr/bin/curl" in line(TRACE_EXEC)
    assert " tcp [2001:db8::1]:80 " in line(TRACE_SEND, "2001:db8::1")


def test_who_was_not_seen_to_start_is_unknown() -> None:
    assert line(TRACE_BIND, exec_id=8).endswith(" 42 1000 unknown")


@pytest.mark.parametrize("place", ["", "/", "/nope"])
def test_what_is_no_cgroup_is_no_place_to_trace(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = CliRunner().invoke(trace, ["--cgroup", place])
    assert result.exit_code == 2
    assert "invalid value for '--cgroup'" in result.output.lower()


@pytest.mark.parametrize(("is_permitted", "exit_code"), [(True, 1), (False, 4)])
def test_programs_that_do_not_load_leave_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_permitted: bool, exit_code: int
) -> None:
    def load(pins: Path, *_what: object, **_more: object) -> BpfPrograms:
        pins.mkdir()
        raise SnitchError("it does not load")

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("tinysnitch.daemon.startup.trace.MOUNT_POINT", tmp_path)
    monkeypatch.setattr("tinysnitch.daemon.startup.trace.mount_bpffs", lambda: False)
    monkeypatch.setattr("tinysnitch.daemon.startup.trace.is_permitted", lambda: is_permitted)
    monkeypatch.setattr(BpfPrograms, "load", load)
    with pytest.raises(SnitchError, match="BPF does not work here: it does not load") as refused:
        trace.main([], standalone_mode=False)
    assert refused.value.exit_code == exit_code
    assert list(tmp_path.iterdir()) == []


def test_the_help_says_that_execs_are_the_whole_machines() -> None:
    said = " ".join(CliRunner().invoke(trace, ["--help"]).output.split())
    assert "in this network namespace, and who executes what anywhere on this machine" in said


def test_only_root_may_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NotPermitted):
        trace.main([], standalone_mode=False)


def test_what_is_ignored_stays_so() -> None:
    """nohup(1) ignores SIGHUP."""

    async def set_up() -> object:
        _stop_by_signals()
        return signal.getsignal(signal.SIGHUP)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert asyncio.run(set_up()) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
