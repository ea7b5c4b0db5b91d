import pytest
from rich.color import ColorSystem
from rich.style import Style
from rich.text import Text

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.tui.rows import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    as_key,
    as_question,
    at_both_ends,
    flow,
    key_at,
    pieces_of,
    place,
    question_at,
)
from tinysnitch.view.escape import cell_width
from tinysnitch.view.prompt_view import KeyHint


def lightness_of(color: str, system: ColorSystem) -> float:
    """Relative luminance (WCAG 2), of the colour as a terminal with so many colours shows it."""
    found = Style.parse(color).color
    assert found
    parts = [part / 255 for part in found.downgrade(system).get_truecolor()]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("color", [BLUE, GREEN, RED, ORANGE])
@pytest.mark.parametrize("system", [ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT])
def test_each_colour_can_be_read_on_black_and_on_white(color: str, system: ColorSystem) -> None:
    """3:1 is what WCAG 2 asks of bold text."""
    lightness = lightness_of(color, system)
    assert min((lightness + 0.05) / 0.05, 1.05 / (lightness + 0.05)) > 3.6


HINTS = (KeyHint("y", "allow", verdict=Verdict.ALLOW), KeyHint("Tab", "next"), KeyHint("?", "all keys"))


def test_a_click_on_a_hint_finds_its_key() -> None:
    (row,) = flow(pieces_of(HINTS, 80, is_ready=True), 80)
    page = place([row], 84, 1)
    pressed = [key_at(page, column) for column in range(84)]
    assert pressed[:10] == [None, *["y"] * 9]
    assert [key_at(page, page.plain.index(word)) for word in ("Tab", "next", "all keys")] == [
        "tab",
        "tab",
        "question_mark",
    ]
    assert pressed[-1] is None


def test_a_click_on_a_row_finds_what_it_is_for() -> None:
    pressed, pointed = as_key(Text("row"), "row 7"), as_question(Text("row"), 3)
    assert (key_at(pressed, 1), question_at(pressed, 1), key_at(pointed, 1), question_at(pointed, 1)) == (
        "row 7",
        None,
        None,
        3,
    )


def test_a_hint_that_is_too_long_loses_its_end() -> None:
    (piece,) = pieces_of([KeyHint("y", f"allow until {'x' * 99} quits", verdict=Verdict.ALLOW)], 20, is_ready=True)
    assert (cell_width(piece.plain), piece.plain[-1]) == (20, "…")


@pytest.mark.parametrize(("room", "row"), [(12, "left   right"), (9, "l… right"), (5, "right")])
def test_of_two_ends_of_a_row_the_right_one_stays(room: int, row: str) -> None:
    assert at_both_ends(Text("left"), Text("right"), room).plain.split() == row.split()
