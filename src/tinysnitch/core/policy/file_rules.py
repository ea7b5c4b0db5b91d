"""The rules of the file in its order, and what an edit changes of them. Some may be listed several times.

To hash 100,000 rules takes 30 ms, so only what lies between the first and the last difference is looked at.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

from tinysnitch.core.rules.common_ends import find_common_ends
from tinysnitch.core.rules.rule import Rule


class Edit(NamedTuple):
    gone: dict[Rule, None]  # those that are not listed any more; a dict for its order
    came: dict[Rule, None]  # those that were not listed
    after: "FileRules"


class FileRules:
    def __init__(self, listed: tuple[Rule, ...] = (), times: dict[Rule, int] | None = None) -> None:
        """`times`: how often each rule is listed that is listed more than once."""
        self.listed = listed
        self._times = times or {}

    def __len__(self) -> int:
        return len(self.listed) - sum(self._times.values()) + len(self._times)

    @cached_property
    def each_once(self) -> tuple[Rule, ...]:
        return tuple(dict.fromkeys(self.listed)) if self._times else self.listed

    @cached_property
    def ending(self) -> frozenset[Rule]:
        """Those that have an end."""
        return frozenset(rule for rule in self.listed if rule.until_s is not None)

    def with_one_more(self, rule: Rule) -> "FileRules":
        """`rule` is not listed."""
        return FileRules((*self.listed, rule), self._times)

    def find_edit(self, new: tuple[Rule, ...], is_listed: Callable[[Rule], bool]) -> Edit | None:
        """What changes if these are the rules from now on; None if most of them are other objects.

        `is_listed` tells of a rule whether it is listed now.
        """
        ends = find_common_ends(self.listed, new)
        old_middle, new_middle = ends.middle_of(self.listed), ends.middle_of(new)
        if len(old_middle) + len(new_middle) > len(new) // 2:
            return None
        times = dict(self._times)
        gone = _take_away(old_middle, times)
        came: dict[Rule, None] = {}
        for rule in new_middle:
            if rule in gone:
                del gone[rule]
            elif rule in came or is_listed(rule):
                times[rule] = times.get(rule, 1) + 1
            else:
                came[rule] = None
        return Edit(gone, came, FileRules(new, times))


def _take_away(rules: Sequence[Rule], times: dict[Rule, int]) -> dict[Rule, None]:
    """Take each of these away once; returns those that are not listed any more."""
    gone: dict[Rule, None] = {}
    for rule in rules:
        left = times.pop(rule, 1) - 1
        if left > 1:
            times[rule] = left
        elif not left:
            gone[rule] = None
    return gone
