import msgspec

from tests.view.sample_prompts import CURL, connection_of
from tinysnitch.core.model.process import ProgramFile
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.view.connection_view import present_where, present_who
from tinysnitch.view.escape import cell_width
from tinysnitch.view.help_view import help_pages, present_help, present_legend, present_list_help
from tinysnitch.view.keys import KEYS, LIST_KEYS, OWN_KEYS, WINDOW_KEYS, Group
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_state import Page


def test_the_help_shows_every_key_under_its_heading_once() -> None:
    rows = present_help()
    assert [label for row in rows for label in row.word.split()] == [key.label for key in KEYS]
    assert [row.heading for row in rows if row.heading] == [group.value for group in Group]


def test_the_help_of_the_list_begins_with_what_is_different_there() -> None:
    rows = present_list_help()
    assert [row.word for row in rows[:10]] == ["y", "n", "g", *(key.label for key in LIST_KEYS)]
    headings = [row.heading for row in rows if row.heading]
    assert headings == ["the list", Group.LIFETIME.value, Group.COVER.value]


def test_a_guest_reads_nothing_of_leaving() -> None:
    assert [row for row in present_help() if row not in present_help(OWN_KEYS)] == [present_help()[-1]]


def test_a_window_is_hidden_where_a_terminal_is_left() -> None:
    """`make run` asks in a terminal; a window stays attached."""
    words = [row.word for row, other in zip(present_help(WINDOW_KEYS), present_help(), strict=True) if row != other]
    assert words == ["q"]
    assert "the next question brings it back" in present_help(WINDOW_KEYS)[-1].meaning


def test_the_legend_knows_the_words_that_a_question_may_show() -> None:
    connection = msgspec.structs.replace(
        connection_of(msgspec.structs.replace(CURL, run_by="/usr/bin/python3.13", started_as="/usr/bin/other")),
        aliases=("edge.cdn.test",),
        asked_name="secret.test",
        other_names=("other.test",),
    )
    lookup = Lookup(find_file=lambda _process: ProgramFile("", "5ab3" * 16))
    choice = Choice(verdict=Verdict.ALLOW)
    lines = (*present_who(connection, choice, lookup), *present_where(connection, choice))
    labels = {line.label for line in lines}
    assert labels - {row.word for row in present_legend()} == set()
    assert {"program", "protocol"} <= {row.word for row in present_legend()}


def test_lines_alone_have_neither_colours_nor_signs() -> None:
    left_out = [row.word for row in present_legend() if row not in present_legend(is_plain=True)]
    assert left_out == ["colour", "!"]


def test_each_page_of_help_has_its_title_and_rows() -> None:
    plain = help_pages(OWN_KEYS, is_plain=True)
    assert plain == {
        Page.HELP: ("keys", present_help(OWN_KEYS)),
        Page.LIST_HELP: ("keys of the list", present_list_help(OWN_KEYS)),
        Page.LEGEND: ("what the words mean", present_legend(is_plain=True)),
    }
    assert help_pages()[Page.LEGEND][1] == present_legend()


def test_the_legend_does_not_call_a_line_without_a_time_forever_whatever_was_chosen() -> None:
    (meaning,) = (row.meaning for row in present_legend() if row.word == "until=")
    assert "without it forever, unless u or o is on" in meaning


def test_help_and_legend_fit_a_small_terminal() -> None:
    assert len(present_help()) <= 21  # with a title, a last line and the time, in 24 rows
    assert len(present_list_help()) <= 21
    for rows, room in ((present_help(), 54), (present_list_help(), 54), (present_legend(), 66)):
        assert [row.meaning for row in rows if cell_width(row.meaning) > room] == []


def test_who_pressed_the_wrong_key_reads_how_to_take_it_back() -> None:
    for keys in (KEYS, OWN_KEYS, WINDOW_KEYS):
        assert [row.word for row in present_help(keys) if "take the last answer back" in row.meaning] == ["z"]
