"""What the kernel is told to remember, for how long, and for which connections."""

import math

import msgspec
import pytest

from tests.core.engine.transcript import SHOP, WALL_S, Transcript, flow_of, inbound, tell, whose, yes
from tinysnitch.core.engine.commands import Command, IssueVerdict, RememberFlow, RememberVerdict
from tinysnitch.core.engine.events import AnswerGiven, PacketQueued
from tinysnitch.core.engine.open_prompts import HeldFlow
from tinysnitch.core.engine.verdict_cache import Remembered
from tinysnitch.core.engine.verdict_writer import REPLIED_S, Basis, VerdictWriter
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import (
    KERNEL,
    NO_GRAINS,
    UNKNOWN,
    UNKNOWN_EXEC_ID,
    Attribution,
    AttributionSource,
    Grains,
    exec_id_of,
)
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.verdict import Grain, Verdict, VerdictKey, verdict_key_of
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.prompts.choice import Lifetime

NOW = Instant(100.0, WALL_S)
ALLOW = Decision(verdict=Verdict.ALLOW, reason="allowed by a rule")
DENY = Decision(verdict=Verdict.DENY, reason="denied by a rule")
CACHED = "decided: allowed by a rule (cached)"
PLAIN = Connection(flow=flow_of(), attribution=whose())


def write(
    connection: Connection = PLAIN,
    decision: Decision = ALLOW,
    *,
    cookie: int = 5,
    basis: Basis = Basis.RULES,
) -> list[Command]:
    verdict_writer = VerdictWriter(Settings(), ActiveRules(Facts(), 3))
    held = HeldFlow(connection, cookie, [1])
    return list(verdict_writer.write(held, decision, NOW, basis=basis))


def expiry_of(connection: Connection = PLAIN, decision: Decision = ALLOW, **how: object) -> float | None:
    first = write(connection, decision, **how)[0]  # type: ignore[arg-type]
    assert isinstance(first, RememberVerdict | RememberFlow)
    assert first.generation == 3
    return first.expires_s


def named(expires_s: float, *others: str) -> Connection:
    return msgspec.structs.replace(PLAIN, name="shop.test", other_names=others, name_expires_s=expires_s)


def test_the_verdict_is_written_before_the_packets_go() -> None:
    assert [tell(command) for command in write()] == ["remember allow", "allow 1", "decided: allowed by a rule"]


@pytest.mark.parametrize(
    ("flow", "decision", "follow"),
    [
        (flow_of(protocol=UDP), ALLOW, [False, True]),
        (flow_of(protocol=UDP), DENY, [False, False]),
        (flow_of(), ALLOW, [False, False]),
        (inbound(port=22), ALLOW, [False, False]),
        (inbound(protocol=UDP), ALLOW, [False, False]),
    ],
)
def test_what_the_kernel_lets_go_on_after_the_first_is_told(flow: Flow, decision: Decision, follow: list[bool]) -> None:
    held = HeldFlow(Connection(flow=flow, attribution=whose()), 5, [1, 2])
    commands = VerdictWriter(Settings(), ActiveRules(Facts(), 3)).write(held, decision, NOW)
    assert [each.follows for each in commands if isinstance(each, IssueVerdict)] == follow


@pytest.mark.parametrize(
    ("connection", "decision", "basis"),
    [
        (PLAIN, ALLOW, Basis.PERSON),
        (PLAIN, ALLOW, Basis.MOMENT),
        (PLAIN, msgspec.structs.replace(ALLOW, is_flow_only=True), Basis.RULES),
        (Connection(flow=flow_of(), attribution=UNKNOWN), ALLOW, Basis.RULES),
    ],
)
def test_what_rests_on_more_than_the_key_holds_for_the_flow(
    connection: Connection, decision: Decision, basis: Basis
) -> None:
    first = write(connection, decision, basis=basis)[0]
    assert isinstance(first, RememberFlow)
    assert (first.flow, first.exec_id) == (connection.flow, exec_id_of(connection.attribution))


@pytest.mark.parametrize(
    ("flow", "is_flow_only", "is_held_tied", "tied_to"),
    [
        (flow_of(), True, False, 2),
        (flow_of(), False, True, 2),
        (flow_of(), False, False, 0),
        (inbound(), True, True, 0),
    ],
)
def test_what_an_interface_may_decide_is_tied_to_it(
    flow: Flow, is_flow_only: bool, is_held_tied: bool, tied_to: int
) -> None:
    held = HeldFlow(Connection(flow=flow, attribution=whose()), 5, [1], interface_index=2, is_tied=is_held_tied)
    decision = msgspec.structs.replace(ALLOW, is_flow_only=is_flow_only)
    first = next(VerdictWriter(Settings(), ActiveRules(Facts(), 3)).write(held, decision, NOW, basis=Basis.MOMENT))
    assert isinstance(first, RememberFlow)
    assert first.tied_to == tied_to


