"""The clock of `make profile`."""

import time
from collections.abc import Iterator

import pytest

from bench.profiled_daemon import GENERATORS, STAGES
from bench.stage_clock import OUTSIDE, StageClock


class Work:
    def outer(self) -> None:
        time.sleep(0.01)
        self.inner()

    def inner(self) -> None:
        time.sleep(0.02)

    def steps(self) -> Iterator[None]:
        yield time.sleep(0.01)
        yield time.sleep(0.01)


def test_a_moment_is_charged_to_the_innermost_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = StageClock()
    for name in ("outer", "inner"):
        monkeypatch.setattr(Work, name, getattr(Work, name))
        clock.wrap(Work, name, name)
    clock.reset()
    begun_ns = time.perf_counter_ns()
    Work().outer()
    all_ns = time.perf_counter_ns() - begun_ns
    assert clock.entries == {"outer": 1, "inner": 1}
    assert clock.spent_ns["inner"] >= 20_000_000
    assert 10_000_000 <= clock.spent_ns["outer"] <= all_ns - 20_000_000


def test_between_the_steps_of_a_generator_the_time_is_its_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = StageClock()
    monkeypatch.setattr(Work, "steps", Work.steps)
    clock.wrap_iterator(Work, "steps", "steps")
    for _ in Work().steps():
        time.sleep(0.02)
    clock.enter("end")
    assert clock.spent_ns["steps"] >= 20_000_000
    assert clock.spent_ns[OUTSIDE] >= 40_000_000


def test_what_the_profile_wraps_is_there() -> None:
    for owner, name, _stage in (*STAGES, *GENERATORS):
        assert callable(getattr(owner, name))
