"""kept_enforcement.py: what stays in the kernel when the daemon ends. tests/lab/test_stop.py tests the whole."""

import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.options import OnExit, Options
from tinysnitch.daemon.startup.kept_enforcement import Ending
from tinysnitch.daemon.startup.stop_signals import HAND_OVER, Stop
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netfilter.firewall import Netfilter


class Left:
    """What an earlier daemon, or this one, has left in the kernel; notes what is removed."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def remove(self) -> None:
        self.done.append("removed")

    def withdraw(self) -> None:
        self.done.append("own ones withdrawn")


Flags = Mapping[str, object]
KEEP, COMMAND = {"on_exit": OnExit.KEEP}, {"scope": Scope.COMMAND}


def ending_of(flags: Flags, number: signal.Signals | None, *, is_ready: bool, was_there: bool = False) -> Ending:
    """Of a daemon that got this signal; without a signal of one that fails."""
    stop = Stop()
    if number:
        stop.take(number)
    ending = Ending(Options(**flags), stop, was_there=was_there)  # type: ignore[arg-type]
    ending.is_ready = is_ready
    return ending


@pytest.mark.parametrize(
    ("numbers", "gone"),
    [
        ((signal.SIGTERM, HAND_OVER), ["rules", "programs"]),
        ((HAND_OVER, signal.SIGTERM), []),
    ],
)
def test_a_second_signal_at_the_end_leaves_no_half(numbers: tuple[signal.Signals, ...], gone: list[str]) -> None:
    """BPF programs without netfilter rules would go on refusing what was denied last."""
    done: list[str] = []
    stop = Stop()
    ending = Ending(Options(), stop, was_there=False)
    ending.is_ready = True
    for number, step in zip(numbers, ("rules", "programs"), strict=True):
        stop.take(number)
        ending.remove_unless_kept(partial(done.append, step))
    assert done == gone


@pytest.mark.parametrize("was_there", [False, True])
@pytest.mark.parametrize(
    ("flags", "number", "done"),
    [
        ({}, signal.SIGTERM, ["removed"]),
        ({}, HAND_OVER, []),
        (KEEP, signal.SIGTERM, []),
        (COMMAND, HAND_OVER, ["removed"]),  # one command's daemon has no successor
        ({}, None, []),
        (COMMAND, None, []),  # `tinysnitch run` takes that away, once the command has ended
    ],
)
def test_what_a_daemon_takes_away(
    flags: Flags, number: signal.Signals | None, done: list[str], was_there: bool
) -> None:
    ending, rules, programs = ending_of(flags, number, is_ready=True, was_there=was_there), Left(), Left()
    ending.remove_unless_kept(rules.remove)
    ending.take_programs_away(cast(BpfPrograms, programs))
    assert rules.done == programs.done == done
    assert ending.stays is not bool(done)


@pytest.mark.parametrize("flags", [{}, KEEP])
@pytest.mark.parametrize(("was_there", "done"), [(False, ["removed"]), (True, [])])
def test_a_start_that_fails_leaves_what_was_there(flags: Flags, was_there: bool, done: list[str]) -> None:
    ending, rules, programs = ending_of(flags, None, is_ready=False, was_there=was_there), Left(), Left()
    ending.remove_unless_kept(rules.remove)
    ending.take_programs_away(cast(BpfPrograms, programs))
    assert (rules.done, programs.done) == (done, ["own ones withdrawn"])


@pytest.mark.parametrize(
    ("flags", "number", "is_ready", "done"),
    [
        ({}, signal.SIGTERM, False, ["removed"]),
        ({}, HAND_OVER, False, []),
        (KEEP, signal.SIGTERM, False, []),
        ({}, None, False, []),
        ({}, signal.SIGTERM, True, []),  # its end decides that by its options
    ],
)
def test_a_start_that_is_stopped_opens_what_an_earlier_daemon_closed(
    tmp_path: Path, flags: Flags, number: signal.Signals | None, is_ready: bool, done: list[str]
) -> None:
    left, pins = Left(), tmp_path / "pins"
    pins.mkdir()
    ending_of(flags, number, is_ready=is_ready).open_early(cast(Netfilter, left), pins)
    assert (left.done, pins.exists()) == (done, not done)