def test_an_answer_is_tied_to_the_interface_that_a_rule_has_it_asked_on() -> None:
    engine = Transcript("ask iface=eth0 - - -")
    engine.feed(msgspec.structs.replace(engine.next_packet(), interface_index=2))
    told = engine.feed(AnswerGiven(1, yes(Lifetime.ONCE), 1000))
    assert [one.tied_to for one in told if isinstance(one, RememberFlow)] == [2]


def test_a_lasting_rule_holds_without_end() -> None:
    assert expiry_of() is None


def test_a_verdict_ends_with_the_rule_it_rests_on() -> None:
    assert expiry_of(decision=msgspec.structs.replace(ALLOW, until_s=WALL_S + 60)) == 160.0


def test_a_name_without_an_end_is_remembered_for_good() -> None:
    assert expiry_of(named(math.inf)) is None


def test_a_verdict_ends_with_the_name_since_other_rules_may_match_then() -> None:
    assert expiry_of(named(130.0)) == 130.0
    assert expiry_of(named(130.0), msgspec.structs.replace(ALLOW, until_s=WALL_S + 20)) == 120.0
    assert expiry_of(named(130.0, "ads.test")) == 130.0
    assert expiry_of(PLAIN) is None


def test_an_answer_for_one_connection_does_not_end_with_its_name() -> None:
    assert expiry_of(named(130.0), cookie=5, basis=Basis.PERSON) == 220.0


@pytest.mark.parametrize("basis", [Basis.PERSON, Basis.MOMENT])
@pytest.mark.parametrize(
    ("connection", "decision", "cookie", "expires_s"),
    [
        (Connection(flow=flow_of(protocol=UDP), attribution=whose()), ALLOW, 5, None),  # as long as its socket
        (PLAIN, ALLOW, 0, 220.0),
        (PLAIN, DENY, 5, 160.0),
        (Connection(flow=inbound(), attribution=whose()), ALLOW, 5, 220.0),  # the listening socket's cookie
    ],
)
def test_how_long_what_is_for_one_flow_holds(
    connection: Connection, decision: Decision, cookie: int, expires_s: float | None, basis: Basis
) -> None:
    assert expiry_of(connection, decision, cookie=cookie, basis=basis) == expires_s


def test_a_rules_denial_for_one_flow_holds_as_long_as_its_socket() -> None:
    assert expiry_of(PLAIN, msgspec.structs.replace(DENY, is_flow_only=True), cookie=5) is None


@pytest.mark.parametrize("timeout_s", [20.0, 0.0])
def test_an_edit_holds_for_a_flow_that_nobody_answered_for(timeout_s: float) -> None:
    engine = Transcript(timeout_s=timeout_s)
    flow = flow_of(protocol=UDP)
    engine.queue(flow)
    engine.wait(timeout_s)
    engine.load("allow - - -")
    assert engine.queue(flow)[:2] == ["remember allow", "allow 2"]


def test_an_edit_holds_for_a_flow_that_a_rule_let_go_by_a_name_that_had_ended() -> None:
    engine = Transcript(timeout_s=3600.0)
    engine.resolve("shop.test", SHOP, UNKNOWN, ttl_s=600)
    engine.queue()
    engine.now_s += 700
    assert "remember flow allow" in engine.load("allow shop.test - -")
    engine.load("deny - - -")
    assert "deny 4" in engine.queue()


def test_a_persons_answer_for_one_connection_outlives_an_edit() -> None:
    engine = Transcript(timeout_s=3600.0)
    engine.resolve("shop.test", SHOP, UNKNOWN, ttl_s=600)
    engine.queue()
    engine.now_s += 700
    assert "remember flow allow" in engine.answer(1, yes())
    engine.load("deny - - -")
    assert engine.queue() == ["remember flow allow", "allow 4"]


def test_a_closed_port_is_soon_looked_at_again() -> None:
    closed = Connection(flow=inbound(), attribution=Attribution(AttributionSource.UNKNOWN, is_listening=False))
    assert expiry_of(closed, DENY) == 110.0


