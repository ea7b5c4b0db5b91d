"""When the number of packets held for each user is limited, and when no longer."""

import asyncio
import time
from itertools import chain, repeat

import pytest

from tests.lab.patience import WAIT_S
from tinysnitch.daemon.loop import overload
from tinysnitch.daemon.loop.overload import LOOK_S, MANY, PATIENCE_NS, Overload, OverloadWatch
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.kernel.bpf.layout import QUOTA_MOMENT_NS

BATCH = 64
STEP_NS = PATIENCE_NS // 10  # how long a batch takes
STEPS = int(LOOK_S * 1e9) // STEP_NS  # batches between two looks
ALL = STEPS * BATCH  # packets that can be judged between two looks


def share(times: int) -> int:
    return times * BATCH * QUOTA_MOMENT_NS // STEP_NS // 4


LIMIT = share(1)


class Flood:
    """A queue with a number of packets in it, and BPF programs that count what they drop."""

    def __init__(self, waiting: int) -> None:
        self.waiting, self.now_ns, self.dropped = waiting, 10**15, 0
        self.packet_ns = STEP_NS // BATCH  # how long a packet takes
        self.looks = 0
        self.limits: list[int] = []
        self.overload = Overload(self._count, self.limits.append, lambda: self.dropped, lambda: self.now_ns)

    def _count(self) -> int:
        self.looks += 1
        return self.waiting

    def judge(self, batches: int, size: int = BATCH) -> None:
        for _ in range(batches):
            self.now_ns += STEP_NS
            self.overload.note_batch(size, BATCH, self.packet_ns * size)

    def pass_look(self, size: int, dropped: int) -> None:
        """Pass the time until the next look, with so many packets in each batch."""
        self.judge(STEPS, size)
        self.dropped += dropped
        self.overload.look_again()


def test_a_quarter_of_what_is_judged_is_for_each() -> None:
    flood = Flood(MANY)
    flood.judge(11)
    assert flood.limits == [LIMIT]
    assert flood.overload.is_limited


def test_a_slow_machine_lets_each_have_some() -> None:
    flood = Flood(MANY)
    flood.judge(1)
    flood.now_ns += 10**12
    flood.judge(1)
    assert flood.limits == [4]


def test_what_finds_room_is_not_limited_however_long_it_goes_on() -> None:
    flood = Flood(MANY - 1)
    flood.judge(100)
    assert flood.limits == []
    assert 0 < flood.looks < 10


def test_what_is_caught_up_with_is_not_even_counted() -> None:
    flood = Flood(MANY)
    for _ in range(20):
        flood.judge(9)
        flood.judge(1, BATCH - 1)
    assert (flood.limits, flood.looks) == ([], 0)


def limit() -> Flood:
    """The limit applies, and the queue gets short at once."""
    flood = Flood(MANY)
    flood.judge(11)
    flood.waiting = 0
    return flood


