from datetime import UTC, datetime

from tests.view.pages.open_page import press
from tinysnitch.core.traffic.asked_names import AskedName, AskingProgram, NamesTotal
from tinysnitch.protocol.messages import NamesAsked, NamesProgram, NamesSum, ReadNames
from tinysnitch.view.pages.names_page import SPAN_S, NamesPage, present_names_page
from tinysnitch.view.span import text_of

NOW = datetime(2026, 12, 2, 20, 40, tzinfo=UTC)
S = NOW.timestamp()
PROGRAM = AskingProgram(program="/usr/bin/curl", questions=9, names=3, domains=2, used=1, denied=1, first_s=S, last_s=S)


def asked(load: int, name: str, **more: bool) -> AskedName:
    return AskedName(load=load, at_s=S, program="/usr/bin/curl", name=name, domain="shop.test", questions=2, **more)


def names_page() -> NamesPage:
    page = NamesPage()
    page.wall_ahead_s = S
    (request,) = page.open(0.0)
    assert isinstance(request, ReadNames)
    assert request.question.since_s == S - SPAN_S
    page.take(request, (NamesProgram(PROGRAM), NamesSum(NamesTotal(1, 9, 3, 2))))
    return page


def test_from_the_programs_to_the_names_of_one_and_back() -> None:
    page = names_page()
    view = present_names_page(page, 0.0, NOW)
    assert text_of(view.table.rows[0][0]) == "/usr/bin/curl"
    assert view.frame.title == "in the last day: 9 questions, 3 names, 2 domains"
    (request,) = press(page, "down", "enter")
    assert isinstance(request, ReadNames)
    assert request.question.program == "/usr/bin/curl"
    names = (asked(0, "a.shop.test", is_used=True), asked(0, "\x1b[2Jb.test"), asked(1, "c.test", is_denied=True))
    page.take(request, tuple(map(NamesAsked, names)))
    rows = [tuple(map(text_of, row)) for row in present_names_page(page, 0.0, NOW).table.rows]
    assert rows == [
        ("20:40", "a.shop.test", "2", "used"),
        ("", r"\x1b[2Jb.test", "2", ""),
        ("20:40", "c.test", "2", "denied"),
    ]
    (request,) = press(page, "backspace", start_s=20.0)
    assert isinstance(request, ReadNames)
    assert (request.question.program, page.selected) == (None, "/usr/bin/curl")


def test_the_filter_and_an_empty_answer() -> None:
    page = names_page()
    press(page, "slash", *"zzz", "enter")
    assert page.row_keys() == ()
    (request,) = press(page, "r", start_s=30.0)
    page.take(request, (NamesSum(NamesTotal()),))
    assert present_names_page(page, 0.0, NOW).frame.title == "nothing asked for names in the last day"
