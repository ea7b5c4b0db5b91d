"""Pictures of the pages beside the questions, at several sizes, dark, light and without colours: `make screenshots`."""

import argparse
import itertools
import random
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from PySide6.QtGui import QGuiApplication
from rich.text import Text

from bench.terminal_pictures import paint
from tests.view.history.test_history_view import make_line
from tests.view.live.sample_traffic import FIREFOX, SSHD, WALL_S, entry
from tests.view.pages.open_page import entry_of, rules_page
from tests.view.pages.test_history_page import history_page
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.traffic.questions import TrafficLine
from tinysnitch.protocol.messages import BeatenRule, Explanation, RuleSource, TrafficEntry
from tinysnitch.tui.pages.history_screen import draw_history
from tinysnitch.tui.pages.live_screen import draw_live
from tinysnitch.tui.pages.rules_screen import render_rules
from tinysnitch.tui.pages.top_line import call_row, tab_row
from tinysnitch.view.live.live_page import LivePage, Told
from tinysnitch.view.live.seen import TrafficSeen
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.pages.call import Call
from tinysnitch.view.pages.list_page import ListPage
from tinysnitch.view.pages.rules_view import present_rules
from tinysnitch.view.pages.tabs import PageName, present_tabs
from tinysnitch.view.prompt_events import KeyPressed
from tinysnitch.view.span import Span

SIZES = [(40, 14), (80, 24), (120, 40)]
PAGES = (PageName.QUESTIONS, PageName.LIVE, PageName.HISTORY, PageName.RULES)
CALL = Call((Span("curl wants to reach "), Span("shop.test")), "1 more, 43 s", is_urgent=False)
TALKERS = [  # program, name, port, bytes a second in, and out
    (FIREFOX, "cdn.shop.test", 443, 9e5, 4e4),
    (FIREFOX, "img.shop.test", 443, 3e5, 2e4),
    (FIREFOX, "fonts.type.test", 443, 2e4, 900),
    (FIREFOX, "t.ads.test", 443, 0, 0),
    ("/usr/bin/git", "github.com", 22, 6e4, 1e5),
    ("/usr/bin/apt", "deb.mirror.test", 80, 2e6, 3e4),
    ("/usr/bin/curl", "shop.test", 443, 3000, 300),
    (SSHD, None, 22, 900, 4000),
    ("/usr/bin/python3.13", "api.weather.test", 443, 1200, 400),
    ("/opt/zoom/zoom", "a.very.long.name.of.media.zoom.test", 8801, 3e5, 2e5),
    ("/usr/lib/systemd/systemd-timesyncd", "2.pool.ntp.test", 123, 90, 90),
]
RULES = [
    entry_of("allow @resolvers 53 udp"),
    entry_of(f"allow - 443 tcp {FIREFOX}"),
    entry_of("deny *.ads.test - -", note="by alice 2026-12-01 no ads"),
    entry_of("allow github.com 22 tcp /usr/bin/git", group="work"),
    entry_of("allow lan 22 tcp-src /usr/sbin/sshd"),
    entry_of("ask - - - unknown"),
    entry_of("allow user=1000 api.weather.test 443 tcp /usr/bin/python3.13 /home/alice/bin/weather.py"),
    entry_of("deny - 25 tcp"),
    entry_of("allow shop.test 443 tcp /usr/bin/curl", source=RuleSource.TEMPORARY, until=1_700_000_400.0),
    entry_of("deny x.test - - /opt/zoom/zoom", source=RuleSource.QUIT, pid=4711),
]
LOOKUP = Lookup({1000: "alice", 0: "root"}.get)
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
    rules = pressed(rules_page(*RULES), "down", "down", "down")
    yield "rules", PageName.RULES, None, lambda *size: render_rules(present_rules(rules, 1.0), *size)
    history = pressed(history_page(*past()), "down", "down")
    yield "history", PageName.HISTORY, None, lambda *size: draw_history(history, LOOKUP, 1.0, *size)


def live(page: LivePage) -> Draw:
    return lambda *size: draw_live(page, LOOKUP, 1.0, *size)


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


def past() -> Iterator[TrafficLine]:
    last_s = datetime(2026, 12, 2, 20, 12, tzinfo=UTC).timestamp()
    for number, (program, _name, _port, rate_in, rate_out) in enumerate(TALKERS[3:]):
        yield make_line(
            program,
            12 * (8 - number) ** 3,
            received=int(rate_in * 900),
            sent=int(rate_out * 900),
            denied=40 if program == FIREFOX else 0,
            last_s=last_s - 600 * number,
        )


if __name__ == "__main__":
    main()
