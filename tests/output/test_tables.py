"""How tables reach a terminal: with colours where it has them, and never with an escape of somebody else's."""

import os
import pty
import re

import pytest

from tinysnitch.output import tables
from tinysnitch.view.history.table import Table
from tinysnitch.view.span import Span, Weight, span_of

LINE = (Span("lacking", weight=Weight.BAD), Span(" "), span_of("/bin/\x1b[31m\u202e"), Span(" …"))


def painted(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """What a terminal gets."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        monkeypatch.setattr(tables, "find_output", lambda: theirs)
        assert tables.is_terminal()
        tables.print_cells([LINE])
        terminal.flush()
        shown = os.read(ours, 4096).decode()
    os.close(ours)
    return shown


@pytest.mark.parametrize(
    ("environment", "begin"),
    [
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "\x1b\\[1;[0-9;]+mlacking\x1b\\[0m"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "\x1b\\[1mlacking\x1b\\[0m"),
        ({"TERM": "dumb", "NO_COLOR": ""}, "lacking"),
    ],
)
def test_a_terminal_gets_the_colours_that_it_has(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], begin: str
) -> None:
    shown = painted(monkeypatch, **environment)
    assert re.fullmatch(begin + re.escape(" /bin/\\x1b[31m\\u202e …\r\n"), shown)


def test_behind_a_pipe_it_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_cells([LINE])
    assert (capsys.readouterr().out, tables.find_width()) == ("lacking /bin/\\x1b[31m\\u202e …\n", None)


def test_signs_that_the_encoding_lacks_become_ascii() -> None:
    assert tables.paint(LINE, "ascii").plain.endswith(" ~")


def test_a_table_has_the_width_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(head=("program",), rows=(((Span("/usr/lib/" + "x" * 80),),),), left=frozenset({0}))
    tables.print_table(table)
    assert len(capsys.readouterr().out.splitlines()[1]) == 89
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    tables.print_heading("since midnight: 14 programs, 1,204 connections")
    tables.print_table(table)
    *heading, blank, _head, row = capsys.readouterr().out.splitlines()
    assert (len(heading), blank, len(row)) == (2, "", 40)


def test_values_with_commas_are_quoted_and_no_sign_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_csv([{"program": "/bin/a,\x1b[2J", "count": 3}])
    tables.print_csv([])
    assert capsys.readouterr().out == 'program,count\n"/bin/a,\\x1b[2J",3\n'
