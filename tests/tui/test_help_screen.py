import pytest

from tests.tui.test_prompt_screen import dim_among, rows_of, view_of
from tests.tui.test_waiting_screen import WAITING
from tests.view.sample_prompts import connection_of
from tinysnitch.tui.help_screen import count_help_pages, render_help
from tinysnitch.view.escape import cell_width
from tinysnitch.view.help_view import HelpRow, present_help, present_legend
from tinysnitch.view.prompt_view import PromptView


@pytest.mark.parametrize("view", [WAITING, view_of(connection_of())])
@pytest.mark.parametrize("rows", [present_help(), present_legend()])
@pytest.mark.parametrize("size", [(80, 24), (60, 20), (40, 10), (1, 1)])
def test_the_help_tells_all_page_by_page(rows: tuple[HelpRow, ...], view: PromptView, size: tuple[int, int]) -> None:
    width, height = size
    pages = range(count_help_pages(rows, width, height, view))
    if size == (1, 1):
        pages = pages[:: len(pages) // 20]  # of a thousand
    screens = [rows_of(render_help("keys", rows, width, height, view=view, page=page)) for page in pages]
    assert all(len(screen) <= height and max(map(cell_width, screen)) <= width for screen in screens)
    if size == (1, 1):
        return
    told = " ".join(" ".join(row.split()) for screen in screens for row in screen[1:])
    assert [word for row in rows for word in row.meaning.split() if word not in told] == []
    assert ["Esc back" in screen[-2 if view.is_question else -1] for screen in screens] == [
        *[True] * (len(pages) - 1),
        False,
    ]
    assert all(("59 s, then deny" in screen[-1]) is view.is_question for screen in screens)


def test_the_keys_fit_one_page_of_a_small_terminal() -> None:
    assert count_help_pages(present_help(), 80, 24, view_of(connection_of())) == 1


@pytest.mark.parametrize("height", [1, 5, 60])
def test_the_time_of_a_question_behind_the_help_is_always_in_sight(height: int) -> None:
    screen = rows_of(render_help("keys", present_help(), 80, height, view=view_of(connection_of())))
    assert len(screen) <= height
    assert "59 s, then deny" in screen[-1]


def test_headings_are_quiet() -> None:
    dim = dim_among(["answer", "allow it", "how long"], render_help("keys", present_help(), 80, 24, view=WAITING))
    assert dim == ["answer", "how long"]
