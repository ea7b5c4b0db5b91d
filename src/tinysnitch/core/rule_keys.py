"""Keys: what a rule is filed under in the index, and under what a connection looks for rules.

A rule has one key for each of DIMENSIONS, a connection a set of keys: a rule matches exactly when each of its
keys is in the connection's set (its interface and its end are looked at afterwards). What only the facts can
tell (links, users, lists) is on the connection's side, so that new facts leave the index as it is.
"""

from collections import Counter
from collections.abc import Hashable, Mapping
from functools import lru_cache, partial
from typing import TypeVar, assert_never

from tinysnitch.core.connection import Connection
from tinysnitch.core.domain import domains_of
from tinysnitch.core.facts import Facts
from tinysnitch.core.flow import Direction, Flow, is_v4
from tinysnitch.core.network import ADDRESS_BITS, parse_network
from tinysnitch.core.path_pattern import compile_pattern
from tinysnitch.core.pattern_table import PatternTable
from tinysnitch.core.process import Attribution, AttributionSource, Process
from tinysnitch.core.protocol_text import general_protocol
from tinysnitch.core.remote_words import WORDS, RemoteWords
from tinysnitch.core.rule import PortRange, Program, ProgramKind, Remote, RemoteKind, Rule
from tinysnitch.core.table import BoundedTable
from tinysnitch.core.verdict import Verdict

# No two kinds share a type of key, or it says its kind: no name or path, however hostile, is taken for another kind's.
DIMENSIONS = ("remote", "program", "ports", "service", "args", "user", "parent", "sha256", "exec_id")
RuleKeys = tuple[Hashable, ...]  # one for each dimension, None where the rule leaves it open
ConnectionKeys = tuple[frozenset[Hashable], ...]  # likewise

_Used = TypeVar("_Used")
_OPEN: frozenset[Hashable] = frozenset({None})  # only rules that leave the dimension open match
_KEPT = 1024  # attributions
_LOOSE_BYTES = "".join(map(chr, range(0xDC80, 0xDD00)))  # as PEP 383 has what is no whole character
_NO_PROCESS = (_OPEN,) * len(DIMENSIONS[DIMENSIONS.index("args") :])
_WORD_KEYS = {ProgramKind.ANY: None, ProgramKind.KERNEL: b"kernel", ProgramKind.UNKNOWN: b"unknown"}
_UNATTRIBUTED: dict[AttributionSource, frozenset[Hashable]] = {
    AttributionSource.KERNEL: frozenset({None, b"kernel"}),
    AttributionSource.UNKNOWN: frozenset({None, b"unknown"}),
}


def remote_key(remote: Remote) -> Hashable:
    match remote.kind:
        case RemoteKind.ANY:
            return None
        case RemoteKind.NAME:
            return remote.text
        case RemoteKind.NETWORK:
            network = parse_network(remote.text)
            return _network_key(network.base, network.prefix)
        case RemoteKind.DOMAIN | RemoteKind.LOCALHOST | RemoteKind.LAN | RemoteKind.LIST:
            return remote
        case _:
            assert_never(remote.kind)


def _network_key(address: int, prefix: int) -> int:
    """The address as far as the prefix goes, and a bit before it that tells how far that is: one small object, where a
    tuple is three."""
    return 1 << prefix | address >> (ADDRESS_BITS - prefix)


@lru_cache(maxsize=512)  # all protocols there are, both ways
def _protocol_keys(protocol: int, is_inbound: bool) -> frozenset[Hashable]:
    return frozenset(((is_inbound, None), (is_inbound, general_protocol(protocol))))


def _program_key(program: Program) -> Hashable:
    match program.kind:
        case ProgramKind.PATH:
            return program.text
        case ProgramKind.OWNER:
            return (program.text,)
        case ProgramKind.GLOB:
            return (ProgramKind.GLOB, program.text)
        case ProgramKind.ANY | ProgramKind.KERNEL | ProgramKind.UNKNOWN:
            return _WORD_KEYS[program.kind]
        case _:
            assert_never(program.kind)


def _args_key(rule: Rule) -> Hashable:
    """A rule that allows has a key that cut arguments never have: they may not be these."""
    return (rule.args,) if rule.args is not None and rule.verdict is Verdict.ALLOW else rule.args


def _sum_key(rule: Rule) -> Hashable:
    """Likewise for a file that cannot be read."""
    return (rule.sha256,) if rule.sha256 is not None and rule.verdict is Verdict.ALLOW else rule.sha256


def keys_of(rule: Rule) -> RuleKeys:
    return (
        remote_key(rule.remote),
        _program_key(rule.program),
        rule.ports or None,
        (rule.direction is Direction.INBOUND, rule.protocol),
        _args_key(rule),
        rule.user,
        rule.parent,
        _sum_key(rule),
        rule.exec_id,
    )


