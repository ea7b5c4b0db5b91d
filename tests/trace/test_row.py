"""A line as a row of a terminal."""

import pytest

from tinysnitch.trace.line import TraceLine, lost_line_of
from tinysnitch.trace.row import HEAD, format_clock, lay_out, name_user
from tinysnitch.view.span import Span, Weight, text_of

TIME = "2019-08-24T10:17:03.250Z"


def row_of(line: TraceLine, width: int = 200) -> str:
    return text_of(tuple(lay_out(line, width, {1000: "karl"}.__getitem__))).rstrip()


def make_line(event: str, **fields: object) -> TraceLine:
    return TraceLine(**{"time": TIME, "event": event, "pid": 42, "uid": 1000, "program": "/bin/sh", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (make_line("connect", protocol="tcp", address="192.0.2.1", port=80), "tcp 192.0.2.1:80"),
        (make_line("fork", parent=40), "parent 40"),
        (make_line("exec"), ""),
        (make_line("exit", status=3), "status 3"),
        (make_line("exit", signal=9), "SIGKILL"),
        (make_line("exit", signal=40), "signal 40"),
    ],
)
def test_columns_stand_below_their_heads(line: TraceLine, place: str) -> None:
    row = row_of(line)
    starts = [HEAD.index(name) for name in ("event", "where", "program")]
    assert row[: starts[0]].rstrip() == format_clock(TIME)
    assert row[starts[0] :].startswith(line.event)
    assert row[starts[1] : starts[2]].rstrip() == place
    assert row[starts[2] :] == "/bin/sh"
    assert " 42 karl " in row


def test_a_row_is_cut_at_the_terminals_width() -> None:
    long = make_line("exec", args=("-c", "echo " * 40))
    assert len(row_of(long, 80)) == 80
    assert row_of(long, 80).endswith("…")
    assert row_of(make_line("exec"), 80) == row_of(make_line("exec"))
    deep = row_of(make_line("accept", protocol="tcp", address="2001:db8:1:2:3:4:5:6", port=80, program="/a" * 40), 80)
    assert (len(deep), deep[HEAD.index("program") - 4 : HEAD.index("program")]) == (80, ":80 ")
    assert deep.endswith("/a/a/a")


def test_what_a_program_chose_steers_no_terminal() -> None:
    row = row_of(make_line("exec", program="/tmp/\x1b[2J\u202e", args=("a b", "\n")))
    assert row.isprintable()
    assert "'a b'" in row


def test_marks_of_a_letter_do_not_cover_the_rows_around() -> None:
    row = row_of(make_line("exec", program="/tmp/e" + "\u0301" * 9, args=("o" + "\u0308" * 9,)))
    assert (row.count("\u0301"), row.count("\u0308")) == (2, 2)


def test_a_loss_stands_out() -> None:
    text = "lost    3 lines that came faster than they could be written"
    assert list(lay_out(lost_line_of(3, 2.0), 200, str))[-1] == Span(text, weight=Weight.BAD)


def test_a_user_has_a_name_or_a_number() -> None:
    assert [name_user(0), name_user(2**31 - 7)] == ["root", str(2**31 - 7)]
