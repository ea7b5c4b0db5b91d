"""What tinysnitch-trace does before it traces. tests/lab tests it with the BPF programs."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.trace.command import _stop_by_signals, trace


@pytest.fixture(autouse=True)
def _pipes_as_before() -> Iterator[None]:
    """Restore SIGPIPE: asyncio leaves its default action, which would end the process of all later tests."""
    before = signal.getsignal(signal.SIGPIPE)
    yield
    signal.signal(signal.SIGPIPE, before)


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
    monkeypatch.setattr("tinysnitch.trace.command.MOUNT_POINT", tmp_path)
    monkeypatch.setattr("tinysnitch.trace.command.mount_bpffs", lambda: False)
    monkeypatch.setattr("tinysnitch.trace.command.is_permitted", lambda: is_permitted)
    monkeypatch.setattr(BpfPrograms, "load", load)
    with pytest.raises(SnitchError, match="BPF does not work here: it does not load") as refused:
        trace.main([], standalone_mode=False)
    assert refused.value.exit_code == exit_code
    assert list(tmp_path.iterdir()) == []


def test_the_help_says_that_execs_are_the_whole_machines() -> None:
    said = " ".join(CliRunner().invoke(trace, ["--help"]).output.split())
    assert "in this network namespace, and who forks, executes what and exits anywhere on this machine" in said


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
