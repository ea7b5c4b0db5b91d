"""The tables of a history."""

from datetime import UTC, datetime

from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.core.traffic.queries import By, TrafficLine, TrafficTotal
from tinysnitch.view.history.history_view import present_history, present_new, present_total, tell_moment
from tinysnitch.view.history.table import lay_out
from tinysnitch.view.span import text_of

NOW = datetime(2026, 12, 2, 20, 40, tzinfo=UTC)


def make_line(what: str, connections: int = 3, **fields: object) -> TrafficLine:
    amounts = {"denied": 0, "inbound": 0, "received": 0, "sent": 0, "program": None}
    times = {"first_s": NOW.timestamp(), "last_s": NOW.timestamp()}
    return TrafficLine(what=what, connections=connections, **(amounts | times | fields))  # type: ignore[arg-type]


def test_a_history_by_program() -> None:
    lines = (
        make_line("/usr/bin/git", 412, received=48_000_000, sent=1_000, denied=3),
        make_line("/bin/\x1b[31mred", inbound=2, last_s=NOW.timestamp() - 86400),
    )
    table = present_history(lines, By.PROGRAM, NOW, lambda _uid: None)
    assert [text_of(line) for line in lay_out(table, None)] == [
        "program           connections  denied  inbound     in     out   last",
        "/usr/bin/git              412       3           48 MB  1.0 kB  20:40",
        "/bin/\\x1b[31mred            3                2                 1 Dec",
    ]


def test_what_a_line_stands_for_is_told_for_people() -> None:
    def names(by: By, *whats: str) -> list[str]:
        table = present_history([make_line(what) for what in whats], by, NOW, {1000: "alice"}.get)
        return [text_of(row[0]) for row in table.rows]

    assert names(By.USER, "1000", "1001", "-1") == ["alice", "1001", "-"]
    assert names(By.DOMAIN, "a\u202eb.test", "") == ["a\\u202eb.test", "(not named)"]
    secret = "allow - - - /bin/a --password=abcdefgh12345678"
    assert names(By.RULE, "deny - - -", secret, "") == ["deny - - -", shorten_rule(secret), "(no rule)"]
    assert names(By.DAY, "2026-12-02") == ["2026-12-02"]


def test_what_is_new_begins_with_when() -> None:
    table = present_new((make_line("shop.test", program="/usr/bin/git"),), NOW)
    assert text_of(lay_out(table, None)[1]) == "20:40  /usr/bin/git  shop.test            3"


def test_the_total_is_one_line() -> None:
    total = TrafficTotal(14, 1204, 31, 48_000_000, 3_100_000)
    assert present_total(total, By.PROGRAM, "1 Dec", is_new=False) == (
        "since 1 Dec: 14 programs, 1,204 connections, 31 denied, 48 MB in, 3.1 MB out"
    )
    assert (
        present_total(TrafficTotal(1, 1), By.DAY, "today", is_new=False)
        == "since today: 1 day, 1 connection, 0 in, 0 out"
    )
    told = present_total(TrafficTotal(1, 1), By.DOMAIN, "today", is_new=True)
    assert told == "since today, for the first time: 1 pair of program and domain"


def test_a_moment_is_as_short_as_it_is_near() -> None:
    days = (NOW, NOW.replace(month=1, day=5), NOW.replace(year=2025))
    assert [tell_moment(day.timestamp(), NOW) for day in days] == ["20:40", "5 Jan", "2025-12-02"]
