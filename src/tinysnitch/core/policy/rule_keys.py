"""Keys: by which rules are filed in the index, and by which the rules for a connection are found.

For each of DIMENSIONS a rule has one key, and a connection a set of keys. A rule matches if each of its keys is in the
connection's set; its interface and its end are checked afterwards. What depends on the facts (links, users, lists) is
in the connection's keys, so that the index stays as it is when facts change.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar, assert_never

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.domain import domains_of
from tinysnitch.core.model.flow import Direction, Flow, is_v4
from tinysnitch.core.model.process import Attribution, AttributionSource, Process
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import WORDS, Facts, RemoteWords
from tinysnitch.core.rules.network import ADDRESS_BITS, parse_network
from tinysnitch.core.rules.path_pattern import compile_pattern
from tinysnitch.core.rules.protocol_column import general_protocol
from tinysnitch.core.rules.rule import PortRange, Program, ProgramKind, Remote, RemoteKind, Rule

Pattern = TypeVar("Pattern", bound=Hashable)
Used = TypeVar("Used")

# Keys of two kinds differ in type, or say their kind: so no hostile name or path is taken for a key of another kind.
DIMENSIONS = ("remote", "program", "ports", "service", "args", "user", "parent", "sha256", "exec_id")
PROGRAM = DIMENSIONS.index("program")
RuleKeys = tuple[Hashable, ...]  # one for each dimension, None where the rule leaves it open
ConnectionKeys = tuple[frozenset[Hashable], ...]  # for each dimension all keys that match
_KeptKeys = tuple[Attribution, frozenset[Hashable], ConnectionKeys]  # of its program, and of its process

_OPEN: frozenset[Hashable] = frozenset({None})  # only rules that leave the dimension open match
_KEPT = 1024  # attributions
_MATCHED_VALUES = 4096  # values, each with the patterns that match it
_LOOSE_BYTES = "".join(map(chr, range(0xDC80, 0xDD00)))  # PEP 383's characters for bytes that are not UTF-8
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
    """The first `prefix` bits of the address, and a 1 before them that tells how many they are. One small object takes
    less memory than a tuple, which is three objects."""
    return 1 << prefix | address >> (ADDRESS_BITS - prefix)


@lru_cache(maxsize=512)  # all protocols, both ways
def _protocol_keys(protocol: int, is_inbound: bool) -> frozenset[Hashable]:
    return frozenset(((is_inbound, None), (is_inbound, general_protocol(protocol))))


def program_key(program: Program) -> Hashable:
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


def _certain_key(rule: Rule, value: Hashable) -> Hashable:
    """The key of arguments or a sum. A rule that allows has another than one that denies or asks: one that a process
    never has whose arguments were cut, or whose file cannot be read, since the true value may be another."""
    return (value,) if value is not None and rule.verdict is Verdict.ALLOW else value


def keys_of(rule: Rule) -> RuleKeys:
    return (
        remote_key(rule.remote),
        program_key(rule.program),
        rule.ports or None,
        (rule.direction is Direction.INBOUND, rule.protocol),
        _certain_key(rule, rule.args),
        rule.user,
        rule.parent,
        _certain_key(rule, rule.sha256),
        rule.exec_id,
    )


class KeyMaker:
    """Makes the keys of connections. Of networks, words, patterns and port ranges only those that a rule uses."""

    def __init__(self, facts: Facts) -> None:
        self._prefixes: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}  # by is_v4
        self._words: Counter[Remote] = Counter()
        self._patterns: dict[str, str] = {}  # Facts.patterns
        # No bound method, since that would be a reference cycle: it would keep mapped lists until a garbage collection.
        self._globs: PatternTable[str] = PatternTable(partial(_takes_path, self._patterns))
        self._ranges: PatternTable[tuple[PortRange, ...]] = PatternTable(_has_port)
        self._args: PatternTable[tuple[str, ...]] = PatternTable(_begins_with)  # of rules that deny or ask
        self._sums: Counter[str] = Counter()  # of rules that deny or ask
        # Keys of attributions, by id: many connections have the same one. The attribution is kept as well, so that no
        # other object gets its id.
        self._kept: BoundedTable[int, _KeptKeys] = BoundedTable(_KEPT)
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
        """Count one rule more (step 1) or less (-1) for the networks, words, patterns and ranges that it uses."""
        kind = rule.remote.kind
        if kind is RemoteKind.NETWORK:
            network = parse_network(rule.remote.text)
            count_use(self._prefixes[network.is_v4], network.prefix, step)
        elif kind in WORDS:
            count_use(self._words, rule.remote, step)
        if rule.program.kind is ProgramKind.GLOB:
            self._kept.clear()
            self._globs.count(rule.program.text, step)
        if rule.verdict is not Verdict.ALLOW:
            self._count_cut(rule, step)
        if rule.ports and not _is_one_port(rule.ports):
            self._ranges.count(rule.ports, step)

    def _count_cut(self, rule: Rule, step: int) -> None:
        """Count arguments and sums, which a process may have though they are known only in part, or not at all."""
        if rule.args is not None:
            self._kept.clear()
            self._args.count(rule.args, step)
        if rule.sha256 is not None:
            self._kept.clear()
            count_use(self._sums, rule.sha256, step)

    def keys_for(self, connection: Connection) -> ConnectionKeys:
        flow = connection.flow
        is_inbound, port = flow.direction is Direction.INBOUND, flow.port
        ranges = self._ranges.find(port) if self._ranges.uses else ()
        kept = self._kept.find(id(connection.attribution)) or self._keep(connection.attribution)
        _attribution, program, process = kept
        return (
            self._remote_keys(flow, connection.name),
            program,
            frozenset((None, ((port, port),), *ranges)),
            _protocol_keys(flow.protocol, is_inbound),
            *process,
        )

    def program_keys_for(self, attribution: Attribution) -> frozenset[Hashable]:
        return (self._kept.find(id(attribution)) or self._keep(attribution))[1]

    def _remote_keys(self, flow: Flow, name: str | None) -> frozenset[Hashable]:
        address, is_outbound = flow.remote, flow.direction is Direction.OUTBOUND
        bits = int.from_bytes(address)
        keys: list[Hashable] = [None]
        # As _network_key() makes them: a call for each prefix would take longer.
        keys += [1 << prefix | bits >> (ADDRESS_BITS - prefix) for prefix in self._prefixes[is_v4(address)]]
        keys += [word for word in self._words if self.remote_words.takes(word, address, name, is_outbound=is_outbound)]
        if name:
            keys.append(name)
            keys += [Remote(RemoteKind.DOMAIN, domain) for domain in domains_of(name)]
        return frozenset(keys)

    def _keep(self, attribution: Attribution) -> _KeptKeys:
        process = attribution.process
        process_keys = self._process_keys(process) if process else _NO_PROCESS
        kept = attribution, self._program_keys(attribution), process_keys
        self._kept.put(id(attribution), kept)
        return kept

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
        """Cut arguments match all of a rule that they may be the beginning of: else long ones would evade a denial."""
        if process.are_args_complete:
            return frozenset((None, process.args, (process.args,)))
        return frozenset((None, *self._args.find(process.args)))


class PatternTable(Generic[Pattern]):
    """Patterns in use, and which of them match a value. Results are kept, so that asking again costs nothing."""

    def __init__(self, takes: Callable[[Pattern, Any], bool]) -> None:
        self.uses: Counter[Pattern] = Counter()
        self._takes = takes
        self._found: BoundedTable[Hashable, tuple[Pattern, ...]] = BoundedTable(_MATCHED_VALUES)

    def count(self, pattern: Pattern, step: int) -> None:
        count_use(self.uses, pattern, step)
        self.forget()

    def forget(self) -> None:
        """Drop the results that are kept, since other patterns may match a value now."""
        self._found.clear()

    def find(self, value: Hashable) -> tuple[Pattern, ...]:
        """The patterns that match the value."""
        if not self.uses:
            return ()
        found = self._found.find(value)
        if found is None:
            found = tuple(pattern for pattern in self.uses if self._takes(pattern, value))
            self._found.put(value, found)
        return found


def count_use(uses: Counter[Used], what: Used, step: int) -> None:
    """Count one use more (step 1) or less (-1). What has none left is not kept."""
    uses[what] += step
    if not uses[what]:
        del uses[what]


def _takes_path(patterns: Mapping[str, str], glob: str, path: str) -> bool:
    return compile_pattern(patterns.get(glob, glob)).fullmatch(path) is not None


def _begins_with(args: tuple[str, ...], cut: tuple[str, ...]) -> bool:
    """Whether the arguments begin with the cut ones, the last of which may be cut within a character."""
    if not cut:
        return True
    *whole, last = cut
    rest = args[len(whole) :]
    return bool(rest) and args[: len(whole)] == tuple(whole) and rest[0].startswith(last.rstrip(_LOOSE_BYTES))


def _is_one_port(ports: tuple[PortRange, ...]) -> bool:
    return len(ports) == 1 and ports[0][0] == ports[0][1]


def _has_port(ports: tuple[PortRange, ...], port: int) -> bool:
    return any(first <= port <= last for first, last in ports)


def _invert(mapping: Mapping[str, Hashable]) -> dict[Hashable, tuple[str, ...]]:
    inverse: dict[Hashable, tuple[str, ...]] = {}
    for key, value in mapping.items():
        inverse[value] = (*inverse.get(value, ()), key)
    return inverse
