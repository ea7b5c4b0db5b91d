"""Rules that differ in one column alone, and the one rule that can stand in their place.

1. Ports: any. The new rule has all of the ports, and says nothing more.
2. Names of one registrable domain: the domain. Nothing is joined over a public suffix, and no address.
3. Arguments: any. Not for programs whose arguments say what they run, as for those no prompt proposes it.

None among the proposals stands for rules that cannot be joined, since a rule between them would be decided otherwise.
A rule is in one join at most. What can be joined further is found once the first join is taken.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from tinysnitch.core.model.domain import find_registrable_domain
from tinysnitch.core.rules.port_column import ANY_PORT, merge_ranges
from tinysnitch.core.rules.rule import ANY_REMOTE, ProgramKind, Remote, RemoteKind, Rule
from tinysnitch.core.tidy.proposal import Kind, Proposal, chunks_of, effect_of_args, effect_of_domain
from tinysnitch.core.tidy.scope_index import ScopeIndex
from tinysnitch.core.tidy.soundness import is_free, replaces

KeepsArgs = Callable[[str, tuple[str, ...]], bool]  # whether a program, by its path, is told by these what it runs
Key = tuple[Any, ...]


def join_ports(rules: Iterable[Rule], index: ScopeIndex) -> Iterator[Proposal | None]:
    having = (rule for rule in rules if rule.ports)
    for group in _groups(having, lambda rule: (replace(rule, ports=ANY_PORT),)):
        new = replace(group[0], ports=merge_ranges(ports for rule in group for ports in rule.ports))
        yield _if_sound(Kind.PORTS, group, new, index, "they differ in the port alone", "")


def join_domains(rules: Iterable[Rule], index: ScopeIndex) -> Iterator[Proposal | None]:
    named = (rule for rule in rules if domain_of(rule))
    for group in _groups(named, lambda rule: (replace(rule, remote=ANY_REMOTE), domain_of(rule))):
        new = widen_to_domain(group[0])
        if new:
            why = f"their names are all of {new.remote.text}"
            yield _if_sound(Kind.DOMAIN, group, new, index, why, effect_of_domain(new))


def join_args(rules: Iterable[Rule], index: ScopeIndex, keeps_args: KeepsArgs) -> Iterator[Proposal | None]:
    varying = (rule for rule in rules if rule.args is not None and rule.program.kind is ProgramKind.PATH)
    for group in _groups(varying, lambda rule: (replace(rule, args=None),)):
        new = replace(group[0], args=None)
        if not any(keeps_args(new.program.text, rule.args) for rule in group if rule.args is not None):
            yield _if_sound(Kind.ARGS, group, new, index, "they differ in the arguments alone", effect_of_args(new))


def domain_of(rule: Rule) -> str | None:
    """The registrable domain of the rule's name; None: it names something else, or a public suffix."""
    is_name = rule.remote.kind in (RemoteKind.NAME, RemoteKind.DOMAIN)
    return find_registrable_domain(rule.remote.text) if is_name else None


def widen_to_domain(rule: Rule) -> Rule | None:
    domain = domain_of(rule)
    return replace(rule, remote=Remote(RemoteKind.DOMAIN, domain)) if domain else None


def _groups(rules: Iterable[Rule], key_of: Callable[[Rule], Key]) -> Iterator[tuple[Rule, ...]]:
    """At least two rules each, in the order of the first one."""
    groups: dict[Key, list[Rule]] = {}
    for rule in rules:
        groups.setdefault(key_of(rule), []).append(rule)
    chunks = (chunk for group in groups.values() if len(group) > 1 for chunk in chunks_of(group))
    return (chunk for chunk in chunks if len(chunk) > 1)


def _if_sound(
    kind: Kind, old: tuple[Rule, ...], new: Rule, index: ScopeIndex, why: str, effect: str
) -> Proposal | None:
    is_fit = is_sound(kind, old, new, index)
    return Proposal(kind=kind, removed=old, added=new, why=why, effect=effect) if is_fit else None


def is_sound(kind: Kind, old: tuple[Rule, ...], new: Rule, index: ScopeIndex) -> bool:
    scope = index.resolve(new)
    if not all(replaces(scope, index.resolve(rule), index) for rule in old):
        return False
    return kind is Kind.PORTS or is_free(scope, index)  # a union of ports matches nothing that no old rule does
