"""Decisions that are the same for every remote: whatever its address, name and port.

Of the rules that may match a program, some match for every remote ("everywhere"), others only for some ("somewhere").
If all rules for somewhere have the verdict that the rules for everywhere make among themselves, they change nothing: a
rule for everywhere that gives way to one of them gives way to the same verdict, and none of them gives way to a rule
for everywhere, which is never narrower. Otherwise the verdict may depend on the remote.
"""

from collections.abc import Iterable

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.rule import RemoteKind, Rule


def is_everywhere(rule: Rule) -> bool:
    """Whether the rule, if it matches some connection of a program, matches for every remote, port and interface."""
    return rule.remote.kind is RemoteKind.ANY and not rule.ports and rule.iface is None


def holds_everywhere(verdict: Verdict, matching: Iterable[Rule]) -> bool:
    """Whether no rule for somewhere can change the verdict of the rules for everywhere."""
    return all(rule.verdict is verdict for rule in matching if not is_everywhere(rule))
