"""A proposal: rules that go, the one that takes their place, and in words why, and what else that changes."""

from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec
from msgspec.structs import replace

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.port_column import format_ports
from tinysnitch.core.rules.protocol_column import Service, format_service
from tinysnitch.core.rules.rule import ProgramKind, RemoteKind, Rule


class Kind(Enum):
    """By which scripts choose (`rules tidy --yes KIND`)."""

    COVERED = "covered"  # another rule says the same
    GONE = "gone"  # what it names is not there any more
    EXPIRED = "expired"
    UNUSED = "unused"
    PORTS = "ports"  # rules that differ in the port alone
    DOMAIN = "domain"  # ... in the name alone, and the names are of one registrable domain
    ARGS = "args"  # ... in the arguments alone
    DENIED = "denied"  # of a learned line: a rule in force denies what passed
    ALONE = "alone"  # of a learned line: there is nothing to join it with


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    removed: tuple[Rule, ...]
    added: Rule | None = None
    why: str  # one lower-case clause
    effect: str = ""  # what it decides that no rule decided before, or no longer decides; "": nothing


MOST_CHARACTERS = 16_384  # of the lines of one proposal, for a message has 64 KB, and some characters are escaped
_BESIDES = 64  # characters of a line besides its remote, program and arguments
_PASSES = {Verdict.ALLOW: "lets pass", Verdict.DENY: "refuses", Verdict.ASK: "asks about"}


def chunks_of(rules: Iterable[Rule]) -> Iterator[tuple[Rule, ...]]:
    """The rules in parts, each of which fits into one message."""
    chunk, room = list[Rule](), MOST_CHARACTERS
    for rule in rules:
        size = _BESIDES + len(rule.remote.text) + len(rule.program.text) + sum(map(len, rule.args or ()))
        if chunk and size > room:
            yield tuple(chunk)
            chunk, room = [], MOST_CHARACTERS
        chunk.append(rule)
        room -= size
    if chunk:
        yield tuple(chunk)


def drop_together(drops: Iterable[Proposal]) -> Iterator[Proposal]:
    """One proposal for all rules that go for the same reason."""
    alike: dict[tuple[Kind, str], list[Proposal]] = {}
    for drop in drops:
        alike.setdefault((drop.kind, drop.why), []).append(drop)
    for first, *others in alike.values():
        for chunk in chunks_of(rule for drop in (first, *others) for rule in drop.removed):
            yield replace(first, removed=chunk)


def effect_of_domain(rule: Rule) -> str:
    return f"also {_PASSES[rule.verdict]} every other name of {rule.remote.text}{_by(rule)}"


def effect_of_any_remote(rule: Rule) -> str:
    return f"also {_PASSES[rule.verdict]} every other remote{_by(rule)}"


def effect_of_args(rule: Rule) -> str:
    return f"also {_PASSES[rule.verdict]} the same with any other arguments{_by(rule)}"


def effect_of_rule(rule: Rule) -> str:
    """What a rule decides that stands in the place of nothing."""
    return f"{_PASSES[rule.verdict]} {_name_remote(rule)}{_by(rule)}"


def _by(rule: Rule) -> str:
    """` of /usr/bin/curl, port 443 tcp`, with what else narrows the rule."""
    programs = {
        ProgramKind.ANY: "any program",
        ProgramKind.KERNEL: "the kernel",
        ProgramKind.UNKNOWN: "what is unknown",
    }
    told = [f"for {programs.get(rule.program.kind, rule.program.text)}"]
    told += [f"as user {rule.user}"] if rule.user is not None else []
    told += [f"below {rule.parent}"] if rule.parent is not None else []
    told += [f"with the sum {rule.sha256[:8]}…"] if rule.sha256 is not None else []
    told += [f"on {rule.iface}"] if rule.iface is not None else []
    return f" {' '.join(told)}, {_name_service(rule)}"


def _name_service(rule: Rule) -> str:
    port = f"port {format_ports(rule.ports)}" if rule.ports else "any port"
    service = format_service(Service(rule.protocol, Direction.OUTBOUND))
    inbound = ", inbound" if rule.direction is Direction.INBOUND else ""
    return f"{port} {service}{inbound}" if rule.protocol is not None else f"{port}, any protocol{inbound}"


def _name_remote(rule: Rule) -> str:
    remote = rule.remote
    names = {
        RemoteKind.ANY: "any remote",
        RemoteKind.LOCALHOST: "this machine itself",
        RemoteKind.LAN: "all of the lan",
    }
    if remote.kind is RemoteKind.DOMAIN:
        return f"every name of {remote.text}"
    return f"the list {remote.text}" if remote.kind is RemoteKind.LIST else names.get(remote.kind, remote.text)
