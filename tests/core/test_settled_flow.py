"""When a flow that was decided is still the same one."""

import pytest

from tests.core.transcript import flow_of, whose
from tinysnitch.core.decision import Decision
from tinysnitch.core.events import PacketQueued
from tinysnitch.core.settled_flow import SettledFlow
from tinysnitch.core.verdict import Verdict

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


def holds(settled: SettledFlow, *, cookie: int = 5, exec_id: int = 7, interface: int = 2, generation: int = 3) -> bool:
    event = PacketQueued(1, flow_of(), whose(exec_id=exec_id), cookie=cookie, interface_index=interface)
    return settled.holds_for(event, generation, 10.0)


def test_the_same_flow() -> None:
    assert holds(settle())
    assert holds(settle(expires_s=10.1))


@pytest.mark.parametrize("asked", [{"cookie": 6}, {"exec_id": 8}, {"generation": 4}, {"generation": 2}])
def test_another_one(asked: dict[str, int]) -> None:
    assert not holds(settle(), **asked)


def test_it_ends_on_time() -> None:
    assert not holds(settle(expires_s=10.0))


def test_an_answer_outlives_the_rules_but_not_its_socket() -> None:
    assert holds(settle(is_answer=True), generation=4)
    assert not holds(settle(is_answer=True), generation=4, cookie=6)


@pytest.mark.parametrize("is_answer", [False, True])
def test_what_is_tied_is_the_same_on_its_interface_alone(is_answer: bool) -> None:
    assert holds(settle(is_answer=is_answer, tied_to=2))
    assert not holds(settle(is_answer=is_answer, tied_to=2), interface=3)