class KeyMaker:
    """Makes a connection's keys: of networks, words, globs and ranges only those that some rule uses."""

    def __init__(self, facts: Facts) -> None:
        self._prefixes: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}  # by is_v4
        self._words: Counter[Remote] = Counter()
        self._patterns: dict[str, str] = {}  # of the facts
        # Not a method of ours: a cycle would be left to the garbage collector, and the mapped lists with it.
        self._globs: PatternTable[str] = PatternTable(partial(_takes_path, self._patterns))
        self._ranges: PatternTable[tuple[PortRange, ...]] = PatternTable(_has_port)
        self._args: PatternTable[tuple[str, ...]] = PatternTable(_begins_with)  # of rules that deny or ask
        self._sums: Counter[str] = Counter()  # likewise
        # By id, and with the attribution itself, so that no other one gets its id meanwhile: whose connection it is
        # changes less often than where it goes.
        self._kept: BoundedTable[int, tuple[Attribution, frozenset[Hashable], ConnectionKeys]] = BoundedTable(_KEPT)
        self.set_facts(facts)

    def set_facts(self, facts: Facts) -> None:
        self.remote_words = RemoteWords(facts)
        self._kept.clear()
        self._links = _invert(facts.links)
        self._patterns.clear()
        self._patterns.update(facts.patterns)
        self._globs.forget()
        self._names_of_uid = _invert(facts.users)

    def count(self, rule: Rule, step: int) -> None:
        """Note that one rule more (step 1) or less (-1) uses what it uses."""
        kind = rule.remote.kind
        if kind is RemoteKind.NETWORK:
            network = parse_network(rule.remote.text)
            _count(self._prefixes[network.is_v4], network.prefix, step)
        elif kind in WORDS:
            _count(self._words, rule.remote, step)
        if rule.program.kind is ProgramKind.GLOB:
            self._kept.clear()
            self._globs.count(rule.program.text, step)
        if rule.verdict is not Verdict.ALLOW:
            self._count_cut(rule, step)
        if rule.ports and not _is_one_port(rule.ports):
            self._ranges.count(rule.ports, step)

    def _count_cut(self, rule: Rule, step: int) -> None:
        """What a connection may have that is only known in part, or not."""
        if rule.args is not None:
            self._kept.clear()
            self._args.count(rule.args, step)
        if rule.sha256 is not None:
            self._kept.clear()
            _count(self._sums, rule.sha256, step)

    def keys_for(self, connection: Connection) -> ConnectionKeys:
        flow = connection.flow
        is_inbound, port = flow.direction is Direction.INBOUND, flow.port
        program, process = self._attribution_keys(connection.attribution)
        return (
            self._remote_keys(flow, connection.name),
            program,
            frozenset((None, ((port, port),), *self._ranges.find(port))),
            _protocol_keys(flow.protocol, is_inbound),
            *process,
        )

    def _remote_keys(self, flow: Flow, name: str | None) -> frozenset[Hashable]:
        address, is_outbound = flow.remote, flow.direction is Direction.OUTBOUND
        bits = int.from_bytes(address)
        keys: list[Hashable] = [None]
        keys += [_network_key(bits, prefix) for prefix in self._prefixes[is_v4(address)]]
        keys += [word for word in self._words if self.remote_words.takes(word, address, name, is_outbound=is_outbound)]
        if name:
            keys.append(name)
            keys += [Remote(RemoteKind.DOMAIN, domain) for domain in domains_of(name)]
        return frozenset(keys)

    def _attribution_keys(self, attribution: Attribution) -> tuple[frozenset[Hashable], ConnectionKeys]:
        kept = self._kept.find(id(attribution))
        if kept is not None:
            return kept[1], kept[2]
        process = attribution.process
        keys = self._program_keys(attribution), self._process_keys(process) if process else _NO_PROCESS
        self._kept.put(id(attribution), (attribution, *keys))
        return keys

    def _program_keys(self, attribution: Attribution) -> frozenset[Hashable]:
        process = attribution.process
        if process is None:
            return _UNATTRIBUTED[attribution.source]
        keys: list[Hashable] = [None, *((owner,) for owner in process.owners)]
        if process.is_host_file:
            path = process.program
            keys += (path, *self._links.get(path, ()))
            keys += [(ProgramKind.GLOB, glob) for glob in self._globs.find(path)]
        return frozenset(keys)

    def _process_keys(self, process: Process) -> ConnectionKeys:
        parents: list[Hashable] = [None, *process.parents]
        for parent in process.parents if self._links else ():
            parents += self._links.get(parent, ())
        return (
            self._args_keys(process),
            frozenset((None, str(process.uid), *self._names_of_uid.get(process.uid, ()))),
            frozenset(parents),
            frozenset((None, process.sha256, (process.sha256,)) if process.is_sha256_told else (None, *self._sums)),
            frozenset((None, process.exec_id)),
        )

    def _args_keys(self, process: Process) -> frozenset[Hashable]:
        """Cut arguments count as all that they may be the beginning of, lest mere length get past a denial."""
        if process.are_args_complete:
            return frozenset((None, process.args, (process.args,)))
        return frozenset((None, *self._args.find(process.args)))


def _takes_path(patterns: Mapping[str, str], glob: str, path: str) -> bool:
    return compile_pattern(patterns.get(glob, glob)).fullmatch(path) is not None


def _begins_with(args: tuple[str, ...], cut: tuple[str, ...]) -> bool:
    """Whether the arguments begin with those of which the last one may end anywhere, in a character even."""
    if not cut:
        return True
    *whole, last = cut
    rest = args[len(whole) :]
    return bool(rest) and args[: len(whole)] == tuple(whole) and rest[0].startswith(last.rstrip(_LOOSE_BYTES))


def _is_one_port(ports: tuple[PortRange, ...]) -> bool:
    return len(ports) == 1 and ports[0][0] == ports[0][1]


def _has_port(ports: tuple[PortRange, ...], port: int) -> bool:
    return any(first <= port <= last for first, last in ports)


def _count(uses: Counter[_Used], what: _Used, step: int) -> None:
    uses[what] += step
    if not uses[what]:
        del uses[what]


def _invert(mapping: Mapping[str, Hashable]) -> dict[Hashable, tuple[str, ...]]:
    inverse: dict[Hashable, tuple[str, ...]] = {}
    for key, value in mapping.items():
        inverse[value] = (*inverse.get(value, ()), key)
    return inverse
