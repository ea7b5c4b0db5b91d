"""Verdicts, and the keys and masks by which the kernel caches them (docs/design/verdict-cache.md)."""

from enum import Enum
from typing import assert_never

import msgspec

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import NO_GRAINS, Attribution, AttributionSource, exec_id_of


class Verdict(Enum):
    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"

    __hash__ = object.__hash__  # each member is one object; Enum's own hash, in Python, is slow at every look-up


class Inspection(Enum):
    NONE = "none"
    NOTED = "noted"  # the name is for the log
    GUARDED = "guarded"  # a rule may deny the name: no packet of the connection goes on unread


class Grain(Enum):
    """What a key of the cache names the program by: all execs that are alike in it have the same verdicts."""

    FILE = "file"
    EXEC = "exec"  # the exec id
    ARGS = "args"
    LINEAGE = "lineage"

    __hash__ = object.__hash__  # as above


class Mask(msgspec.Struct, frozen=True, gc=False):
    """The columns that a verdict rests on. It holds for all connections that are alike in these."""

    grain: Grain = Grain.EXEC
    has_remote: bool = True
    has_port: bool = True


EXACT = Mask()


class VerdictKey(msgspec.Struct, frozen=True, gc=False):
    program: int  # by the grain; an exec id of 0 is unknown, 1 the kernel
    uid: int
    protocol: int
    direction: Direction
    remote: bytes | None  # packed; None: every one
    port: int | None  # None: every one
    grain: Grain = Grain.EXEC

    @property
    def mask(self) -> Mask:
        return Mask(self.grain, self.remote is not None, self.port is not None)


def verdict_key_of(connection: Connection, mask: Mask = EXACT) -> VerdictKey | None:
    """The key for connections like this one; None if its program is unknown, or has no number in this grain."""
    attribution, flow = connection.attribution, connection.flow
    program = _number_in(attribution, mask.grain)
    if attribution.source is AttributionSource.UNKNOWN or not program:
        return None
    return VerdictKey(
        program,
        attribution.process.uid if attribution.process else 0,
        flow.protocol,
        flow.direction,
        flow.remote if mask.has_remote else None,
        flow.port if mask.has_port else None,
        mask.grain,
    )


def _number_in(attribution: Attribution, grain: Grain) -> int:
    grains = attribution.process.grains if attribution.process else NO_GRAINS
    match grain:
        case Grain.EXEC:
            return exec_id_of(attribution)
        case Grain.FILE:
            return grains.file
        case Grain.ARGS:
            return grains.args
        case Grain.LINEAGE:
            return grains.lineage
        case _:
            assert_never(grain)
