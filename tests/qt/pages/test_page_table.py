from datetime import UTC, datetime

from tests.view.live.sample_traffic import SAMPLES, live_page, press
from tests.view.pages.open_page import entry_of, rules_page
from tests.view.pages.test_history_page import history_page
from tests.view.pages.test_names_page import asked, names_page
from tinysnitch.protocol.messages import NamesAsked, RuleSource
from tinysnitch.qt.pages.page_table import PageTable, present_page
from tinysnitch.view.lookup import NO_LOOKUP
from tinysnitch.view.pages.list_page import ListPage

NOW = datetime(2026, 12, 2, 20, 40, tzinfo=UTC)


def table_of(page: ListPage) -> PageTable:
    return present_page(page, 1.0, NO_LOOKUP, NOW)


def test_the_live_page_is_a_row_for_each_program_with_titles_that_sort() -> None:
    table = table_of(live_page(*SAMPLES))
    assert table.rows[0].cells[:6] == ("▸ firefox", "2.0M", "300", "6.1M", "900", "4")
    assert len(table.titles) == len(table.rows[0].cells)
    assert (table.sorts[0], table.sorts[1]) == ("sort name", "sort rate")
    assert {table.titles[at] for at in table.numbers} == {"in/s", "out/s", "in", "out", "connections"}
    assert table.frame.title.startswith("4 programs")


def test_rules_history_and_names_have_their_columns() -> None:
    last_s = NOW.timestamp() - 60
    entries = entry_of("deny a.test - -", source=RuleSource.QUIT, pid=7, count=3, last=last_s), entry_of("ask - - -")
    table = table_of(rules_page(*entries))
    assert {table.titles[at] for at in table.numbers} == {"used", "last"}
    assert table.rows[0].cells == ("deny", "a.test", "-", "-", "-", "3", "20:39", "pid 7")
    assert [row.verdict for row in table.rows] == ["deny", ""]
    table = table_of(history_page())
    assert table.titles[:2] == ("program", "connections")
    assert table.rows[0].cells[:2] == ("/usr/bin/git", "412")
    assert table.rows[0].key == "row /usr/bin/git"
    assert ("denied" in table.titles, "inbound" in table.titles) == (True, False), "none came in"
    names = names_page()
    table = table_of(names)
    assert (table.titles[0], table.rows[0].cells[0]) == ("program", "/usr/bin/curl")
    assert {table.titles[at] for at in table.numbers} == {*table.titles} - {"program"}
    requests = press(names, "down", "enter", start_s=30.0)
    answers = (asked(0, "a.test", is_denied=True), asked(0, "b.test", is_used=True))
    names.take(requests[0], tuple(map(NamesAsked, answers)))
    assert [(row.cells[-1], row.verdict) for row in table_of(names).rows] == [("denied", "deny"), ("used", "")]


def test_the_help_is_a_table_of_keys() -> None:
    page = rules_page()
    press(page, "question_mark")
    table = table_of(page)
    assert (table.titles, table.rows[0].cells[0]) == (("key", "does"), "e")
    assert {row.key for row in table.rows} == {""}
