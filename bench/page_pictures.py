"""Pictures of the pages beside the questions, at several sizes, dark, light and without colours: `make screenshots`."""

import argparse
import itertools
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from PySide6.QtGui import QGuiApplication
from rich.text import Text

from bench.picture_samples import (
    ASKED,
    ASKED_TOTAL,
    ASKING,
    ASKING_TOTAL,
    NOW,
    NOW_S,
    RULES,
    TALKERS,
    USERS,
    domains,
    past,
)
from bench.terminal_pictures import paint
from tests.view.live.sample_traffic import FIREFOX, SSHD, WALL_S, entry
from tests.view.pages.open_page import change_of, rules_page
from tests.view.pages.test_history_page import answer, history_page
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import (
    BeatenRule,
    Explanation,
    ListChanges,
    NamesAsked,
    NamesProgram,
    NamesSum,
    TrafficEntry,
)
from tinysnitch.tui.pages.history_screen import render_table
from tinysnitch.tui.pages.live_screen import draw_live
from tinysnitch.tui.pages.rules_screen import render_rules
from tinysnitch.tui.pages.top_line import call_row, tab_row
from tinysnitch.view.live.live_page import LivePage, Told
from tinysnitch.view.live.seen import TrafficSeen
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.pages.call import Call
from tinysnitch.view.pages.history_page import HistoryPage
from tinysnitch.view.pages.history_page_view import present_history_page
from tinysnitch.view.pages.list_page import ListPage
from tinysnitch.view.pages.names_page import NamesPage, present_names_page
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.pages.rules_view import present_rules
from tinysnitch.view.pages.tabs import PageName, present_tabs
from tinysnitch.view.prompt_events import KeyPressed
from tinysnitch.view.span import Span

SIZES = [(40, 14), (80, 24), (120, 40)]
PAGES = (PageName.QUESTIONS, PageName.LIVE, PageName.HISTORY, PageName.NAMES, PageName.RULES)
CALL = Call((Span("curl wants to reach "), Span("shop.test")), "1 more, 43 s", is_urgent=False)
LOOKUP = Lookup(USERS.get)
Draw = Callable[[int, int], list[Text]]
P = TypeVar("P", bound=ListPage)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="take those whose names hold this")
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    _application = QGuiApplication(["pictures", "-platform", "offscreen"])
    for (width, height), (name, on, call, draw) in itertools.product(SIZES, pages()):
        page = screen(on, call, draw, width, height)
        for ground, has_colors in (("dark", True), ("light", True), ("dark", False)):
            path = words.folder / f"page-{width}x{height}-{ground if has_colors else 'nocolor'}-{name}.png"
            if words.only in path.name and not paint(page, width, height, ground, has_colors).save(str(path)):
                sys.exit(f"no picture {path.name}")


def screen(on: PageName, call: Call | None, draw: Draw, width: int, height: int) -> Text:
    rows = [tab_row(present_tabs(on, PAGES), width), *([call_row(call, width)] if call else [])]
    return Text("\n").join([*rows, *draw(width, height - len(rows))])


def pages() -> Iterator[tuple[str, PageName, Call | None, Draw]]:
    yield "live", PageName.LIVE, None, live(busy_page())
    yield "live-explained", PageName.LIVE, CALL, live(explained(busy_page()))
    yield "live-rule", PageName.LIVE, None, live(pressed(busy_page(), "down", "down", "n"))
    yield "live-filter", PageName.LIVE, None, live(pressed(busy_page(), "slash", *"shop"))
    yield "rules", PageName.RULES, None, rules(pressed(all_rules(), "down", "down", "down"))
    yield "rules-undo", PageName.RULES, None, rules(pressed(changed(all_rules()), "z"))
    yield "rules-edit", PageName.RULES, None, rules(pressed(all_rules(), "down", "down", "down", "e", "home", "x"))
    yield "history", PageName.HISTORY, None, history(pressed(history_page(*past()), "down", "down"))
    yield "history-domain", PageName.HISTORY, None, history(by_domain(history_page(*past())))
    yield "names", PageName.NAMES, None, names(pressed(asking(), "down"))
    yield "names-chromium", PageName.NAMES, None, names(of_chromium(asking()))