def test_it_lasts_while_there_is_too_much() -> None:
    flood = limit()
    for _ in range(3):
        flood.pass_look(BATCH // 4, 10 * ALL)
    assert flood.limits == [LIMIT] * 4
    flood.pass_look(BATCH // 4, 0)
    assert flood.limits == [LIMIT] * 4 + [0]
    assert not flood.overload.is_limited


def test_what_comes_hardly_faster_than_it_is_judged_has_nearly_all_of_the_time() -> None:
    """Its share grows until three quarters of the time are spent; a single program may have all of that."""
    flood = limit()
    for part in (16, 8, 4):
        flood.pass_look(BATCH // part, ALL)
    assert flood.limits == [LIMIT, share(2), share(4), share(8)]
    flood.pass_look(BATCH // 4 * 3, ALL // 2)
    flood.pass_look(BATCH // 2, ALL // 4 * 3)
    assert flood.limits[-2:] == [share(8), share(12)]
    flood.pass_look(BATCH // 4, ALL)
    assert flood.limits[-1] == share(16)


def test_what_comes_twice_as_fast_has_half_of_the_time() -> None:
    flood = limit()
    flood.pass_look(BATCH // 4, ALL * 7 // 4)
    assert flood.limits == [LIMIT, share(2)]
    flood.pass_look(BATCH // 2, ALL * 3 // 2)
    assert flood.limits[-1] == share(2)
    flood.pass_look(BATCH, ALL)
    assert flood.limits[-1] == LIMIT


def test_where_many_wait_each_has_its_share_alone() -> None:
    flood = limit()
    flood.pass_look(BATCH // 4, ALL)
    flood.waiting = MANY
    flood.pass_look(BATCH, ALL)
    assert flood.limits == [LIMIT, share(2), LIMIT]


def limit_while_processors_are_taken_away() -> Flood:
    """Begin to limit while each batch takes two hundred times as long as usual."""
    flood = Flood(MANY)
    flood.judge(1)
    flood.now_ns += 199 * STEP_NS
    flood.judge(1)
    assert flood.limits == [4]
    flood.waiting = 0
    return flood


def test_what_was_slow_once_may_be_quick_again() -> None:
    flood = limit_while_processors_are_taken_away()
    flood.pass_look(BATCH // 32, 2 * ALL)
    assert flood.limits[1:] == [LIMIT]
    flood.pass_look(BATCH // 4, ALL // 3)
    assert not flood.overload.is_limited


def test_what_comes_steadily_is_let_in_once_it_can_be_judged() -> None:
    """Less comes than we can judge now, but more than we could judge when the limit began."""
    flood = limit_while_processors_are_taken_away()
    flood.pass_look(BATCH // 32, ALL // 4)
    assert flood.limits[1:] == [0]


def test_where_nothing_is_judged_it_is_not_measured_how_quickly() -> None:
    flood = limit_while_processors_are_taken_away()
    flood.pass_look(0, ALL)
    assert flood.limits[1:] == [4]
    flood.pass_look(0, 0)
    assert not flood.overload.is_limited


def test_shares_that_are_too_large_become_smaller() -> None:
    """If we are behind all the time, the loop has other work besides."""
    flood = Flood(MANY)
    flood.judge(11)
    flood.packet_ns //= 10
    flood.pass_look(BATCH // 2, ALL)
    assert flood.limits == [LIMIT, LIMIT // 2]


@pytest.mark.parametrize(("dropped", "is_over"), [(ALL // 3, True), (ALL * 2 // 3, False)])
def test_a_program_that_wants_more_than_its_share_and_less_than_all_gets_it(dropped: int, is_over: bool) -> None:
    """Packets that were dropped in earlier looks do not count again."""
    flood = limit()
    flood.dropped += 10**9
    flood.overload.look_again()
    flood.pass_look(BATCH // 4, ALL)
    flood.pass_look(BATCH // 4, dropped)
    assert flood.overload.is_limited is not is_over


def test_the_next_one_is_limited_anew() -> None:
    flood = limit()
    flood.pass_look(0, 0)
    flood.waiting = MANY
    flood.judge(11)
    assert flood.limits == [LIMIT, 0, LIMIT]


def test_nothing_is_looked_at_again_that_is_not_limited() -> None:
    flood = Flood(MANY)
    flood.overload.look_again()
    assert flood.limits == []


def test_a_limit_ends_without_a_further_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the second look, since by the first one much was dropped."""
    monkeypatch.setattr(overload, "LOOK_S", 0.01)
    dropped = chain((0,), repeat(10**9))

    async def flood() -> None:
        is_over = asyncio.Event()

        def limit(most: int) -> None:
            if not most:
                is_over.set()

        watch = OverloadWatch(Overload(lambda: MANY, limit, dropped.__next__), Failures().attempt)
        while not watch.is_limited:
            watch.note_batch(BATCH, BATCH, time.monotonic_ns())
        async with asyncio.timeout(WAIT_S):
            await is_over.wait()
        assert not watch.is_limited

    asyncio.run(flood())


def test_of_a_batch_that_was_not_full_nothing_is_noted() -> None:
    watch = OverloadWatch(Overload(lambda: MANY, lambda _limit: None, lambda: 0), Failures().attempt)
    end_ns = time.monotonic_ns() + 2 * PATIENCE_NS
    while time.monotonic_ns() < end_ns:
        watch.note_batch(BATCH - 1, BATCH, time.monotonic_ns())
        assert not watch.is_watching
    assert not watch.is_limited


def test_a_batch_that_was_not_full_ends_a_row_of_full_ones() -> None:
    flood = Flood(MANY)
    watch = OverloadWatch(flood.overload, Failures().attempt)
    for size in (BATCH, BATCH - 1, BATCH):
        watch.note_batch(size, BATCH, time.monotonic_ns())
        assert watch.is_watching is (size == BATCH)
        flood.now_ns += PATIENCE_NS
    assert (flood.looks, watch.is_limited) == (0, False)
