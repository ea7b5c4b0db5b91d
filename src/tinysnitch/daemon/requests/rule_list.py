"""The rules in force as clients are shown them: of the main file, then the temporary ones, then of each group.

An entry is made as it is sent: there may be many, and verdicts must not wait.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from msgspec.structs import replace

from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.rules.note import note_of
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.daemon.rules.loader import RuleLoader
from tinysnitch.daemon.rules.uses import UseCount
from tinysnitch.protocol.messages import Explanation, RuleEntry, RuleSource

Used = TypeVar("Used", RuleEntry, Explanation)


def rule_entries(
    rules: ActiveRules,
    loader: RuleLoader,
    may_see: Callable[[Rule], bool],
    uses: Mapping[Rule, UseCount] | None = None,
) -> Iterator[RuleEntry]:
    """`uses`: of the rules that were used, None to leave it out."""
    for entry, rule in _all_entries(rules, loader, may_see):
        yield entry if uses is None else with_use(entry, uses.get(rule, UseCount()))


def with_use(entry: Used, use: UseCount) -> Used:
    return replace(entry, count=use.count, last=use.last_s or None)


def _all_entries(
    rules: ActiveRules, loader: RuleLoader, may_see: Callable[[Rule], bool]
) -> Iterator[tuple[RuleEntry, Rule]]:
    lasting, (main, *groups) = rules.from_file(), loader.lines()
    shown = set[Rule]()
    for entry, rule in _entries_of(main, rules, may_see):
        shown.add(rule)
        yield entry, rule
    if len(shown) + loader.count_in_groups() < len(lasting):
        for rule in lasting:  # those of answers that are not read back yet, or could not be written
            if rule not in shown and loader.find_group(rule) is None and may_see(rule):
                yield RuleEntry(format_rule(rule), RuleSource.FILE, rule.until_s), rule
    for rule in filter(may_see, rules.temporary()):
        source = RuleSource.TEMPORARY if rule.exec_id is None else RuleSource.QUIT
        yield RuleEntry(format_rule(rule), source, rule.until_s, rules.find_pid(rule)), rule
    for group in groups:
        yield from _entries_of(group, rules, may_see)


def _entries_of(
    file: tuple[str | None, tuple[tuple[str, Rule], ...]], rules: ActiveRules, may_see: Callable[[Rule], bool]
) -> Iterator[tuple[RuleEntry, Rule]]:
    """The entries of one file, each rule once: the file may have been edited, and what it says now not be in force."""
    group, lines = file
    shown = set[Rule]()
    for line, rule in lines:
        if rule not in shown and rules.has(rule, is_temporary=False) and may_see(rule):
            shown.add(rule)
            entry = RuleEntry(format_rule(rule), RuleSource.FILE, rule.until_s, group=group, note=note_of(line))
            yield entry, rule
