"""Verdicts, and the key by which the kernel caches them."""

from enum import Enum

import msgspec

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import AttributionSource, exec_id_of


class Verdict(Enum):
    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"

    __hash__ = object.__hash__  # each member is one object; Enum's own hash, in Python, is slow at every look-up


class Inspection(Enum):
    NONE = "none"
    NOTED = "noted"  # the name is for the log
    GUARDED = "guarded"  # a rule may deny the name: no packet of the connection goes on unread


class VerdictKey(msgspec.Struct, frozen=True, gc=False):
    exec_id: int  # 0 is unknown, 1 the kernel
    uid: int
    protocol: int
    direction: Direction
    remote: bytes | None  # packed; None: every remote and port
    port: int


def verdict_key_of(connection: Connection) -> VerdictKey | None:
    """The key for connections like this one; None if its program is unknown."""
    attribution, flow = connection.attribution, connection.flow
    if attribution.source is AttributionSource.UNKNOWN:
        return None
    return VerdictKey(
        exec_id=exec_id_of(attribution),
        uid=attribution.process.uid if attribution.process else 0,
        protocol=flow.protocol,
        direction=flow.direction,
        remote=flow.remote,
        port=flow.port,
    )
