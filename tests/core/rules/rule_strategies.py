"""Hypothesis strategies for rules and connections; small pools, so that rules and connections meet."""

from ipaddress import ip_network
from typing import Any

from hypothesis import strategies as st

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.domain import format_label
from tinysnitch.core.model.flow import ICMPV6, Direction, Flow, parse_address
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, AttributionSource, Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.programs.cgroup_owner import complete_owner
from tinysnitch.core.rules.network import Network, format_network, parse_network
from tinysnitch.core.rules.path_pattern import escape_pattern, pattern_tokens
from tinysnitch.core.rules.port_column import merge_ranges
from tinysnitch.core.rules.protocol_column import has_ports
from tinysnitch.core.rules.rule import ANY_PROGRAM, ANY_REMOTE, Program, ProgramKind, Remote, RemoteKind, Rule
from tinysnitch.store.remote_set import RemoteSet

# --- any rule at all, with hostile texts -------------------------------------------------------------------

HOSTILE = ["\n", "\x1b[2J", "#", "'", '"', "\\", "*", "-", "()", "$'", "\u202e", "\u2066", "\u200b", "\x85", "\u2028"]
HOSTILE += ["\udcff", "\ud800", "é", "\u3164", "\ufe0f", "\U000e0100", " ", "", "\nallow - - -", "\udcc3\udcbc", "\x00"]
texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=4), max_size=4).map("".join)
names = st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=3).map(
    lambda x: ".".join(map(format_label, x))
)
names |= st.sampled_from(["localhost", "lan", "10.0.0.1", "-", "1", "a_b.example"])
paths = texts.map(lambda text: "/" + text)
networks = st.builds(
    lambda bits, prefix, is_v4: format_network(_network(bits, prefix, is_v4)),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
    st.booleans(),
)


def _network(bits: int, prefix: int, is_v4: bool) -> Network:
    if is_v4:
        return parse_network(str(ip_network((bits & 0xFFFFFFFF, prefix % 33), strict=False)))
    return parse_network(str(ip_network((bits.to_bytes(16), prefix), strict=False)))


def glob_of(*parts: str) -> Program:
    """A glob from literal texts with `*` between them."""
    return Program(ProgramKind.GLOB, "".join(pattern_tokens("*".join(map(escape_pattern, parts)))))


remotes = st.one_of(
    st.sampled_from([ANY_REMOTE, Remote(RemoteKind.LOCALHOST), Remote(RemoteKind.LAN), Remote(RemoteKind.LIST, "ads")]),
    st.builds(Remote, st.sampled_from([RemoteKind.NAME, RemoteKind.DOMAIN]), names),
    st.builds(Remote, st.just(RemoteKind.NETWORK), networks),
)
programs = st.one_of(
    st.sampled_from([ANY_PROGRAM, Program(ProgramKind.KERNEL), Program(ProgramKind.UNKNOWN)]),
    st.builds(Program, st.just(ProgramKind.PATH), paths),
    st.builds(lambda path, rest: glob_of(path, *rest), paths, st.lists(texts, min_size=1, max_size=3)),
    st.builds(
        lambda kind, name: Program(ProgramKind.OWNER, complete_owner(kind, name)),
        st.sampled_from(["unit", "container", "flatpak", "snap"]),
        texts.filter(bool),
    ),
)
port_sets = st.lists(st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted).map(tuple), max_size=3)
protocols = st.none() | st.integers(0, 255).filter(lambda number: number != ICMPV6)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    protocol = draw(protocols)
    return Rule(
        verdict=draw(st.sampled_from(Verdict)),
        remote=draw(remotes),
        ports=merge_ranges(draw(port_sets)) if has_ports(protocol) else (),
        protocol=protocol,
        direction=draw(st.sampled_from(Direction)),
        program=draw(programs),
        args=draw(st.none() | st.lists(texts, max_size=3).map(tuple)),
        user=draw(
            st.none() | st.integers(0, 2**32 - 2).map(str) | texts.filter(lambda text: text and not text.isdigit())
        ),
        parent=draw(st.none() | paths),
        sha256=draw(st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex)),
        iface=draw(st.none() | texts.filter(bool).map(lambda text: text[:15])),
        until_s=draw(st.none() | st.integers(-62135596800, 253402300799)),
    )


# --- rules and connections that often meet -----------------------------------------------------------------

NAMES = ["example.com", "ads.example.com", "a.ads.example.com", "example.org", "badexample.com"]
ADDRESSES = ["10.1.2.3", "10.1.9.9", "127.0.0.1", "2001:db8::1", "::1", "192.168.1.5"]
NETWORKS = ["10.0.0.0/8", "10.1.2.0/24", "10.1.2.3", "0.0.0.0/0", "::/0", "2001:db8::/32"]
NETWORKS += ["127.0.0.0/8", "192.168.1.0/24", "192.168.1.5", "10.1.9.0/24", "10.1.9.9"]
LINKS = {"/usr/bin/python3": "/usr/bin/python3.13", "/home/a/l": "/usr/bin/curl"}
PATTERNS = {"/bin/*": "/usr/bin/*", "/home/a/p/*": "/opt/a/*"}
PATHS = ["/usr/bin/curl", "/usr/bin/python3.13", "/opt/a/x", "/opt/a/b/x", *LINKS]
GLOBS = [("/usr/bin/", ""), ("/opt/", "/x"), ("/opt/", "", ""), ("/usr/bin/python3", ""), ("/opt/a/", "")]
LINKED_GLOBS = [("/bin/", ""), ("/home/a/p/", "")]  # as PATTERNS has them
ARGS = [(), ("-s",), ("-m", "http.server"), ("-m", "http"), ("-m",)]
OWNERS = ["unit:a.service", "snap:b"]
PORTS = [22, 80, 443]
PORT_SETS = [(), ((443, 443),), ((80, 80), (443, 443)), ((1, 1024),), ((80, 443),)]

