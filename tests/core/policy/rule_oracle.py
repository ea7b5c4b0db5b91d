"""The ruleset as docs/rules.md has it, by looking at every rule: the index must agree with it. FACTS are built in.

Which rules match, what their words mean and which of two is the narrower one is written down anew, from docs/rules.md.
To see whether a column is a subset of another it looks at what each takes in of some samples: they hold something for
each difference between two columns of rule_strategies (test_precedence.py looks after that) and of engine_walk.
"""

from functools import cache
from ipaddress import ip_address, ip_network
from itertools import product, starmap
from typing import TypeVar

from msgspec.structs import replace

from tests.core.rules.rule_strategies import FACTS
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import format_address, parse_address
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, AttributionSource, Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.rules.path_pattern import compile_pattern
from tinysnitch.core.rules.rule import PortRange, Program, ProgramKind, Remote, RemoteKind, Rule

T = TypeVar("T")


def matches(rule: Rule, asked: Connection, wall_s: float) -> bool:
    flow, process = asked.flow, asked.attribution.process
    protocol = 1 if flow.protocol == 58 else flow.protocol
    tests = [
        rule.direction is flow.direction,
        rule.protocol in (None, protocol),
        port_matches(rule.ports, flow.port),
        rule.iface in (None, asked.interface),
        rule.until_s is None or wall_s < rule.until_s,
        remote_matches(rule.remote, (flow.remote, asked.name)),
        program_matches(rule.program, asked.attribution),
        rule.args is None or (process is not None and _has_args(rule, rule.args, process)),
        rule.user is None or (process is not None and _is_user(rule.user, process.uid)),
        rule.parent is None or (process is not None and _has_parent(rule.parent, process.parents)),
        rule.sha256 is None or (process is not None and _has_sum(rule, process)),
        rule.exec_id is None or (process is not None and process.exec_id == rule.exec_id),
        not _is_turnable(rule),
    ]
    return all(tests)


def _has_args(rule: Rule, args: tuple[str, ...], process: Process) -> bool:
    """Cut arguments may be any that begin so; they count as these unless the rule allows."""
    if process.are_args_complete:
        return process.args == args
    written, captured = ("".join(f"{arg}\0" for arg in each) for each in (args, process.args))
    return rule.verdict is not Verdict.ALLOW and written.startswith(captured.removesuffix("\0"))


def _has_sum(rule: Rule, process: Process) -> bool:
    if process.is_sha256_told:
        return process.sha256 == rule.sha256
    return rule.verdict is not Verdict.ALLOW


def _is_user(user: str, uid: int) -> bool:
    return FACTS.users.get(user, user) in (uid, str(uid))


def _has_parent(parent: str, parents: tuple[str, ...]) -> bool:
    return parent in parents or FACTS.links.get(parent) in parents


def _is_turnable(rule: Rule) -> bool:
    """Whether others than root can choose, by a link, which program the rule allows for its user."""
    programs = (Program(ProgramKind.PATH, "/home/a/l"), Program(ProgramKind.GLOB, "/home/a/p/*"))
    is_turnable = rule.program in programs or rule.parent == "/home/a/l"
    return is_turnable and rule.user is not None and rule.verdict is not Verdict.DENY


def remote_matches(remote: Remote, asked: tuple[bytes, str | None]) -> bool:
    """Whether the remote matches an address with this name, or without one."""
    address, name = asked
    ip = ip_address(format_address(address))
    match remote.kind:
        case RemoteKind.ANY:
            return True
        case RemoteKind.NAME:
            return name == remote.text
        case RemoteKind.DOMAIN:
            return _is_below(name, remote.text)
        case RemoteKind.NETWORK:
            return ip in ip_network(remote.text)
        case RemoteKind.LOCALHOST:
            return ip.is_loopback or ip == ip_address("192.168.1.5")
        case RemoteKind.LAN:
            return any(ip in ip_network(linked) for linked in ("192.168.1.0/24", "10.1.0.0/16"))
        case RemoteKind.LIST:
            return (remote.text == "resolvers" and ip == ip_address("10.1.2.3")) or (
                remote.text == "ads" and (ip in ip_network("10.1.9.0/24") or _is_below(name, "ads.example.com"))
            )


def _is_below(name: str | None, domain: str) -> bool:
    return name is not None and f".{name}".endswith(f".{domain}")


def port_matches(ports: tuple[PortRange, ...], port: int) -> bool:
    return not ports or any(first <= port <= last for first, last in ports)


def program_matches(program: Program, asked: Attribution) -> bool:
    process, text = asked.process, program.text
    path = process.program if process and process.is_host_file else None
    match program.kind:
        case ProgramKind.ANY:
            return True
        case ProgramKind.PATH:
            return path is not None and path in (text, FACTS.links.get(text))
        case ProgramKind.GLOB:
            return path is not None and compile_pattern(FACTS.patterns.get(text, text)).fullmatch(path) is not None
        case ProgramKind.OWNER:
            return process is not None and text in process.owners
        case ProgramKind.KERNEL:
            return asked.source is AttributionSource.KERNEL
        case ProgramKind.UNKNOWN:
            return asked.source is AttributionSource.UNKNOWN


# --- which of two is the narrower one ------------------------------------------------------------------------

