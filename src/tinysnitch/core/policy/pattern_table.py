"""Patterns in use, and which of them match a value. Results are kept, so that asking again costs nothing."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from tinysnitch.core.model.tables import BoundedTable

Pattern = TypeVar("Pattern", bound=Hashable)
Used = TypeVar("Used")
_KEPT = 4096  # values, each with the patterns that match it


def count_use(uses: Counter[Used], what: Used, step: int) -> None:
    """Count one use more (step 1) or less (-1). What has none left is not kept."""
    uses[what] += step
    if not uses[what]:
        del uses[what]


class PatternTable(Generic[Pattern]):
    def __init__(self, takes: Callable[[Pattern, Any], bool]) -> None:
        self._takes = takes
        self._uses: Counter[Pattern] = Counter()
        self._found: BoundedTable[Hashable, tuple[Pattern, ...]] = BoundedTable(_KEPT)

    def count(self, pattern: Pattern, step: int) -> None:
        count_use(self._uses, pattern, step)
        self.forget()

    def forget(self) -> None:
        """Drop the results that are kept, since other patterns may match a value now."""
        self._found.clear()

    def find(self, value: Hashable) -> tuple[Pattern, ...]:
        """The patterns that match the value."""
        if not self._uses:
            return ()
        found = self._found.find(value)
        if found is None:
            found = tuple(pattern for pattern in self._uses if self._takes(pattern, value))
            self._found.put(value, found)
        return found
