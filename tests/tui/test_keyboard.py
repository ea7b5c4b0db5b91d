import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.tui.keyboard import parse_keys
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
        (b"\x1b[200~y", ["y"]),
        (b"\x1b[1;5y", []),
        ("ÿé€".encode(), ["ÿ", "é", "€"]),
        (b"\xc3y\xff\xe2\x82", ["y"]),  # halves of characters
        (b"\r\n \x00", ["enter", "enter", " "]),
        (b"\x7f\x08\x1b[3~", ["backspace", "backspace", "delete"]),
        (b"\x1b[H\x1bOF\x01\x05\x15", ["home", "end", "ctrl+a", "ctrl+e", "ctrl+u"]),
    ],
)
def test_bytes_become_keys(data: bytes, names: list[str]) -> None:
    assert parse_keys(data) == names


@given(st.binary())
def test_any_bytes_can_be_read(data: bytes) -> None:
    assert all(name.isprintable() for name in parse_keys(data))


def test_every_single_character_key_of_the_table_can_be_typed() -> None:
    for name in (name for key in KEYS for name in key.names if len(name) == 1):
        assert parse_keys(name.encode()) == [name]