ADDRESSES = [
    "10.1.2.3",
    "10.1.2.9",
    "10.1.9.1",
    "10.1.9.9",
    "10.1.77.7",
    "10.9.9.9",
    "127.0.0.1",
    "127.9.9.9",
    "192.168.1.5",
]
ADDRESSES += ["192.168.1.77", "192.168.9.9", "203.0.113.9", "::1", "2001:db8::1", "2001:db9::1"]
NAMES = [None, "com", "x.com", "example.com", "x.example.com", "ads.example.com", "x.ads.example.com"]
NAMES += [
    "a.ads.example.com",
    "x.a.ads.example.com",
    "example.org",
    "x.example.org",
    "badexample.com",
    "x.badexample.com",
    "x.net",
]
PATHS = ["/usr/bin/curl", "/usr/bin/python3.13", "/usr/bin/x", "/usr/bin/x/y", "/usr/x", "/usr/bin/python3x"]
PATHS += ["/opt/x", "/opt/a/x", "/opt/a/b/x", "/opt/b/x", "/opt/a/b", "/opt/a/b/c", "/usr/bin/python3/x", "/x"]
ADDRESSES += ["10.0.0.5", "10.0.0.80", "10.0.0.81"]
NAMES += ["shop.test", "ads.test"]
OWNERS: list[tuple[str, ...]] = [(), ("unit:a.service",), ("snap:b",)]


REMOTE_SAMPLES = list(product(map(parse_address, ADDRESSES), NAMES))
PORT_SAMPLES = [0, 1, 22, 79, 80, 81, 442, 443, 444, 1024, 1025, 65535]


def _process(path: str, owners: tuple[str, ...], *, is_host_file: bool = True) -> Attribution:
    process = Process(
        exec_id=7, pid=1, started_ns=1, uid=0, executable=path, device=1, inode=1, program=path, args=(), owners=owners
    )
    return Attribution(AttributionSource.BPF, replace(process, is_host_file=is_host_file))


PROGRAM_SAMPLES = [KERNEL, UNKNOWN, *starmap(_process, product(PATHS, OWNERS))]
PROGRAM_SAMPLES += [_process("/memfd:x", owners, is_host_file=False) for owners in OWNERS]

WORDS = (RemoteKind.LOCALHOST, RemoteKind.LAN, RemoteKind.LIST)
SINGLE = ("protocol", "args", "user", "parent", "sha256", "iface", "exec_id")  # open, or one value


def is_narrower(rule: Rule, other: Rule) -> bool:
    """Every column is a subset, one of them strictly; or all are the same, and only this rule has an end."""
    if not _lies_in(rule, other):
        return False
    return not _lies_in(other, rule) or (_has_end(rule) and not _has_end(other))


def _lies_in(rule: Rule, other: Rule) -> bool:
    mine, theirs = _meaning_of(rule), _meaning_of(other)
    return (
        mine.direction is theirs.direction
        and _remote_lies_in(mine.remote, theirs.remote)
        and _is_subset(programs_in(mine.program), programs_in(theirs.program))
        and _is_subset(ports_in(mine.ports), ports_in(theirs.ports))
        and all(getattr(theirs, column) in (None, getattr(mine, column)) for column in SINGLE)
    )


def _meaning_of(rule: Rule) -> Rule:
    """The rule with the file that a path over a link leads to, and the uid of a user's name."""
    text = rule.program.text
    program = replace(rule.program, text=FACTS.links.get(text, FACTS.patterns.get(text, text)))
    user = rule.user and str(FACTS.users.get(rule.user, rule.user))
    return replace(rule, program=program, user=user, parent=rule.parent and FACTS.links.get(rule.parent, rule.parent))


def _remote_lies_in(mine: Remote, theirs: Remote) -> bool:
    """A word lies only in `-` and in itself; what it stands for is not looked at (docs/rules.md)."""
    if mine.kind in WORDS:
        return theirs.kind is RemoteKind.ANY or theirs == mine
    return _is_subset(remotes_in(mine), remotes_in(theirs))


def _is_subset(mine: frozenset[T], theirs: frozenset[T]) -> bool:
    assert mine, "the samples have nothing of it"
    return mine <= theirs


def _has_end(rule: Rule) -> bool:
    """A rule that is bound to a process ends with it."""
    return rule.until_s is not None or rule.exec_id is not None


@cache
def remotes_in(remote: Remote) -> frozenset[tuple[bytes, str | None]]:
    return frozenset(each for each in REMOTE_SAMPLES if remote_matches(remote, each))


@cache
def programs_in(program: Program) -> frozenset[Attribution]:
    return frozenset(each for each in PROGRAM_SAMPLES if program_matches(program, each))


@cache
def ports_in(ports: tuple[PortRange, ...]) -> frozenset[int]:
    return frozenset(each for each in PORT_SAMPLES if port_matches(ports, each))


# --- what is decided -----------------------------------------------------------------------------------------


def decide_slowly(rules: list[Rule], asked: Connection, wall_s: float) -> Verdict:
    matching = [rule for rule in rules if matches(rule, asked, wall_s)]
    left = {rule.verdict for rule in matching if not any(is_narrower(other, rule) for other in matching)}
    return next((verdict for verdict in (Verdict.DENY, Verdict.ASK, Verdict.ALLOW) if verdict in left), Verdict.ASK)


def in_one_order(decision: Decision) -> Decision:
    """The decision with the rules that took part sorted: they have no order."""
    ending, asking = (tuple(sorted(rules, key=repr)) for rules in (decision.ending, decision.asking))
    return replace(decision, ending=ending, asking=asking)
