from datetime import UTC, datetime

import pytest

from tests.view.history.test_history_view import make_line
from tests.view.pages.open_page import press
from tinysnitch.core.traffic.queries import By, TrafficLine, TrafficQuestion, TrafficTotal
from tinysnitch.protocol.messages import HistoryEntry, HistoryTotal, ReadHistory, Request
from tinysnitch.view.lookup import NO_LOOKUP
from tinysnitch.view.pages.history_page import MOST_LINES, SPANS, HistoryPage
from tinysnitch.view.pages.history_page_view import present_history_page
from tinysnitch.view.pages.list_page import Requests
from tinysnitch.view.span import text_of

NOW = datetime(2026, 12, 2, 20, 40, 17, tzinfo=UTC)
GIT, CURL = "/usr/bin/git", "/usr/bin/curl"


def history_page(*lines: TrafficLine) -> HistoryPage:
    page = HistoryPage()
    page.wall_ahead_s = NOW.timestamp()
    answer(page, page.open(0.0), *(lines or (make_line(GIT, 412), make_line(CURL, 3, denied=1))))
    return page


def asked(requests: Requests) -> TrafficQuestion:
    (request,) = requests
    assert isinstance(request, ReadHistory)
    return request.question


def answer(page: HistoryPage, requests: tuple[Request, ...], *lines: TrafficLine, more: int = 0) -> None:
    total = TrafficTotal(
        len(lines) + more,
        sum(line.connections for line in lines),
        received=sum(line.received for line in lines),
        sent=sum(line.sent for line in lines),
    )
    page.take(requests[0], (*map(HistoryEntry, lines), HistoryTotal(total)))


def title(page: HistoryPage) -> str:
    return present_history_page(page, 0.0, NO_LOOKUP, NOW).frame.title


def test_it_asks_for_the_last_day_by_program() -> None:
    page = HistoryPage()
    page.wall_ahead_s = NOW.timestamp()
    question = asked(page.open(1.0))
    assert (question.by, question.limit) == (By.PROGRAM, MOST_LINES)
    assert question.since_s == NOW.timestamp() + 1 - SPANS["day"]
    assert title(page) == "reading the history"


def test_rows_lead_to_what_is_behind_them_and_back() -> None:
    page = history_page()
    requests = press(page, "down", "enter")
    assert (asked(requests).program, asked(requests).by) == (GIT, By.DOMAIN)
    answer(page, requests, make_line("shop.test"), make_line("b.test"))
    assert title(page).startswith("git, by domain, in the last day: 2 domains")
    requests = press(page, "down", "enter", start_s=20.0)
    assert (asked(requests).to, asked(requests).program, asked(requests).by) == ("shop.test", GIT, By.NAME)
    answer(page, requests, make_line("www.shop.test"))
    requests = press(page, "backspace", start_s=30.0)
    answer(page, requests, make_line("shop.test"), make_line("b.test"))
    assert page.line
    assert page.line.what == "shop.test", "where it led from is selected again"
    assert asked(press(page, "backspace", start_s=40.0)).program is None
    assert press(page, "backspace", start_s=50.0) == ()


@pytest.mark.parametrize(
    ("by", "what", "field", "value"),
    [
        (By.PORT, "443 tcp", "port", 443),
        (By.USER, "1000", "uid", 1000),
        (By.NAME, "www.shop.test", "to", "www.shop.test"),
    ],
)
def test_what_is_behind_other_rows(by: By, what: str, field: str, value: object) -> None:
    page = history_page(make_line(what))
    while page.question.by is not by:
        answer(page, press(page, "b"), make_line(what))
    question = asked(press(page, "down", "enter", start_s=30.0))
    assert (getattr(question, field), question.by) == (value, By.PROGRAM)


@pytest.mark.parametrize(("by", "what"), [(By.PORT, "icmp"), (By.USER, "-1"), (By.DAY, "2026-12-02"), (By.NAME, "")])
def test_nothing_is_behind_some_rows(by: By, what: str) -> None:
    page = history_page(make_line(what))
    while page.question.by is not by:
        answer(page, press(page, "b"), make_line(what))
    assert press(page, "down", "enter", start_s=30.0) == ()


def test_keys_change_what_is_asked() -> None:
    page = history_page()
    assert asked(press(page, "d")).is_denied
    assert not asked(press(page, "d")).is_denied
    assert asked(press(page, "t")).since_s == NOW.timestamp() + 10 - SPANS["7 days"]
    question = asked(press(page, "n"))
    assert question.is_new
    answer(page, (ReadHistory(question),), make_line("shop.test", program=CURL))
    assert title(page) == "new, in the last 7 days: for the first time: 1 pair of program and domain"
    behind = asked(press(page, "down", "enter"))
    assert (behind.program, behind.to, behind.is_new, behind.by) == (CURL, "shop.test", False, By.NAME)
    assert asked(press(page, "r", start_s=11.0)) == behind


def test_an_answer_to_an_older_question_is_not_taken() -> None:
    page = history_page()
    old = press(page, "d")
    press(page, "t", start_s=20.0)
    answer(page, old, make_line("/bin/x"))
    assert len(page.lines) == 2


def test_the_filter_shows_rows_with_its_words() -> None:
    page = history_page()
    press(page, "slash", *"git")
    view = present_history_page(page, 20.0, NO_LOOKUP, NOW)
    assert [text_of(row[0]) for row in view.table.rows] == [GIT]
    assert len(view.keys) == 1


def test_the_title_says_how_much_there_is_or_that_there_is_nothing() -> None:
    page = history_page()
    assert title(page) == "by program, in the last day: 2 programs, 415 connections, 0 in, 0 out"
    answer(page, press(page, "r"), make_line(GIT, 412), more=7)
    assert title(page).endswith("; the first 1 are shown")
    answer(page, press(page, "d"))
    assert title(page) == "denied, by program: nothing in the last day"


def test_hostile_names_draw_nothing() -> None:
    page = history_page(make_line("/bin/\x1b[2J\u202e"))
    view = present_history_page(page, 0.0, NO_LOOKUP, NOW)
    assert text_of(view.table.rows[0][0]).isprintable()
    press(page, "down", "enter")
    assert title(page).isprintable()