FACTS = Facts(
    own_addresses=frozenset({parse_address("192.168.1.5")}),
    lan=(parse_network("192.168.1.0/24"), parse_network("10.1.0.0/16")),
    resolvers=frozenset({parse_address("10.1.2.3")}),
    lists={"ads": RemoteSet(["ads.example.com"], [parse_network("10.1.9.0/24")])},
    links=LINKS,
    turnable_links=frozenset({"/home/a/l"}),
    patterns=PATTERNS,
    turnable_patterns=frozenset({"/home/a/p/*"}),
    users={"alice": 1000},
)

WORDS = [Remote(RemoteKind.LOCALHOST), Remote(RemoteKind.LAN)]
WORDS += [Remote(RemoteKind.LIST, name) for name in ("ads", "resolvers", "none")]
REMOTES = [ANY_REMOTE, *(Remote(RemoteKind.NETWORK, network) for network in NETWORKS)]
REMOTES += [Remote(kind, name) for kind in (RemoteKind.NAME, RemoteKind.DOMAIN) for name in (*NAMES, "com")]
PROGRAMS = [ANY_PROGRAM, Program(ProgramKind.KERNEL), Program(ProgramKind.UNKNOWN), *(glob_of(*glob) for glob in GLOBS)]
PROGRAMS += [Program(ProgramKind.PATH, path) for path in PATHS if path not in LINKS]
PROGRAMS += [Program(ProgramKind.OWNER, owner) for owner in OWNERS]
LINKED_PROGRAMS = [Program(ProgramKind.PATH, path) for path in LINKS] + [glob_of(*parts) for parts in LINKED_GLOBS]
COLUMNS: dict[str, list[Any]] = {  # of each the value that leaves it open comes first, if there is one
    "direction": list(Direction),
    "remote": [*REMOTES, *WORDS],
    "ports": PORT_SETS,
    "protocol": [None, 6, 17, 1],
    "program": [*PROGRAMS, *LINKED_PROGRAMS],
    "args": [None, *ARGS],
    "user": [None, "alice", "1000", "0", "nobody"],
    "parent": [None, "/usr/bin/bash", "/usr/bin/curl", *LINKS],
    "sha256": [None, "ab" * 32, "cd" * 32],
    "iface": [None, "eth0", "wg0"],
    "until_s": [None, 50, 100, 200],
    "exec_id": [None, 7, 8],
}
MOSTLY_OPEN = list(COLUMNS)[list(COLUMNS).index("args") :]


def mostly_open(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.none() | st.none() | st.sampled_from(values[1:])


meeting_rules = st.builds(
    Rule,
    verdict=st.sampled_from(Verdict),
    **{
        name: mostly_open(values) if name in MOSTLY_OPEN else st.sampled_from(values)
        for name, values in COLUMNS.items()
    },
)
mostly_true = st.sampled_from([True, True, True, False])
processes = st.builds(
    Process,
    exec_id=st.sampled_from([7, 8]),
    pid=st.just(1),
    started_ns=st.just(1),
    uid=st.sampled_from([0, 1000]),
    executable=st.just("/x"),
    device=st.just(1),
    inode=st.just(1),
    program=st.sampled_from(PATHS),
    args=st.sampled_from(ARGS),
    are_args_complete=mostly_true,
    parents=st.sampled_from([(), ("/usr/bin/bash",), ("/usr/bin/python3.13", "/usr/bin/bash"), ("/usr/bin/curl",)]),
    owners=st.sampled_from([(), ("unit:a.service",), ("unit:a.service", "snap:b")]),
    is_host_file=mostly_true,
    sha256=st.sampled_from([None, "ab" * 32]),
    is_sha256_told=mostly_true,
)
by_processes = st.builds(Attribution, st.just(AttributionSource.BPF), processes)
connections = st.builds(
    Connection,
    flow=st.builds(
        Flow,
        st.sampled_from([6, 17, 1, 58]),
        st.sampled_from(Direction),
        st.just(parse_address("192.168.1.5")),
        st.sampled_from(PORTS),
        st.sampled_from(ADDRESSES).map(parse_address),
        st.sampled_from(PORTS),
    ),
    attribution=st.one_of(st.sampled_from([KERNEL, UNKNOWN]), by_processes, by_processes, by_processes),
    name=st.none() | st.sampled_from(NAMES),
    interface=st.sampled_from(["", "eth0"]),
)
