"""The mirror of the kernel's verdicts."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.engine.verdict_cache import Remembered, VerdictCache
from tinysnitch.core.model.flow import TCP, Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.model.verdict_key import VerdictKey
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
