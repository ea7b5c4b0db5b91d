"""When a flow that was decided is still the same one."""

import pytest

from tests.core.transcript import flow_of
from tinysnitch.core.decision import Decision
from tinysnitch.core.settled_flows import SettledFlow, SettledFlows
from tinysnitch.core.verdict import Verdict

DECISION = Decision(verdict=Verdict.ALLOW, reason="")


def settle(expires_s: float | None = None, is_answer: bool = False, tied_to: int = 0) -> SettledFlow:
    return SettledFlow(
        decision=DECISION,
        cookie=5,
        exec_id=7,
        generation=3,
        expires_s=expires_s,
        is_answer=is_answer,
        tied_to=tied_to,
    )


def find(settled: SettledFlow, **asked: object) -> bool:
    flows = SettledFlows(8)
    flows.put(flow_of(), settled)
    wanted: dict[str, object] = {"cookie": 5, "exec_id": 7, "interface": 2, "generation": 3, "now_s": 10.0} | asked
    return flows.find(flow_of(), **wanted) is not None  # type: ignore[arg-type]


def test_the_same_flow() -> None:
    assert find(settle())
    assert find(settle(expires_s=10.1))


@pytest.mark.parametrize("asked", [{"cookie": 6}, {"exec_id": 8}, {"generation": 4}, {"generation": 2}])
def test_another_one(asked: dict[str, object]) -> None:
    assert not find(settle(), **asked)


def test_it_ends_on_time() -> None:
    assert not find(settle(expires_s=10.0))


def test_an_answer_outlives_the_rules_but_not_its_socket() -> None:
    assert find(settle(is_answer=True), generation=4)
    assert not find(settle(is_answer=True), generation=4, cookie=6)


@pytest.mark.parametrize("is_answer", [False, True])
def test_what_is_tied_is_the_same_on_its_interface_alone(is_answer: bool) -> None:
    assert find(settle(is_answer=is_answer, tied_to=2))
    assert not find(settle(is_answer=is_answer, tied_to=2), interface=3)


def test_the_table_is_bounded_and_counts() -> None:
    flows = SettledFlows(1)
    for port in (1, 2):
        flows.put(flow_of(port), settle())
    assert flows.find(flow_of(1), cookie=5, exec_id=7, interface=2, generation=3, now_s=0.0) is None
    assert (flows.statistics().used, flows.statistics().evicted) == (1, 1)
