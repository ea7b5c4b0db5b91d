"""The row of a connection that was decided."""

from tests.core.engine.transcript import CURL, flow_of
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import KERNEL
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.core.traffic.row import PRIVATE, TrafficKey, TrafficRow, row_of, without_names


def test_a_row_tells_who_talked_with_whom_and_which_rule_decided() -> None:
    flow = flow_of()
    connection = Connection(flow=flow, attribution=CURL, name="shop.test")
    rule = parse_rule("allow shop.test 443 tcp /usr/bin/curl")
    row = row_of(ConnectionDecided(connection, Decision(verdict=Verdict.ALLOW, reason="", rule=rule), True, 7.5))
    key = TrafficKey(
        program="/usr/bin/curl",
        uid=1000,
        remote=flow.remote,
        name="shop.test",
        port=443,
        protocol=6,
        direction=Direction.OUTBOUND,
        verdict=Verdict.ALLOW,
        rule="allow shop.test 443 tcp /usr/bin/curl",
    )
    assert row == TrafficRow(key, 1, 0, 0, 7.5, 7.5)


def test_what_no_process_sent_and_no_rule_decided_has_a_row_too() -> None:
    connection = Connection(flow=flow_of(), attribution=KERNEL)
    key = row_of(ConnectionDecided(connection, Decision(verdict=Verdict.DENY, reason=""), False, 1.0)).key
    assert (key.program, key.uid, key.name, key.rule) == ("kernel", None, None, None)


def test_a_row_without_names_says_how_much_and_whose() -> None:
    connection = Connection(flow=flow_of(), attribution=CURL, name="shop.test")
    rule = parse_rule("allow shop.test 443 tcp /usr/bin/curl")
    row = row_of(ConnectionDecided(connection, Decision(verdict=Verdict.ALLOW, reason="", rule=rule), True, 7.5))
    kept = without_names(row)
    assert (kept.key.program, kept.key.remote, kept.key.name, kept.key.port, kept.key.rule) == (
        PRIVATE,
        b"",
        "",
        0,
        None,
    )
    assert (kept.key.uid, kept.key.protocol, kept.connections, kept.last_s) == (1000, 6, 1, 7.5)
