"""Which losses are told, and when."""

from tinysnitch.core.engine.events import DataLost
from tinysnitch.daemon.logs.loss_watch import LossWatch


def test_only_what_rose_is_told_and_once() -> None:
    losses = {"packets": 3}
    watch = LossWatch(lambda: dict(losses))
    assert list(watch.new_losses(10.0)) == []
    losses.update({"packets": 5, "lines": 1})
    assert list(watch.new_losses(10.0)) == [DataLost("packets", 2), DataLost("lines", 1)]
    assert list(watch.new_losses(10.0)) == []


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
