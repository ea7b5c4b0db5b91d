"""The log as a table."""

from datetime import datetime, timedelta, timezone

import msgspec
import pytest

from tests.daemon.requests.small_handler import make_connection
from tinysnitch.core.engine.records import (
    ConnectionDecided,
    LossCounted,
    ModeChanged,
    PacketSocketSeen,
    PromptAnswered,
    PromptOpened,
    Record,
    RulesReplaced,
    ServerNameRead,
)
from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import ReadyLine, log_line_of
from tinysnitch.protocol.messages import Mode
from tinysnitch.view.escape import cell_width
from tinysnitch.view.span import Weight, text_of
from tinysnitch.view.tables.log_table import LogTable

NOW = datetime(2026, 12, 2, 21, 40, tzinfo=timezone(timedelta(hours=1)))
NOW_S = NOW.timestamp()
HOSTILE = "/tmp/\x1b[2J\u202e\n界\udcff"
BY_RULE = Decision(verdict=Verdict.DENY, reason="denied by a rule", rule=parse_rule("deny google.com 80 tcp"))
UNTIL = "paused until 2026-12-02T20:50:00Z, no rule matches"


def rows_of(*records: Record, width: int = 100) -> list[str]:
    table = LogTable(NOW)
    return [text_of(row) for record in records for row in table.rows(encode_object(log_line_of(record)), width)]


def decided(ago_s: float = 60, decision: Decision = BY_RULE, **process: object) -> ConnectionDecided:
    return ConnectionDecided(make_connection(**process), decision, wall_s=NOW_S - ago_s, is_cached=False)  # type: ignore[arg-type]


def test_a_decision_is_a_row_with_what_decided_and_its_time_here() -> None:
    visitor = decided()
    visitor = msgspec.structs.replace(visitor, connection=make_connection(Direction.INBOUND))
    paused = Decision(verdict=Verdict.ALLOW, reason=UNTIL, rule=None)
    for_minutes = parse_rule("deny until=2026-12-02T20:50:00Z google.com 80 tcp")
    answered = msgspec.structs.replace(BY_RULE, rule=for_minutes)
    assert rows_of(decided(decision=answered))[0].endswith("  deny until=21:50…")
    assert rows_of(decided(86400), decided(), visitor, decided(decision=paused)) == [
        "1 Dec",
        "21:40:00  deny    /usr/bin/curl        → google.com 80 tcp                 deny google.com 80 tcp",
        "2 Dec",
        "21:39:00  deny    /usr/bin/curl        → google.com 80 tcp                 deny google.com 80 tcp",
        "21:39:00  deny    /usr/bin/curl        ← google.com 40516 tcp              deny google.com 80 tcp",
        "21:39:00  allow   /usr/bin/curl        → google.com 80 tcp                 paused until 21:50, no…",
    ]


def test_other_lines_say_what_they_say_in_the_log() -> None:
    connection = make_connection()
    ask = Decision(verdict=Verdict.ASK, reason="no rule matches", rule=None)
    errors = (RuleSyntaxError("/etc/r", 3, 1, "not a verdict"),)
    lines = rows_of(
        PromptOpened(3, connection, ask, wall_s=NOW_S),
        PromptAnswered(3, "deny google.com 80 tcp", 1000, wall_s=NOW_S),
        ServerNameRead(connection, BY_RULE, wall_s=NOW_S),
        RulesReplaced(12, (), wall_s=NOW_S),
        RulesReplaced(12, errors, wall_s=NOW_S),
        ModeChanged(Verdict.ALLOW, NOW_S + 600, 1000, wall_s=NOW_S),
        LossCounted("packets", 3, wall_s=NOW_S),
        LossCounted("netfilter rules put back, someone took them away", 1, wall_s=NOW_S),
        PacketSocketSeen(7, 0, "/usr/bin/tcpdump", wall_s=NOW_S),
    )
    assert [line.removeprefix("21:40:00  ") for line in lines] == [
        "ask     /usr/bin/curl        → google.com 80 tcp                 question 3",
        "answer  3 uid 1000: deny google.com 80 tcp",
        "said    /usr/bin/curl        → google.com 80 tcp                 192.0.2.7",
        "rules   12 loaded",
        "rules   not all loaded, 12 hold; /etc/r:3:1: not a verdict",
        "mode    allow until 21:50, uid 1000",
        "lost    3 packets",
        "lost    netfilter rules put back, someone took them away",
        "socket  7 /usr/bin/tcpdump has a packet socket, which no firewall rule sees",
    ]
    ready = ReadyLine(time="2026-12-02T20:40:00.000Z", pid=1, mode=Mode.BPF, netns=7, rules=2, socket="/s", cgroup="/c")
    (row,) = LogTable(NOW).rows(encode_object(ready), 80)
    assert text_of(row) == "21:40:00  ready   mode bpf, 2 rules, socket /s"


def test_what_decided_has_a_colour() -> None:
    def weight(record: Record) -> Weight:
        (row,) = LogTable(NOW).rows(encode_object(log_line_of(record)), 80)
        return row[1].weight

    allowed = Decision(verdict=Verdict.ALLOW, reason="x", rule=None)
    assert [weight(decided()), weight(decided(decision=allowed))] == [Weight.BAD, Weight.GOOD]
    assert weight(RulesReplaced(0, (RuleSyntaxError("/r", 1, 1, "x"),), wall_s=NOW_S)) is Weight.BAD


@pytest.mark.parametrize("width", [40, 79, 80, 120, 300])
def test_every_row_fits_and_nothing_in_it_draws(width: int) -> None:
    long = Decision(verdict=Verdict.DENY, reason=HOSTILE * 9, rule=None)
    connection = make_connection(program=HOSTILE * 9)
    records: list[Record] = [
        decided(program=f"{HOSTILE}{'x' * 400}", args=(HOSTILE,)),
        decided(decision=long, program="a" * 400),
        ConnectionDecided(
            msgspec.structs.replace(connection, name="\u202e界" * 99), long, wall_s=NOW_S, is_cached=False
        ),
        PromptOpened(3, connection, long, wall_s=NOW_S),
        PromptAnswered(3, f"deny {HOSTILE}", 1000, wall_s=NOW_S),
        LossCounted(HOSTILE * 40, 1, wall_s=NOW_S),
        PacketSocketSeen(7, 0, HOSTILE * 40, wall_s=NOW_S),
    ]
    rows = rows_of(*records, width=width)
    assert all(row.isprintable() for row in rows)
    assert max(map(cell_width, rows)) <= width


def test_a_name_keeps_the_domain_that_somebody_registered() -> None:
    name = "www.shop.test.evil-shop-europe.test"
    record = decided()
    record = msgspec.structs.replace(record, connection=msgspec.structs.replace(record.connection, name=name))
    (row,) = rows_of(record)
    assert ".evil-shop-europe.test 80 tcp" in row


def test_a_line_of_another_version_is_one_row_too() -> None:
    (row,) = LogTable(NOW).rows(b'{"event":"of old","x":"' + b"y" * 200, 40)
    assert text_of(row) == '{"event":"of old","x":"' + "y" * 16 + "…"
    (row,) = LogTable(NOW).rows(b'{"event":"lost","time":"t","what":"packets","count":3}', 40)
    assert text_of(row) == "t         lost    3 packets"
