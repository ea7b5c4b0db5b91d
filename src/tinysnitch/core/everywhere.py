"""Decisions that no remote changes: when one verdict holds for a program whatever the address, its name and the port.

Some of the rules that match do so everywhere, others only somewhere. Where the latter all say what the former decide
among themselves, they change nothing: a rule that gives way to a narrower one gives way to one that says the same, and
no rule for everywhere is narrower than one for somewhere. Otherwise the verdict may depend on the remote.
"""

from collections.abc import Iterable

from tinysnitch.core.rule import RemoteKind, Rule
from tinysnitch.core.verdict import Verdict


def is_everywhere(rule: Rule) -> bool:
    """Whether a rule that matches somewhere matches whatever the remote, the port and the interface."""
    return rule.remote.kind is RemoteKind.ANY and not rule.ports and rule.iface is None


def holds_everywhere(verdict: Verdict, matching: Iterable[Rule]) -> bool:
    """Whether no rule for somewhere changes the verdict that the rules for everywhere make."""
    return all(rule.verdict is verdict for rule in matching if not is_everywhere(rule))
