"""The pictures of terminals and of the window: each shows what is drawn now, fits, and can be read on any ground."""

import pytest
from rich.style import Style
from rich.text import Text

from bench.command_pictures import SHOTS, Shot, run
from bench.docs_pictures import SIZE, Picture, pictures, rows_in
from bench.page_pictures import SIZES as PAGE_SIZES
from bench.page_pictures import pages, screen
from tests.repo.tree import ROOT
from tinysnitch.tui.rows import BLUE, GREEN, ORANGE, RED
from tinysnitch.view.escape import cell_width

MEASURED = {BLUE, GREEN, RED, ORANGE}  # by tests/tui/test_rows.py, on black and on white


def colors_in(page: Text) -> set[str]:
    styles = (Style.parse(str(span.style)) for span in page.spans)
    return {color.name for style in styles for color in (style.color, style.bgcolor) if color}


@pytest.mark.parametrize("picture", list(pictures()), ids=lambda picture: picture.name)
def test_a_picture_of_the_docs_shows_what_is_drawn_now(picture: Picture) -> None:
    path = ROOT / "docs" / f"{picture.name}.png"
    assert rows_in(path) == picture.rows(), "`make pictures` takes them again"
    assert any(f"{path.name})" in page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))


@pytest.mark.parametrize("size", PAGE_SIZES)
def test_each_page_fits_and_has_colours_that_can_be_read_on_any_ground(size: tuple[int, int]) -> None:
    for name, on, call, draw in pages():
        page = screen(on, call, draw, *size)
        rows = page.plain.split("\n")
        assert len(rows) <= size[1], name
        assert max(cell_width(row.rstrip()) for row in rows) <= size[0], name
        assert colors_in(page) <= MEASURED, name


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_what_a_command_shows_fits_the_terminal(shot: Shot) -> None:
    lines = run(shot, *SIZE)
    assert len(lines) > 4
    assert max(cell_width(line.plain) for line in lines) <= SIZE[0]
    assert {color for line in lines for color in colors_in(line)} <= MEASURED
