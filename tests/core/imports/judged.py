"""Connections as they are written in the tables, and what imported lines say of them."""

from collections.abc import Iterable

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import KERNEL, Attribution, AttributionSource, Process
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.ruleset import Ruleset
from tinysnitch.core.rules.list_entries import parse_list
from tinysnitch.core.rules.network import parse_network
from tinysnitch.core.rules.rule_line import parse_rules

PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "47": 47}
USERS = {"root": 0, "alice": 1000, "backup": 34}


class SmallList:
    def __init__(self, text: str) -> None:
        self._content = parse_list(text)

    def has_name(self, name: str) -> bool:
        labels = name.split(".")
        return any(".".join(labels[at:]) in self._content.names for at in range(len(labels)))

    def has_address(self, address: bytes) -> bool:
        value = int.from_bytes(address)
        return any(value >> (128 - each.prefix) == each.base >> (128 - each.prefix) for each in self._content.networks)

    def has_network(self, network: object) -> bool:
        return False


def facts(**lists: str) -> Facts:
    return Facts(
        users=USERS,
        lan=(parse_network("192.168.1.0/24"),),
        resolvers=frozenset({parse_address("192.168.1.1")}),
        lists={name: SmallList(text) for name, text in lists.items()},
    )


def connection(text: str) -> Connection:
    """`PROGRAM [args] -> NAME/ADDRESS PORT PROTOCOL [user=..] [parent=..] [iface=..]`; `<-` is inbound."""
    is_inbound = "<-" in text
    left, right = text.split(" <- " if is_inbound else " -> ")
    program, *args = left.split()
    where, port, protocol, *more = right.split()
    name, _, address = where.rpartition("/")
    told = dict(each.split("=") for each in more)
    process = Process(
        exec_id=1,
        pid=1,
        started_ns=1,
        uid=USERS[told.get("user", "alice")],
        executable=program,
        device=1,
        inode=1,
        program=program,
        args=tuple(args),
        parents=(told["parent"],) if "parent" in told else (),
    )
    number = 0 if port == "-" else int(port)
    flow = Flow(
        protocol=PROTOCOLS[protocol],
        direction=Direction.INBOUND if is_inbound else Direction.OUTBOUND,
        local=parse_address("192.168.1.5"),
        local_port=number if is_inbound else 40000,
        remote=parse_address(address),
        remote_port=40000 if is_inbound else number,
    )
    attribution = KERNEL if program == "kernel" else Attribution(AttributionSource.BPF, process)
    return Connection(flow=flow, attribution=attribution, name=name or None, interface=told.get("iface", "eth0"))


def verdicts(lines: Iterable[str], asked: Iterable[str], known: Facts | None = None) -> dict[str, str]:
    """What the lines of a group say of each connection; `-`: no line is about it."""
    rules, errors = parse_rules("\n".join(lines), "group")
    assert errors == []
    ruleset = Ruleset(rules, known or facts())
    found = {text: ruleset.decide(connection(text), 0.0) for text in asked}
    return {text: decision.verdict.value if decision.rule else "-" for text, decision in found.items()}
