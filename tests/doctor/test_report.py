import os
import pty

import pytest

from tinysnitch.doctor.finding import Finding, State, fine, for_root, lacking
from tinysnitch.doctor.report import lay_out, print_report, summarize

LACKING = Finding("BTF", State.LACKING, "no types \x1b[31m", "programs are known less surely", "boot another kernel")


def test_below_what_lacks_stand_what_follows_and_what_mends_it() -> None:
    rows = ["".join(parts).rstrip() for parts in lay_out(LACKING, 50)]
    assert rows == [
        "lacking BTF               no types \\x1b[31m",
        "                          so programs are known",
        "                             less surely",
        "                          hint: boot another",
        "                                kernel",
    ]


def test_the_last_line_names_what_lacks() -> None:
    assert summarize([fine("a", "")]) == "nothing lacks"
    assert summarize([LACKING]) == "lacking: BTF"
    seen = "lacking: BTF, b, as far as you may see; `sudo tinysnitch doctor` tells 1 more"
    assert summarize([LACKING, lacking("b", "", ""), for_root("c")]) == seen


@pytest.mark.parametrize(("no_colour", "is_red"), [("", True), ("1", False)])
def test_on_a_terminal_what_lacks_is_red(monkeypatch: pytest.MonkeyPatch, no_colour: str, is_red: bool) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_colour)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        monkeypatch.setattr("tinysnitch.doctor.report.find_output", lambda: theirs)
        print_report([LACKING])
        terminal.flush()
        painted = os.read(ours, 4096).decode()
    os.close(ours)
    assert ("\x1b[1;31mlacking" in painted) is is_red
    assert "no types \\x1b[31m" in painted
