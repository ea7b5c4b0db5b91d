"""Where the kernel's side counts how often each rule decided: an array that user space reads through a memory map.

A rule gets an index when a verdict of its is first remembered, and keeps it: counting costs a verdict one addition, and
reading no system call. Without BPF each decision is counted here as it is made.
"""

import mmap
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from tinysnitch.core.rules.rule import Rule
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.libbpf import opened_pin

_NOWHERE = 0
_USE = struct.Struct("=QQ")  # struct rule_use
_SIZE = -(-layout.RULES_COUNTED * _USE.size // mmap.PAGESIZE) * mmap.PAGESIZE


class RuleUse(msgspec.Struct, frozen=True):
    count: int = 0
    last_ns: int = 0  # boot time


class RuleUses:
    """Of each rule: how often it decided since it got its index, and when last."""

    def __init__(self, map_fd: int | None) -> None:
        """`map_fd`: of the map `rule_uses`, None without BPF. Raises OSError."""
        self._memory = None if map_fd is None else mmap.mmap(map_fd, _SIZE, mmap.MAP_SHARED, mmap.PROT_READ)
        self._indexes: dict[Rule, int] = {}
        self._rules: dict[int, Rule] = {}  # by index
        self._begun: list[int] = [0]  # by index: what was counted there before
        self._own: dict[Rule, RuleUse] = {}  # without BPF
        self.uncounted = 0  # verdicts of rules that found no index
        self.on_new: Callable[[], object] = lambda: None  # called when a rule is used for the first time

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()

    def index_of(self, rule: Rule | None) -> int:
        """Where the kernel's side counts the rule's uses; 0: nowhere."""
        if rule is None or self._memory is None:
            return _NOWHERE
        index = self._indexes.get(rule)
        return self._give_index(rule) if index is None else index

    def rule_at(self, index: int) -> Rule | None:
        """The rule that has this index."""
        return self._rules.get(index)

    def note(self, rule: Rule | None, boot_s: float) -> None:
        """Count a decision of which no verdict is remembered in the kernel."""
        if rule is not None and self._memory is None:
            if rule not in self._own:
                self.on_new()
            self._own[rule] = RuleUse(self._own.get(rule, RuleUse()).count + 1, int(boot_s * 1e9))

    def _give_index(self, rule: Rule) -> int:
        index = len(self._begun)
        if index >= layout.RULES_COUNTED:
            self.uncounted += 1
            return _NOWHERE
        self._indexes[rule] = index
        self._rules[index] = rule
        self._begun.append(self._read(index).count)
        self.on_new()
        return index

    def take_over(self, indexes: Mapping[Rule, tuple[int, int]]) -> None:
        """Go on with the indexes of an earlier daemon, each with what was counted there when it was read last. Not if
        less is counted there now: then the array is a new one."""
        if any(self._read(index).count < count for index, count in indexes.values()):
            return
        last = max((index for index, _count in indexes.values()), default=0)
        self._begun = [self._read(index).count for index in range(last + 1)]
        for rule, (index, count) in indexes.items():
            self._indexes[rule] = index
            self._rules[index] = rule
            self._begun[index] = count

    def indexes(self) -> dict[Rule, tuple[int, int]]:
        """For `take_over`."""
        return {rule: (index, self._read(index).count) for rule, index in self._indexes.items()}

    def read(self) -> Iterator[tuple[Rule, RuleUse]]:
        """The rules that were used."""
        yield from self._own.items()
        for rule, index in self._indexes.items():
            use = self._read(index)
            if use.count > self._begun[index]:
                yield rule, RuleUse(use.count - self._begun[index], use.last_ns)

    def _read(self, index: int) -> RuleUse:
        return RuleUse(*_USE.unpack_from(self._memory, index * _USE.size)) if self._memory is not None else RuleUse()


def open_rule_uses(path: Path) -> RuleUses:
    """Raises SnitchError, OSError."""
    with opened_pin(path) as map_fd:
        return RuleUses(map_fd)
