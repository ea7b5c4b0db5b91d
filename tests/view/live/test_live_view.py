from tests.view.live.sample_traffic import FIREFOX, entry, live_page, press
from tests.view.live.test_live_page import at_row
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import BeatenRule, Explanation
from tinysnitch.view.live.live_page import LivePage, Told
from tinysnitch.view.live.live_view import LiveView, present_live
from tinysnitch.view.live.plain import tell_traffic
from tinysnitch.view.live.tree import Level
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.span import text_of

LOOKUP = Lookup({1000: "alice"}.get)


def shown(page: LivePage, height: int = 50) -> LiveView:
    return present_live(page, 1.0, LOOKUP, lambda _frame: height, line_width=10)


def test_programs_are_rows_with_rates_totals_and_their_last_minutes() -> None:
    view = shown(live_page())
    firefox = view.rows[0]
    assert view.frame.title == "4 programs, 2.0 MB/s in, 600 B/s out"
    assert text_of(firefox.name) == "▸ firefox"
    assert (firefox.rate_in, firefox.rate_out, firefox.bytes_in, firefox.bytes_out, firefox.connections) == (
        "2.0M", "300", "6.1M", "900", "4",
    )  # fmt: skip
    assert (firefox.line, firefox.verdict, firefox.rule) == ("         █", "both", "3 rules")


def test_remotes_have_their_ports_and_connections_their_place() -> None:
    page = live_page()
    press(page, "plus", start_s=1.0)
    names = [text_of(row.name) for row in shown(page).rows]
    assert "  ▾ www.shop.test :80,443" in names
    assert "    → 192.0.2.7:443 tcp" in names
    assert "    ← [fd77::9] to:22 tcp" in names
    assert "    → 192.0.2.7 icmp" in names


def test_two_programs_of_one_name_show_their_paths() -> None:
    page = live_page(entry("/usr/bin/curl"), entry("/opt/curl"))
    assert {text_of(row.name) for row in shown(page).rows} == {"▸ /usr/bin/curl", "▸ /opt/curl"}


def test_only_rows_in_sight_are_made_and_the_selected_one_is_among_them() -> None:
    page = live_page(*(entry(f"/usr/bin/p{number:03}") for number in range(300)))
    page.selected = page.row_keys()[200]
    view = shown(page, height=20)
    assert len(view.rows) == 20
    assert view.frame.at is not None
    assert text_of(view.rows[view.frame.at].name) == "▸ p200"


def test_of_the_selected_row_the_program_the_user_the_time_and_the_rule_are_told() -> None:
    page = at_row(live_page(), "t.ads.test", Level.REMOTE)
    facts = {line.label: line.text for line in shown(page).frame.facts}
    assert facts == {
        "program": f"{FIREFOX}, user alice",
        "seen": "22:13:20 to 22:13:20, 1 connection",
        "decided by": "deny *.ads.test - -",
    }


def test_an_explanation_is_told_for_its_row_alone() -> None:
    page = at_row(live_page(), "t.ads.test", Level.REMOTE)
    beaten = tuple(BeatenRule(f"allow - {port} tcp", "it is wider") for port in range(5))
    said = Explanation(verdict=Verdict.DENY, reason="a rule matches", rule="deny *.ads.test - -", beaten=beaten)
    page.told = Told(page.selected or "", said, "by alice 2026-12-01")
    told = [(line.label, line.text) for line in shown(page).frame.facts][2:]
    assert told == [
        ("now", "deny: a rule matches"),
        ("rule", "deny *.ads.test - -"),
        ("since", "by alice 2026-12-01"),
        ("beats", "allow - 0 tcp: it is wider"),
        ("beats", "allow - 1 tcp: it is wider"),
        ("beats", "allow - 2 tcp: it is wider"),
        ("", "and 2 more"),
    ]
    press(page, "down", start_s=1.0)
    assert len(shown(page).frame.facts) == 3


def test_the_title_says_that_nobody_talks_or_what_hides_the_rows() -> None:
    empty = LivePage()
    assert shown(empty).frame.title == "nobody talks"
    page = live_page()
    press(page, "slash", *"zzz", start_s=1.0)
    assert shown(page).frame.title == "nothing has these words"
    press(page, "escape", "space", start_s=1.0)
    page.traffic.left_out = 3
    assert shown(page).frame.title.startswith("paused: 4 programs")
    assert shown(page).frame.title.endswith("; 3 rows left out")


def test_hostile_programs_and_names_draw_nothing() -> None:
    hostile = "\x1b[2J\u202e\x07"
    page = live_page(entry(f"/tmp/{hostile}", f"{hostile}.test", rule=None))
    press(page, "plus", "down", start_s=1.0)
    view = shown(page)
    texts = [*(text_of(row.name) for row in view.rows), *(line.text for line in view.frame.facts)]
    assert all(text.isprintable() for text in texts)
    assert r"\x1b[2J" in texts[0]


def test_as_lines_all_rows_are_unfolded() -> None:
    told = list(tell_traffic(live_page(), 1.0))
    assert told[0].split() == ["in/s", "out/s", "in", "out", "conn", "verdict", "program,", "remote,", "connections"]
    assert told[1].split() == ["2.0M", "300", "6.1M", "900", "4", "both", "firefox"]
    assert any(line.endswith("→ 192.0.2.7:443 tcp  # deny *.ads.test - -") for line in told)