def test_a_settled_flow_is_repeated_and_a_like_connection_is_cached() -> None:
    verdict_writer = VerdictWriter(Settings(), ActiveRules(Facts(), 3))
    list(verdict_writer.write(HeldFlow(PLAIN, 5, [1]), ALLOW, NOW))
    event = PacketQueued(2, PLAIN.flow, PLAIN.attribution, cookie=5)
    settled = verdict_writer.find_flow(event, NOW)
    assert settled is not None
    assert [tell(one) for one in verdict_writer.repeat(event, settled)] == ["remember flow allow", "allow 2"]
    key = verdict_key_of(PLAIN)
    assert key is not None
    assert verdict_writer.cache.find(key, NOW.boot_s) == Remembered(ALLOW, None)
    verdict_writer.clear()
    assert verdict_writer.cache.find(key, NOW.boot_s) is None


def test_what_is_repeated_is_remembered_for_the_program_that_the_kernel_knows() -> None:
    """Otherwise the kernel would not use it, and the packet would come back for ever."""
    verdict_writer = VerdictWriter(Settings(), ActiveRules(Facts(), 3))
    list(verdict_writer.write(HeldFlow(PLAIN, 5, [1]), ALLOW, NOW))
    event = PacketQueued(1, PLAIN.flow, UNKNOWN, cookie=5)
    settled = verdict_writer.find_flow(event, NOW)
    assert settled is not None
    remembered, issued = verdict_writer.repeat(event, settled)
    assert isinstance(remembered, RememberFlow)
    assert (remembered.exec_id, tell(issued)) == (UNKNOWN_EXEC_ID, "allow 1")


def test_what_falls_out_of_the_mirror_falls_out_of_the_kernel() -> None:
    verdict_writer = VerdictWriter(Settings(max_verdicts=1), ActiveRules(Facts(), 3))
    list(verdict_writer.write(HeldFlow(PLAIN, 5, [1]), ALLOW, NOW))
    other = Connection(flow=flow_of(port=80), attribution=whose())
    told = list(verdict_writer.write(HeldFlow(other, 6, [2]), ALLOW, NOW))
    assert [tell(one) for one in told[:3]] == ["remember allow", "allow 2", "forget 1"]
    assert {name: one.evicted for name, one in verdict_writer.tables().items()} == {"verdicts": 1, "flows": 0}


def test_a_reply_that_was_held_for_seconds_is_no_question() -> None:
    """As on a busy machine: the reply came before the kernel knew that its question was allowed."""
    engine = Transcript("allow 10.0.0.80 443 udp")
    asked = flow_of(protocol=UDP)
    engine.queue(asked)
    engine.now_s += 5.0
    answer = msgspec.structs.replace(asked, direction=Direction.INBOUND)
    assert engine.queue(answer)[:2] == ["remember flow allow", "allow 2"]


def test_a_reply_is_not_denied_as_a_new_connection_would_be() -> None:
    engine = Transcript("allow 10.0.0.80 443 udp", "deny - - -src")
    asked = flow_of(protocol=UDP)
    answer = msgspec.structs.replace(asked, direction=Direction.INBOUND)
    assert engine.queue(answer)[1] == "deny 1"
    engine.queue(asked)
    assert engine.queue(answer, cookie=9)[:2] == ["remember flow allow", "allow 3"]


def test_a_reply_that_the_kernel_does_not_recognise_is_no_question_either() -> None:
    engine = Transcript("allow 10.0.0.80 443 udp", "allow 10.0.0.80 443 tcp")
    asked = flow_of(protocol=UDP)
    answer = msgspec.structs.replace(asked, direction=Direction.INBOUND)
    engine.queue(asked)
    assert engine.queue(answer)[:2] == ["remember flow allow", "allow 2"]
    engine.queue(flow_of(2))
    assert engine.queue(msgspec.structs.replace(flow_of(2), direction=Direction.INBOUND))[0] == "opened 1"
    engine.now_s += REPLIED_S  # the kernel does not take it for one
    assert engine.queue(answer, cookie=9)[0] == "opened 2"
    engine.queue(flow_of(3, protocol=UDP))
    assert (
        engine.queue(msgspec.structs.replace(flow_of(3, protocol=UDP), direction=Direction.INBOUND), whose(8))[0]
        == "opened 3"
    )


GRAINS = Grains(file=11, args=12, lineage=13)
KNOWN = whose(grains=GRAINS)


def remembered(engine: Transcript, flow: Flow | None = None, who: Attribution = KNOWN) -> VerdictKey | None:
    """The key under which the verdict of a new connection is remembered; None: for its flow, or not at all."""
    commands = engine.feed(engine.next_packet(flow or flow_of(engine.packets + 1), who))
    return next((one.key for one in commands if isinstance(one, RememberVerdict)), None)


