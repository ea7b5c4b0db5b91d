"""Where the lines go, and what is told of those that are lost."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.trace.line import TraceLine
from tinysnitch.trace.printer import TracePrinter
from tinysnitch.trace.row import HEAD

LINE = TraceLine(time="2019-08-24T10:17:03.250Z", event="exit", signal=9, pid=42, uid=0, program="/bin/sh")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Its two ends: what is read, and what is written to."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")  # pytest's own output is no terminal
    master, slave = os.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_on_a_terminal_there_are_heads_and_colours(terminal: tuple[int, int]) -> None:
    printer = TracePrinter(terminal[1], as_json=False)
    printer.print([LINE])
    printer.close(0)
    with open(terminal[0], closefd=False) as screen:
        head, row = (screen.readline().rstrip("\n") for _each in range(2))
    assert head == f"\x1b[1m{HEAD}\x1b[0m"
    assert re.search(r"\x1b\[[\d;]+mSIGKILL", row)
    assert " 42 root " in re.sub(r"\x1b\[[\d;]*m", "", row)


def test_json_and_what_is_piped_are_the_same_everywhere(terminal: tuple[int, int], tmp_path: Path) -> None:
    TracePrinter(terminal[1], as_json=True).print([LINE])
    assert os.read(terminal[0], 4096).startswith(b'{"time":"2019-08-24T10:17:03.250Z","event":"exit"')
    with (tmp_path / "lines").open("wb") as file:
        printer = TracePrinter(file.fileno(), as_json=False)
        printer.print([LINE])
        printer.close(0)
    assert (tmp_path / "lines").read_text() == "2019-08-24T10:17:03.250Z exit signal 9 42 0 /bin/sh\n"


def test_each_loss_is_told_once_and_all_of_them_at_the_end(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("wb") as file:
        printer = TracePrinter(file.fileno(), as_json=False)
        for unread in (0, 3, 3, 5):
            printer.tell_lost(unread, 0.0)
        with pytest.raises(SnitchError, match="5 lines were lost"):
            printer.close(5)
    assert re.findall(r"lost (\d+) trace lines", (tmp_path / "lines").read_text()) == ["3", "2"]


def test_a_disk_that_is_full_is_an_error_and_a_reader_that_has_enough_is_none() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        printer = TracePrinter(full.fileno(), as_json=False)
        printer.print([LINE])
        assert printer.has_failed
        with pytest.raises(SnitchError, match="No space left on device"):
            printer.close(0)
    reading, writing = os.pipe()
    os.close(reading)
    printer = TracePrinter(writing, as_json=False)
    printer.print([LINE])
    printer.close(0)
    os.close(writing)
