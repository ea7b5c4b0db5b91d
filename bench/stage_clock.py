"""Where the time goes: each moment is charged to the innermost open stage, so that the stages add up to the whole."""

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

OUTSIDE = "asyncio's loop"  # time outside all stages


class StageClock:
    def __init__(self) -> None:
        self.spent_ns: Counter[str] = Counter()
        self.entries: Counter[str] = Counter()
        self._open = [OUTSIDE]
        self._since_ns = time.perf_counter_ns()

    def enter(self, stage: str) -> None:
        self._charge()
        self.entries[stage] += 1
        self._open.append(stage)

    def leave(self) -> None:
        self._charge()
        self._open.pop()

    def reset(self) -> None:
        self._charge()
        self.spent_ns.clear()
        self.entries.clear()

    def _charge(self) -> None:
        now_ns = time.perf_counter_ns()
        self.spent_ns[self._open[-1]] += now_ns - self._since_ns
        self._since_ns = now_ns

    def wrap(self, owner: Any, name: str, stage: str) -> None:  # noqa: ANN401  (a class or a module)
        """From now on charge the time in `owner.name` to the stage."""
        setattr(owner, name, self._timed(getattr(owner, name), stage))

    def wrap_iterator(self, owner: Any, name: str, stage: str) -> None:  # noqa: ANN401  (a class)
        """Likewise for a generator: its steps are charged to the stage, but not what its caller does between them."""
        wrapped = self._timed(getattr(owner, name), stage)
        step = self._timed(next, stage)

        def steps(*arguments: Any, **named: Any) -> Iterator[Any]:  # noqa: ANN401  (as wrapped)
            iterator, end = wrapped(*arguments, **named), object()
            while (value := step(iterator, end)) is not end:
                yield value

        setattr(owner, name, steps)

    def _timed(self, wrapped: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(wrapped)
        def timed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  (as wrapped)
            self.enter(stage)
            try:
                return wrapped(*arguments, **named)
            finally:
                self.leave()

        return timed

    def measure_own_cost_ns(self) -> float:
        """Nanoseconds that the clock adds to each entry into a stage. They are charged to the stage around it."""
        clock, rounds = StageClock(), 20_000
        empty = clock._timed(lambda: None, "empty")
        begun_ns = time.perf_counter_ns()
        for _ in range(rounds):
            empty()
        return (time.perf_counter_ns() - begun_ns) / rounds
