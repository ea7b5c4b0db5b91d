import pytest
from PySide6.QtWidgets import QWidget

from tests.qt.sample_views import spoken
from tinysnitch.qt.help_form import HelpForm
from tinysnitch.qt.theme import DARK, Look
from tinysnitch.view.help_view import present_help, present_legend


@pytest.mark.usefixtures("application")
def test_each_row_is_there_with_the_time_of_the_question_behind_it() -> None:
    window = QWidget()
    form = HelpForm(window)
    window.show()
    look = Look(DARK, 15.0, 1)
    heights = []
    for rows in (present_legend(), present_help()):
        form.show_help("keys", rows, 42, look)
        heights.append(form.height_for(800))
        texts = spoken(form)
        assert {f"{row.word}: {row.meaning}" for row in rows} <= set(texts)
        assert "any key goes back, 42 s, then deny" in texts
    assert heights[0] > heights[1] > 15 * len(present_help())
    form.show_help("keys", present_help(), None, look)
    assert "any key goes back" in spoken(form)
