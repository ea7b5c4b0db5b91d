from tinysnitch.view.help_view import present_help, present_legend
from tinysnitch.view.keys import KEYS, Group
from tinysnitch.view.text import cell_width


def test_the_help_shows_every_key_under_its_heading_once() -> None:
    rows = present_help()
    assert [row.word for row in rows] == [key.label for key in KEYS]
    assert [row.heading for row in rows if row.heading] == [group.value for group in Group]


def test_help_and_legend_fit_a_small_terminal() -> None:
    for rows, room in ((present_help(), 54), (present_legend(), 66)):
        assert len(rows) <= 21  # with a title and a last line, in 24 rows
        assert [row.meaning for row in rows if cell_width(row.meaning) > room] == []
