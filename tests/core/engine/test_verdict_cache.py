"""The mirror of the kernel's verdicts."""

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.engine.transcript import flow_of, inbound, whose
from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.engine.verdict_cache import FlowVerdict, Remembered, VerdictCache
from tinysnitch.core.model.flow import TCP, Direction, Flow
from tinysnitch.core.model.process import UNKNOWN, UNKNOWN_EXEC_ID
from tinysnitch.core.model.verdict import Verdict, VerdictKey
from tinysnitch.core.policy.decision import Decision

DECISION = Decision(verdict=Verdict.ALLOW, reason="")
LASTING = Remembered(DECISION, None)


def key(number: int, remote: bytes = b"a") -> VerdictKey:
    return VerdictKey(number, 0, TCP, Direction.OUTBOUND, remote, 443)


def test_it_holds_until_its_end() -> None:
    cache = VerdictCache(4)
    cache.put(key(1), Remembered(DECISION, 10.0))
    cache.put(key(2), LASTING)
    assert cache.find(key(1), 9.9) == Remembered(DECISION, 10.0)
    assert cache.find(key(1), 10.0) is None
    assert cache.find(key(2), 1e9) is LASTING
    assert cache.find(key(3), 0.0) is None
    assert cache.statistics().used == 1


def test_an_address_takes_all_its_verdicts_along() -> None:
    cache = VerdictCache(4)
    for one in (key(1), key(2), key(3, b"b")):
        cache.put(one, LASTING)
    assert set(cache.pop_address(b"a")) == {key(1), key(2)}
    assert cache.pop_address(b"a") == ()
    assert cache.find(key(1), 0.0) is None
    assert cache.find(key(3, b"b"), 0.0)


def test_the_least_recently_used_one_goes_and_is_named() -> None:
    cache = VerdictCache(2)
    cache.put(key(1), LASTING)
    cache.put(key(2), LASTING)
    cache.find(key(1), 0.0)
    assert cache.put(key(3), LASTING) == key(2)
    assert cache.put(key(3), LASTING) is None
    assert cache.statistics().evicted == 1
    assert set(cache.pop_address(b"a")) == {key(1), key(3)}


def test_of_an_address_whose_verdict_went_nothing_is_left() -> None:
    cache = VerdictCache(1)
    cache.put(key(1), LASTING)
    cache.put(key(2, b"b"), Remembered(DECISION, 10.0))
    assert cache.find(key(2, b"b"), 10.0) is None
    assert [cache.pop_address(address) for address in (b"a", b"b")] == [(), ()]


def test_addresses_whose_verdicts_went_take_no_room() -> None:
    cache = VerdictCache(2)
    tracemalloc.start()
    for number in range(2000):
        cache.put(key(number % 2, (number // 2).to_bytes(4)), LASTING)
    size, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 20_000


def test_another_generation_clears_all() -> None:
    cache = VerdictCache(2)
    cache.put(key(1), LASTING)
    cache.clear()
    assert cache.find(key(1), 0.0) is None
    assert cache.pop_address(b"a") == ()


@given(st.lists(st.tuples(st.sampled_from("pfa"), st.integers(1, 5), st.sampled_from([b"a", b"b"]), st.integers(0, 9))))
def test_what_is_in_here_is_what_the_kernel_holds(steps: list[tuple[str, int, bytes, int]]) -> None:
    cache = VerdictCache(3)
    kernel: set[VerdictKey | None] = set()
    for now, (action, number, remote, seconds) in enumerate(steps):
        one = key(number, remote)
        if action == "p":
            kernel.add(one)
            kernel.discard(cache.put(one, Remembered(DECISION, float(now + seconds))))
        elif action == "a":
            kernel -= set(cache.pop_address(remote))
        elif cache.find(one, float(now)) is None:
            kernel.discard(one)  # it has expired there as well
    assert {one for remote in (b"a", b"b") for one in cache.pop_address(remote)} == kernel
    assert cache.statistics().used == 0


def settle(expires_s: float | None = None, is_answer: bool = False, tied_to: int = 0) -> FlowVerdict:
    return FlowVerdict(
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
    settled: FlowVerdict,
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
