import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.tui.keyboard import KeyReader, parse_keys
from tinysnitch.view.keys import KEYS


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"y", ["y"]),
        (b"fd9y", ["f", "d", "9", "y"]),
        (b"\x1b", ["escape"]),
        (b"\t\x1b[Z", ["tab", "shift+tab"]),
        (b"\x1b[A\x1bOB\x1b[C\x1b[D", ["up", "down", "right", "left"]),
        (b"?\x03", ["question_mark", "ctrl+c"]),
        (b"\x1by", []),  # Alt-y
        (b"\x1b[200~y\x1b[201~", ["paste", "y"]),
        (b"\x1b[1;5y", []),
        (b"y\x1b[24;80Ry", ["y", "cursor report", "y"]),
        ("ÿé€".encode(), ["ÿ", "é", "€"]),
        (b"\xc3y\xff\xe2\x82", ["y"]),  # halves of characters
        (b"\xc3\xa9\xa9y", ["y"]),  # a whole character, and half of one
        (b"\x1b[My!!", []),  # a click in column 89
        (b"\x1b[[A", []),
        (b"\x1b[<0;89;1M\x1b[<0;89;1m", []),
        (b"\x1b[?2026;2$y", []),  # a report of a mode
        (b"\x1b[?2026;2", []),
        (b"\x1b[121;1:3u", []),  # y is released
        (b"\x1b]11;rgb:1d1d/2020/efef\x07y", ["y"]),  # a report of a color
        (b"\x1bP>|kitty(0.32.1)\x1b\\", []),  # a report of the terminal's name
        (b"\x1b_Gi=1;OKy", []),
        (b"\x1b]", []),  # Alt with the bracket
        (b"\r\n \x00", ["enter", "enter", " "]),
        (b"\x7f\x08\x1b[3~", ["backspace", "backspace", "delete"]),
        (b"\x1b[H\x1bOH\x1b[1~", ["home"] * 3),
        (b"\x1b[F\x1bOF\x1b[4~", ["end"] * 3),
        (b"\x01\x05\x15\x17", ["ctrl+a", "ctrl+e", "ctrl+u", "ctrl+w"]),
    ],
)
def test_bytes_become_keys(data: bytes, names: list[str]) -> None:
    assert parse_keys(data) == names
    reader = KeyReader()
    assert reader.feed(data) + reader.take() == names


def test_what_comes_in_pieces_is_put_together() -> None:
    reader = KeyReader()
    pieces = (b"y\x1b", b"[", b"1", b"~\xe2", b"\x82", b"\xac\x1bO", b"B\x1b[M", b"!", b"yy\xc3\xa9\x1b[[", b"An")
    assert [reader.feed(piece) for piece in pieces] == [["y"], [], [], ["home"], [], ["€"], ["down"], [], ["é"], ["n"]]
    assert not reader.is_waiting
    assert (reader.feed(b"n\x1b"), reader.is_waiting, reader.take(), reader.is_waiting) == (
        ["n"],
        True,
        ["escape"],
        False,
    )


@given(st.binary())
def test_any_bytes_can_be_read(data: bytes) -> None:
    assert all(name.isprintable() for name in parse_keys(data))


def test_every_single_character_key_of_the_table_can_be_typed() -> None:
    for name in (name for key in KEYS for name in key.names if len(name) == 1):
        assert parse_keys(name.encode()) == [name]