@pytest.mark.parametrize(
    ("line", "program", "grain", "remote", "port"),
    [
        ("allow - - - /usr/bin/curl", 11, Grain.FILE, None, None),
        ("allow - 443 tcp /usr/bin/curl", 11, Grain.FILE, None, 443),
        ("allow 10.0.0.80 - - /usr/bin/curl", 11, Grain.FILE, SHOP, None),
        ("allow 10.0.0.80 443 tcp /usr/bin/curl", 11, Grain.FILE, SHOP, 443),
        ("deny - - -", 11, Grain.FILE, None, None),
        ("allow - - - /usr/bin/curl -s", 12, Grain.ARGS, None, None),
        ("allow parent=/usr/bin/bash - - - /usr/bin/curl", 13, Grain.LINEAGE, None, None),
        ("allow parent=/usr/bin/bash - - - /usr/bin/curl -s", 7, Grain.EXEC, None, None),
    ],
)
def test_a_verdict_is_remembered_under_what_it_rests_on(
    line: str, program: int, grain: Grain, remote: str | None, port: int | None
) -> None:
    who = whose(grains=GRAINS, args=("-s",), parents=("/usr/bin/bash",))
    address = remote and parse_address(remote)
    expected = VerdictKey(program, 1000, TCP, Direction.OUTBOUND, address, port, grain)
    assert remembered(Transcript(line), who=who) == expected


@pytest.mark.parametrize("grains", [NO_GRAINS, Grains(args=12)])
def test_a_program_without_the_grain_is_remembered_by_the_next_finer_one(grains: Grains) -> None:
    key = remembered(Transcript("allow - - - /usr/bin/curl"), who=whose(grains=grains))
    assert key
    assert (key.program, key.grain) == ((12, Grain.ARGS) if grains.args else (7, Grain.EXEC))


def test_the_kernel_is_remembered_by_its_own_number() -> None:
    key = remembered(Transcript("allow - - - kernel"), who=KERNEL)
    assert key
    assert (key.program, key.uid, key.grain, key.remote) == (1, 0, Grain.EXEC, None)


def test_of_what_is_learned_each_connection_is_noted() -> None:
    engine = Transcript("ask - - - /usr/bin/curl", is_learning=True)
    assert remembered(engine) == VerdictKey(7, 1000, TCP, Direction.OUTBOUND, flow_of().remote, 443)


def test_a_name_counts_for_all_of_a_file_as_long_as_all_mean_it() -> None:
    engine = Transcript("allow shop.test 443 tcp", "deny ads.test 443 tcp")
    engine.resolve("shop.test", SHOP, KNOWN)
    key = remembered(engine)
    assert key
    assert (key.program, key.grain) == (11, Grain.FILE)
    twin = whose(8, grains=GRAINS)
    engine.resolve("shop.test", SHOP, twin)
    assert CACHED in engine.queue(flow_of(99), twin)
    assert "forget 1" in engine.resolve("ads.test", SHOP, twin)
    assert remembered(engine, flow_of(5), KNOWN) == VerdictKey(7, 1000, TCP, Direction.OUTBOUND, flow_of().remote, 443)
    assert engine.queue(flow_of(6), twin)[0] == "remember deny"


def test_rules_that_ask_for_no_name_rest_on_none() -> None:
    engine = Transcript("allow 10.0.0.80 443 tcp")
    engine.resolve("shop.test", SHOP, KNOWN)
    engine.resolve("ads.test", SHOP, whose(8))
    key = remembered(engine)
    assert key
    assert key.grain is Grain.FILE


def test_a_connection_that_is_alike_in_the_columns_is_told_as_cached() -> None:
    engine = Transcript("allow - 443 tcp", "deny - 80 tcp")
    assert CACHED not in engine.queue(flow_of(1), KNOWN)
    assert CACHED in engine.queue(flow_of(2, "10.9.9.9"), whose(8, grains=GRAINS))
    assert "decided: denied by a rule" in engine.queue(flow_of(2, "10.9.9.9", 80), whose(8, grains=GRAINS))


def test_what_rests_on_no_name_does_not_end_with_one() -> None:
    """Though the address has two names, of which no rule asks for any: each packet was judged again."""
    engine = Transcript("allow 10.0.0.80 443 tcp")
    engine.resolve("shop.test", SHOP, KNOWN)
    engine.resolve("ads.test", SHOP, whose(8))
    commands = engine.feed(engine.next_packet(flow_of(5), KNOWN))
    assert [one.expires_s for one in commands if isinstance(one, RememberVerdict)] == [None]
    assert CACHED in engine.queue(flow_of(6), KNOWN)
