"""The rules in force as clients are shown them: of the main file, then the temporary ones, then of each group.

An entry is made as it is sent: there may be many, and verdicts must not wait.
"""

from collections.abc import Callable, Iterator

from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.rules.note import note_of
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.text import format_rule
from tinysnitch.daemon.rules.loader import RuleLoader
from tinysnitch.protocol.messages import RuleEntry, RuleSource


def rule_entries(rules: ActiveRules, loader: RuleLoader, may_see: Callable[[Rule], bool]) -> Iterator[RuleEntry]:
    lasting, (main, *groups) = rules.from_file(), loader.lines()
    shown = set[Rule]()
    for entry, rule in _entries_of(main, rules, may_see):
        shown.add(rule)
        yield entry
    if len(shown) + loader.count_in_groups() < len(lasting):
        for rule in lasting:  # those of answers that are not read back yet, or could not be written
            if rule not in shown and loader.find_group(rule) is None and may_see(rule):
                yield RuleEntry(format_rule(rule), RuleSource.FILE, rule.until_s)
    for rule in filter(may_see, rules.temporary()):
        source = RuleSource.TEMPORARY if rule.exec_id is None else RuleSource.QUIT
        yield RuleEntry(format_rule(rule), source, rule.until_s, rules.find_pid(rule))
    for group in groups:
        for entry, _rule in _entries_of(group, rules, may_see):
            yield entry


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