def live(page: LivePage) -> Draw:
    return lambda *size: draw_live(page, LOOKUP, 1.0, *size)


def rules(page: RulesPage) -> Draw:
    return lambda *size: render_rules(present_rules(page, 1.0, NOW), *size)


def history(page: HistoryPage) -> Draw:
    return lambda *size: render_table(present_history_page(page, 1.0, LOOKUP, NOW), *size)


def names(page: NamesPage) -> Draw:
    return lambda *size: render_table(present_names_page(page, 1.0, NOW), *size)


def all_rules() -> RulesPage:
    page = rules_page(*RULES)
    page.wall_ahead_s = NOW_S
    return page


def changed(page: RulesPage) -> RulesPage:
    answered = change_of(7, "deny *.shop.test 443 tcp /usr/bin/curl", removed=(RULES[7].rule,), time=NOW_S - 100)
    page.take(ListChanges(), (answered,))
    return page


def by_domain(page: HistoryPage) -> HistoryPage:
    page.press(KeyPressed("b"), -60.0)
    answer(page, page.press(KeyPressed("b"), -59.0), *domains())
    return pressed(page, "down")


def asking() -> NamesPage:
    page = NamesPage()
    page.wall_ahead_s = NOW_S
    page.take(*page.open(1.0), (*map(NamesProgram, ASKING), NamesSum(ASKING_TOTAL)))
    return page


def of_chromium(page: NamesPage) -> NamesPage:
    pressed(page, "down")
    page.take(*page.press(KeyPressed("enter"), 1.0), (*map(NamesAsked, ASKED), NamesSum(ASKED_TOTAL)))
    return pressed(page, "down", "down")


def pressed(page: P, *keys: str) -> P:
    for second, key in enumerate(keys):
        page.press(KeyPressed(key), second - 60.0)
    return page


def busy_page() -> LivePage:
    """After five minutes with all that talks."""
    page, chance = LivePage(), random.Random(3)
    page.wall_ahead_s = WALL_S
    for second in range(-300, 0):
        told = [talk for talk in TALKERS if chance.random() < 0.35 or second > -4]
        size = (1 + second % 60 / 20) * chance.random()
        page.see(TrafficSeen(tuple(counted(*talk, second, size) for talk in told), WALL_S + second + 1))
    page.nodes(1.0)
    return page


def counted(
    program: str, name: str | None, port: int, rate_in: float, rate_out: float, second: int, size: float
) -> TrafficEntry:
    is_denied, is_inbound = name == "t.ads.test", program == SSHD
    return entry(
        program,
        name,
        second,
        port=port,
        bytes_in=int(rate_in * size),
        bytes_out=int(rate_out * size),
        verdict=Verdict.DENY if is_denied else Verdict.ALLOW,
        rule="deny *.ads.test - -" if is_denied else f"allow - {port} tcp {program}",
        direction=Direction.INBOUND if is_inbound else Direction.OUTBOUND,
        remote_address="fd77::9" if is_inbound else f"192.0.2.{port % 250}",
        protocol="udp" if port in (123, 8801) else "tcp",
        connections=int(size > 1.5),
    )


def explained(page: LivePage) -> LivePage:
    page.unfolded = frozenset(node.key for node in page.nodes(1.0) if node.name == FIREFOX)
    page.selected = next(node.key for node in page.nodes(1.0) if node.name == "t.ads.test")
    beaten = (BeatenRule(f"allow - 443 tcp {FIREFOX}", "the winner's remote is narrower"),)
    said = Explanation(verdict=Verdict.DENY, reason="denied by a rule", rule="deny *.ads.test - -", beaten=beaten)
    page.told = Told(page.selected, said, "by alice 2026-12-01 no ads")
    return page


if __name__ == "__main__":
    main()
