import pytest

from tests.view.live.sample_traffic import SAMPLES, entry, live_page, press
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import BeatenRule, Explanation
from tinysnitch.tui.pages.live_screen import draw_live
from tinysnitch.tui.rows import key_at
from tinysnitch.view.escape import cell_width
from tinysnitch.view.live.live_page import LivePage, Told
from tinysnitch.view.lookup import NO_LOOKUP


def drawn(page: LivePage, width: int, height: int) -> list[str]:
    return [row.plain.rstrip() for row in draw_live(page, NO_LOOKUP, 1.0, width, height)]


@pytest.mark.parametrize("size", [(80, 23), (120, 39), (200, 59), (60, 20), (40, 13), (30, 8)])
def test_the_page_fits_any_terminal(size: tuple[int, int]) -> None:
    page = live_page(*SAMPLES, *(entry(f"/usr/bin/program{number}") for number in range(80)))
    press(page, "plus", "down", "down", start_s=1.0)
    rows = drawn(page, *size)
    assert len(rows) <= size[1]
    assert max(map(cell_width, rows)) <= size[0]
    assert any("firefox" in row for row in rows)


def test_at_80_columns_rates_totals_the_last_minutes_and_the_verdict_have_room() -> None:
    page = live_page()
    rows = drawn(page, 80, 23)
    assert rows[2].split() == ["program", "in/s↓", "out/s", "all", "conn", "last", "5", "min"]
    assert rows[3].split() == ["▸", "firefox", "2.0M", "300", "6.1M", "4", "█", "both"]
    wide = drawn(page, 140, 23)
    assert wide[2].split()[3:5] == ["in", "out"]
    assert wide[3].endswith("both   3 rules")


def test_a_click_on_a_title_sorts_and_on_a_row_selects_it() -> None:
    page = live_page()
    rows = draw_live(page, NO_LOOKUP, 1.0, 80, 23)
    titles = rows[2].plain
    assert key_at(rows[2], titles.index("conn")) == "sort connections"
    assert key_at(rows[2], titles.index("in/s")) == "sort rate"
    assert key_at(rows[2], titles.index("program")) == "sort name"
    assert key_at(rows[3], 5) == f"row {page.row_keys()[0]}"


def test_the_rule_that_a_key_makes_is_shown_before_enter_writes_it() -> None:
    page = live_page()
    press(page, "down", "n", start_s=1.0)
    text = "\n".join(drawn(page, 80, 23))
    assert "rule        deny - - tcp /usr/lib/firefox/firefox" in text
    assert "Enter deny forever" in text
    press(page, "d", start_s=5.0)
    assert "deny cdn.shop.test - tcp" in "\n".join(drawn(page, 80, 23))


def test_an_explanation_stands_below_the_list() -> None:
    page = live_page()
    press(page, "down", start_s=1.0)
    beaten = tuple(BeatenRule(f"allow - {port} tcp", "it is wider") for port in range(3))
    said = Explanation(verdict=Verdict.DENY, reason="a rule matches", rule="deny *.ads.test - -", beaten=beaten)
    page.told = Told(page.selected or "", said, "by alice 2026-12-01")
    text = "\n".join(drawn(page, 80, 23))
    assert "since       by alice 2026-12-01" in text
    assert text.count("beats ") == 3
