"""Ports that the same program and remote may have told each other at a well-known port."""

import pytest

from tests.core.engine.transcript import BANK, CURL, SHOP, Transcript, flow_of, inbound, no, whose, yes
from tests.core.prompts.catalogued import CATALOGUE
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import UDP, Flow
from tinysnitch.core.model.process import KERNEL, Attribution
from tinysnitch.core.prompts.negotiated_ports import MAX_TALKS, NegotiatedPorts
from tinysnitch.core.prompts.proposal import choose_first

CONTROL = flow_of(port=21)
SERVED = inbound(50000, 21, SHOP)


def told_by(*talks: Flow, who: Attribution = CURL) -> NegotiatedPorts:
    ports = NegotiatedPorts(frozenset(CATALOGUE.told_ports))
    for talk in talks:
        ports.note(Connection(flow=talk, attribution=who))
    return ports


def has(ports: NegotiatedPorts, flow: Flow, who: Attribution = CURL) -> bool:
    return ports.has(Connection(flow=flow, attribution=who))


@pytest.mark.parametrize(
    ("talk", "flow"),
    [
        (CONTROL, flow_of(port=5038)),
        (CONTROL, flow_of(port=1024)),
        (CONTROL, inbound(20, 33149, SHOP)),
        (SERVED, inbound(50001, 12427, SHOP)),
        (SERVED, flow_of(20, port=50001)),
        (flow_of(port=990), flow_of(port=5038)),
        (inbound(37193, 69, SHOP, UDP), flow_of(58472, port=37193, protocol=UDP)),
        (flow_of(port=111), flow_of(port=37193, protocol=UDP)),
        (flow_of(port=111, protocol=UDP), flow_of(port=37193)),
        (flow_of(port=135), flow_of(port=49153)),
        (flow_of(port=4369), flow_of(port=38663)),
        (flow_of(port=554), flow_of(13144, port=8408, protocol=UDP)),
        (flow_of(port=8554), inbound(8408, 13144, SHOP, UDP)),
        (flow_of(port=322), flow_of(13144, port=8408, protocol=UDP)),
        (flow_of(port=5060, protocol=UDP), flow_of(13144, port=7078, protocol=UDP)),
        (flow_of(port=5060), flow_of(13144, port=7078, protocol=UDP)),
        (flow_of(port=8009), flow_of(40001, port=35921, protocol=UDP)),
        (flow_of(port=8009), inbound(37193, 45017, SHOP)),
        (inbound(37193, 5061, SHOP), inbound(7078, 13144, SHOP, UDP)),
        (flow_of(port=6566), flow_of(port=55313)),
        (flow_of(port=9875, protocol=UDP), flow_of(port=46994, protocol=UDP)),
        (flow_of(port=12865), flow_of(port=45839)),
        (flow_of(port=24007), flow_of(port=55308)),
        (flow_of(port=12865), flow_of(port=55992, protocol=UDP)),
    ],
)
def test_a_port_is_told_where_both_talked_at_the_well_known_port(talk: Flow, flow: Flow) -> None:
    assert has(told_by(talk), flow)
    assert not has(NegotiatedPorts(), flow)


@pytest.mark.parametrize(
    ("talk", "flow"),
    [
        (CONTROL, flow_of(port=443)),
        (CONTROL, flow_of(port=1023)),
        (CONTROL, CONTROL),
        (CONTROL, flow_of(port=4369)),
        (CONTROL, flow_of(port=5038, remote=BANK)),
        (flow_of(port=22), flow_of(port=5038)),
        (flow_of(21, port=443), flow_of(port=5038)),
    ],
)
def test_other_ports_are_not_told(talk: Flow, flow: Flow) -> None:
    assert not has(told_by(talk), flow)


def test_no_port_is_told_to_another_program() -> None:
    assert not has(told_by(CONTROL), flow_of(port=5038), whose(8))
    assert not has(told_by(CONTROL, who=KERNEL), flow_of(port=5038), KERNEL)


def test_of_too_many_talks_the_oldest_is_forgotten() -> None:
    ports = told_by(CONTROL, *(flow_of(remote=f"10.1.{n >> 8}.{n & 255}", port=21) for n in range(MAX_TALKS)))
    assert not has(ports, flow_of(port=5038))


def first_port(engine: Transcript) -> bool:
    """Whether the prompt proposes any port first."""
    (prompt,) = engine.engine.open_prompts(engine.now)
    return choose_first(prompt.connection).any_port


def test_the_answer_for_the_first_file_is_for_all_of_them() -> None:
    engine = Transcript()
    engine.queue(CONTROL)
    assert not first_port(engine)
    engine.answer(1, yes())
    engine.queue(flow_of(40001, port=5038))
    assert first_port(engine)


def test_a_talk_that_a_rule_allows_counts_too() -> None:
    engine = Transcript(f"allow {SHOP} 21 tcp")
    engine.queue(CONTROL)
    engine.queue(flow_of(40001, port=5038))
    assert first_port(engine)


def test_what_was_denied_tells_nothing() -> None:
    engine = Transcript()
    engine.queue(CONTROL)
    engine.answer(1, no())
    engine.queue(flow_of(40001, port=5038))
    assert not first_port(engine)


def test_a_rule_that_asks_about_some_ports_keeps_them() -> None:
    """With any port the answer's rule would not be narrower than the rule that asks."""
    engine = Transcript("allow - 21 tcp", "ask - 1024-65535 tcp")
    engine.queue(CONTROL)
    engine.queue(flow_of(40001, port=5038))
    assert not first_port(engine)
