import json

import msgspec
import pytest

from tests.daemon.requests.small_handler import HOSTILE, make_connection, make_prompt
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
from tinysnitch.core.model.errors import Malformed, RuleSyntaxError
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import ReadyLine, ask_line_of, format_time, log_line_of, parse_log_line
from tinysnitch.protocol.messages import Mode

WALL_S = 1_700_000_000.25
TIME = "2023-11-14T22:13:20.250Z"
RULE = "allow google.com 80 tcp /usr/bin/curl"
CONNECTION = {
    "event": "connection",
    "time": TIME,
    "verdict": "allow",
    "reason": "by a rule",
    "rule": RULE,
    "cached": False,
    "direction": "outbound",
    "protocol": "tcp",
    "local_address": "10.0.0.2",
    "local_port": 40516,
    "remote_address": "192.0.2.7",
    "remote_port": 80,
    "name": "google.com",
    "pid": 4263,
    "uid": 1000,
    "program": "/usr/bin/curl",
    "args": ["google.com"],
    "parents": ["/usr/bin/bash"],
    "attribution": "bpf",
}


def decided(rule: str | None = RULE) -> ConnectionDecided:
    parsed = parse_rule(rule) if rule else None
    decision = Decision(verdict=Verdict.ALLOW, reason="by a rule", rule=parsed)
    return ConnectionDecided(make_connection(), decision, False, WALL_S)


def fields_of(record: Record) -> dict[str, object]:
    fields: dict[str, object] = json.loads(encode_object(log_line_of(record)))
    return fields


def test_a_connection_has_the_fields_of_the_contract() -> None:
    assert fields_of(decided()) == CONNECTION
    assert next(iter(fields_of(decided()))) == "event"
    assert fields_of(msgspec.structs.replace(decided(), is_cached=True)) == CONNECTION | {"cached": True}


def test_a_program_of_several_names_has_the_one_it_was_started_by_too() -> None:
    connection = make_connection(started_as="/usr/bin/other")
    record = msgspec.structs.replace(decided(), connection=connection)
    assert fields_of(record) == CONNECTION | {"started_as": "/usr/bin/other"}
    ask = fields_of(PromptOpened(3, connection, decided().decision, WALL_S))
    assert ask["started_as"] == "/usr/bin/other"


@pytest.mark.parametrize("attribution", [KERNEL, UNKNOWN], ids=["kernel", "unknown"])
def test_without_a_process_the_program_is_a_word(attribution: Attribution) -> None:
    connection = msgspec.structs.replace(make_connection(), attribution=attribution)
    fields = fields_of(msgspec.structs.replace(decided(None), connection=connection))
    word = attribution.source.value
    assert (fields["program"], fields["attribution"], fields["pid"], fields["uid"]) == (word, word, None, None)
    assert (fields["rule"], fields["args"], fields["parents"]) == (None, [], [])


def test_a_name_that_is_said_has_the_same_fields() -> None:
    record = ServerNameRead(make_connection(), decided().decision, WALL_S)
    assert fields_of(record) == CONNECTION | {"event": "said"}


def test_an_ask_has_the_same_fields_and_an_id() -> None:
    decision = Decision(verdict=Verdict.ASK, reason="no rule matches")
    fields = fields_of(PromptOpened(3, make_connection(), decision, WALL_S))
    expected = CONNECTION | {"event": "ask", "verdict": "ask", "reason": "no rule matches", "rule": None}
    assert fields == expected | {"id": 3, "count": 1}


def test_an_ask_names_the_rule_that_asks() -> None:
    line = r"ask - - - $'/a\n\xff'"
    decision = Decision(verdict=Verdict.ASK, reason="asked by a rule", rule=parse_rule(line))
    prompt = msgspec.structs.replace(make_prompt(), reason=decision.reason, rule=decision.rule)
    asked = fields_of(PromptOpened(3, make_connection(), decision, WALL_S))
    listed = json.loads(encode_object(ask_line_of(prompt)))
    assert [(fields["reason"], fields["rule"]) for fields in (asked, listed)] == [("asked by a rule", line)] * 2


def test_an_open_ask_tells_how_many_wait_and_how_long() -> None:
    fields = json.loads(encode_object(ask_line_of(make_prompt())))
    assert (fields["id"], fields["count"], fields["remaining_s"], fields["time"]) == (3, 2, 52.0, TIME)


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (PromptAnswered(3, RULE, 1000, WALL_S), {"event": "answer", "id": 3, "rule": RULE, "by_uid": 1000}),
        (
            PromptAnswered(3, RULE, 1000, WALL_S, is_once=True, quit_pid=7),
            {"event": "answer", "id": 3, "rule": RULE, "by_uid": 1000},
        ),
        (LossCounted("packets", 7, WALL_S), {"event": "lost", "what": "packets", "count": 7}),
        (PacketSocketSeen(7, 0, "/a b", WALL_S), {"event": "packet_socket", "pid": 7, "uid": 0, "program": "/a b"}),
        (
            ModeChanged(Verdict.ALLOW, WALL_S, 1000, WALL_S),
            {"event": "mode", "mode": "allow", "until": TIME, "by_uid": 1000},
        ),
        (
            ModeChanged(Verdict.ASK, None, None, WALL_S),
            {"event": "mode", "mode": "ask", "until": None, "by_uid": None},
        ),
        (RulesReplaced(2, (), WALL_S), {"event": "rules", "loaded": 2, "errors": []}),
        (
            RulesReplaced(2, (RuleSyntaxError("/etc/r", 3, 7, "no port", "-"),), WALL_S),
            {"event": "rules", "loaded": 2, "errors": ["/etc/r:3:7: no port (hint: -)"]},
        ),
    ],
)
def test_the_other_lines(record: Record, fields: dict[str, object]) -> None:
    assert fields_of(record) == fields | {"time": TIME}


def test_ready_tells_the_mode() -> None:
    line = ReadyLine(time=TIME, pid=1, mode=Mode.BPF, netns=7, cgroup="", rules=2, socket="/run/s")
    assert json.loads(encode_object(line))["event"] == "ready"
    assert parse_log_line(encode_object(line)) == line


def test_lines_are_read_back_hostile_ones_too() -> None:
    record = msgspec.structs.replace(decided(), connection=make_connection(args=(HOSTILE,), program=HOSTILE))
    encoded = encode_object(log_line_of(record))
    assert encoded.isascii()
    assert b"\n" not in encoded
    assert parse_log_line(encoded) == log_line_of(record)


def test_what_is_no_line_is_malformed() -> None:
    with pytest.raises(Malformed):
        parse_log_line(b'{"event":"connection"}')


@pytest.mark.parametrize(
    ("wall_s", "text"), [(0.0, "1970-01-01T00:00:00.000Z"), (WALL_S, TIME), (1.9999, "1970-01-01T00:00:01.999Z")]
)
def test_moments_are_iso_8601(wall_s: float, text: str) -> None:
    assert format_time(wall_s) == text
