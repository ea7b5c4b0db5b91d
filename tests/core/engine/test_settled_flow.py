"""When the decision of a flow still holds for a further packet."""

import msgspec
import pytest

from tests.core.engine.transcript import flow_of, inbound, whose
from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.engine.settled_flow import SettledFlow
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import UNKNOWN, UNKNOWN_EXEC_ID
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision

DECISION = Decision(verdict=Verdict.ALLOW, reason="")


def settle(expires_s: float | None = None, is_answer: bool = False, tied_to: int = 0) -> SettledFlow:
    return SettledFlow(
        decision=DECISION,
        cookie=5,
        exec_id=7,
        decided_s=1.0,
        generation=3,
        expires_s=expires_s,
        is_answer=is_answer,
        tied_to=tied_to,
    )


def holds(
    settled: SettledFlow,
    *,
    flow: Flow | None = None,
    cookie: int = 5,
    exec_id: int = 7,
    interface: int = 2,
    generation: int = 3,
) -> bool:
    attribution = whose(exec_id=exec_id) if exec_id != UNKNOWN_EXEC_ID else UNKNOWN
    event = PacketQueued(1, flow or flow_of(), attribution, cookie=cookie, interface_index=interface)
    return settled.holds_for(event, generation, 10.0)


def test_the_same_flow() -> None:
    assert holds(settle())
    assert holds(settle(expires_s=10.1))


@pytest.mark.parametrize("asked", [{"cookie": 6}, {"exec_id": 8}, {"generation": 4}, {"generation": 2}])
def test_another_flow_socket_or_program(asked: dict[str, int]) -> None:
    assert not holds(settle(), **asked)


def test_a_program_that_is_gone_is_known_by_its_socket() -> None:
    assert holds(settle(), exec_id=UNKNOWN_EXEC_ID)
    assert not holds(settle(), exec_id=UNKNOWN_EXEC_ID, cookie=6)
    assert not holds(settle(), exec_id=UNKNOWN_EXEC_ID, flow=inbound())  # that is the listening one
    without_socket = msgspec.structs.replace(settle(), cookie=0)
    assert holds(without_socket, cookie=0)
    assert not holds(without_socket, exec_id=UNKNOWN_EXEC_ID, cookie=0)


def test_it_ends_on_time() -> None:
    assert not holds(settle(expires_s=10.0))


def test_an_answer_outlives_the_rules_but_not_its_socket() -> None:
    assert holds(settle(is_answer=True), generation=4)
    assert not holds(settle(is_answer=True), generation=4, cookie=6)


@pytest.mark.parametrize("is_answer", [False, True])
def test_what_is_tied_is_the_same_on_its_interface_alone(is_answer: bool) -> None:
    assert holds(settle(is_answer=is_answer, tied_to=2))
    assert not holds(settle(is_answer=is_answer, tied_to=2), interface=3)
