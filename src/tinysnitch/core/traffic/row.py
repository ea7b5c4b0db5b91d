"""One row of what was summed up. All columns but the numbers and times are its key; equal keys add up."""

from functools import lru_cache

import msgspec
from msgspec.structs import replace

from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import program_of, uid_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule

PRIVATE = "private"  # in place of a program that is counted and not named


class TrafficKey(msgspec.Struct, frozen=True, gc=False):
    program: str  # as a rule's column has it: a path, `kernel` or `unknown`
    uid: int | None  # of the process; None: there is none
    remote: bytes  # packed
    name: str | None  # of the remote, as the program means it
    port: int  # that rules test: outbound the remote's, inbound ours, 0 for protocols without ports
    protocol: int  # IANA number
    direction: Direction
    verdict: Verdict  # ALLOW or DENY
    rule: str | None  # the line of the rule that decided; None: none did, or it is not known


class TrafficRow(msgspec.Struct, frozen=True, gc=False):
    """Bytes are those of the payload. A connection is counted when it is decided, and its bytes may follow in rows of
    0 connections for as long as it lives."""

    key: TrafficKey
    connections: int
    bytes_in: int
    bytes_out: int
    first_s: float  # wall-clock seconds: of the first packet or decision in this row
    last_s: float


@lru_cache(maxsize=1024)
def line_of(rule: Rule) -> str:
    return format_rule(rule)


def row_of(record: ConnectionDecided) -> TrafficRow:
    """The row of one connection, whose bytes are not known."""
    connection, decision = record.connection, record.decision
    flow = connection.flow
    key = TrafficKey(
        program=program_of(connection.attribution),
        uid=uid_of(connection.attribution),
        remote=flow.remote,
        name=connection.name,
        port=flow.port,
        protocol=flow.protocol,
        direction=flow.direction,
        verdict=decision.verdict,
        rule=line_of(decision.rule) if decision.rule else None,
    )
    return TrafficRow(key, 1, 0, 0, record.wall_s, record.wall_s)


def without_names(row: TrafficRow) -> TrafficRow:
    """The row of a program that is not to be named: it is counted with all such programs of its user."""
    key = replace(row.key, program=PRIVATE, remote=b"", name="", port=0, rule=None)
    return replace(row, key=key)
