"""What people ask of the sums, and the lines of the answer."""

from enum import Enum
from typing import Annotated

import msgspec

MAX_LINES = 10_000  # of one answer
_Word = Annotated[str, msgspec.Meta(max_length=8192)]


class By(Enum):
    """What a line of the answer stands for."""

    PROGRAM = "program"
    NAME = "name"  # of the remote, or its address
    DOMAIN = "domain"  # what somebody registered
    PORT = "port"
    USER = "user"
    DAY = "day"
    RULE = "rule"  # that decided


class TrafficQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is None is not asked about."""

    by: By = By.PROGRAM
    program: _Word | None = None  # a path, or the last part of one
    to: _Word | None = None  # a name, with all below it, or a network
    port: int | None = None
    uid: int | None = None
    since_s: float = 0.0  # wall-clock seconds
    is_denied: bool = False  # only what was denied
    is_new: bool = False  # which program spoke with which domain for the first time: a line for each pair
    limit: Annotated[int, msgspec.Meta(ge=0, le=MAX_LINES)] = 1000


class TrafficLine(msgspec.Struct, frozen=True, kw_only=True):
    what: str  # as the question's `by` says: `443 tcp`, a uid, `2026-12-02`; "": many, or not named
    program: str | None = None  # of a pair
    first_s: float
    last_s: float
    connections: int
    denied: int  # of these
    inbound: int  # of these
    received: int  # bytes
    sent: int


class TrafficTotal(msgspec.Struct, frozen=True):
    """Of all lines, also those beyond the limit."""

    lines: int = 0
    connections: int = 0
    denied: int = 0
    received: int = 0
    sent: int = 0
