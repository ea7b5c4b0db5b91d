"""Decisions that no remote changes: when one verdict holds for a program whatever the address, its name and the port.

Some rules that match always do, others only somewhere. When these all say what the first decide among themselves, they
change nothing: a rule that goes because of a narrower one goes for one that says the same, and no rule for everywhere
is narrower than one for somewhere. Otherwise it may depend.
"""

from collections.abc import Iterable

from tinysnitch.core.rule import RemoteKind, Rule
from tinysnitch.core.verdict import Verdict


def is_everywhere(rule: Rule) -> bool:
    """Whether a rule that matches somewhere matches whatever the remote, the port and the interface."""
    return rule.remote.kind is RemoteKind.ANY and not rule.ports and rule.iface is None


def holds_everywhere(verdict: Verdict, matching: Iterable[Rule]) -> bool:
    """Whether the verdict that the rules for everywhere make is changed by none of these."""
    return all(rule.verdict is verdict for rule in matching if not is_everywhere(rule))
