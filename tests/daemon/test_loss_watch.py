"""Losses that rose."""

import asyncio
from contextlib import closing
from pathlib import Path

from tests.daemon.driver_place import Place
from tinysnitch.core.dns_questions import SUSPICIOUS
from tinysnitch.core.events import DataLost
from tinysnitch.daemon.loss_watch import LossWatch
from tinysnitch.daemon.netfilter_guard import PUT_BACK
from tinysnitch.daemon.recorder import NOT_KEPT
from tinysnitch.daemon.rule_saver import NOT_SAVED


def test_of_the_real_counters_only_these_are_left_out(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            losses = dict.fromkeys(place.counters.losses(), 0)
            tables = {"names", *place.counters.tables()} - place.counters.evicted().keys()
        watch = LossWatch(lambda: dict(losses))
        losses.update(dict.fromkeys(losses, 1))
        left_out = losses.keys() - {loss.what for loss in watch.rest()}
        refused = {f"DNS messages not learned, {refusal.value}" for refusal in SUSPICIOUS}
        assert left_out == {PUT_BACK, NOT_SAVED, NOT_KEPT, *refused, *(f"{table} evicted" for table in tables)}

    asyncio.run(run())


def test_only_what_rose_is_told_and_once() -> None:
    losses = {"packets": 3, "names evicted": 0}
    watch = LossWatch(lambda: dict(losses))
    assert list(watch.new_losses(10.0)) == []
    losses.update({"packets": 5, "names evicted": 9, "lines": 1})
    assert list(watch.new_losses(10.0)) == [DataLost("packets", 2), DataLost("lines", 1)]
    assert list(watch.new_losses(10.0)) == []


def test_what_is_told_when_it_happens_is_not_told_again() -> None:
    losses = dict.fromkeys((PUT_BACK, NOT_SAVED, NOT_KEPT), 0)
    watch = LossWatch(lambda: dict(losses))
    losses.update(dict.fromkeys(losses, 1))
    assert list(watch.rest()) == []


def test_what_goes_on_is_told_at_longer_and_longer_intervals() -> None:
    told, losses = list[tuple[int, int]](), {"packets": 0}
    watch = LossWatch(lambda: dict(losses))
    for second in range(1000):
        losses["packets"] = second
        told += [(second, event.count) for event in watch.new_losses(float(second))]
    assert [second for second, _count in told][:9] == [1, 2, 4, 8, 16, 32, 64, 128, 192]
    assert sum(count for _second, count in told) == told[-1][0], "nothing goes unsaid"
    assert list(watch.rest()) == [DataLost("packets", 999 - told[-1][0])]


def test_what_comes_again_after_a_while_is_told_at_once() -> None:
    losses = {"packets": 0}
    watch = LossWatch(lambda: dict(losses))
    for now_s in (0.0, 1.0, 3.0, 7.0, 200.0, 201.0):
        losses["packets"] += 1
        assert list(watch.new_losses(now_s)) == [DataLost("packets", 1)]
