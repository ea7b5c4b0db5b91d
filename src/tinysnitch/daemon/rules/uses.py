"""How often each rule decided, and when last, over restarts and reboots: a file in the state folder.

The kernel's side counts by itself, so it is read only when somebody looks, when a rule is used for the first time, and
at the end. A daemon that is killed leaves its counts to the next one in the kernel.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.kernel.bpf.rule_uses import RuleUses
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.store.handover_files import KeptFile, OfBoot

SAVED_AFTER_S = 1.0  # once a rule was used for the first time

_log = logging.getLogger(__name__)


class UseCount(msgspec.Struct, frozen=True):
    count: int = 0
    last_s: float = 0.0  # wall clock


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    line: str
    count: int
    last_s: float
    index: int = 0  # where the kernel's side counts it, in this boot; 0: nowhere
    counted: int = 0  # what of `count` was counted there


class _KeptUses(OfBoot, frozen=True):
    rules: list[_Kept]


class UseCounts:
    def __init__(self, uses: RuleUses, path: Path, boot_id: str, *, was_adopted: bool) -> None:
        """`was_adopted`: the kernel's side went on counting since an earlier daemon."""
        self._uses = uses
        self._boot_id = boot_id
        self._file = KeptFile(path, _KeptUses, "how often rules were used is counted anew")
        self._timer = SingleTimer(self.save)
        self._before: dict[Rule, UseCount] = {}
        kept = self._file.read_any()
        if kept:
            self._take_over(kept.rules, goes_on=was_adopted and kept.boot_id == boot_id)
        uses.on_new = lambda: self._timer.start(SAVED_AFTER_S)

    def _take_over(self, kept: Iterable[_Kept], *, goes_on: bool) -> None:
        indexes = {}
        for one in kept:
            try:
                rule = parse_rule(one.line)
            except SnitchError:  # of a later build, perhaps
                continue
            self._before[rule] = UseCount(one.count, one.last_s)
            if goes_on and one.index:
                indexes[rule] = (one.index, one.counted)
        if indexes:
            self._uses.take_over(indexes)

    def stop(self) -> None:
        self._timer.cancel()
        self.save()

    def read(self, now: Instant) -> dict[Rule, UseCount]:
        """The rules that were ever used."""
        found = dict(self._before)
        for rule, use in self._uses.read():
            last_s = now.wall_s - (now.boot_s - use.last_ns / 1e9)
            found[rule] = UseCount(found.get(rule, UseCount()).count + use.count, last_s)
        return found

    def save(self) -> None:
        indexes = self._uses.indexes()
        kept = [
            _Kept(format_rule(rule), use.count, use.last_s, *indexes.get(rule, ()))
            for rule, use in self.read(read_instant()).items()
        ]
        try:
            self._file.replace(_KeptUses(self._boot_id, kept))
        except SnitchError as error:
            _log.warning("how often rules were used is not kept: %s", error)
