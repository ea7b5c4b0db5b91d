"""A rule: a verdict and the columns that must all match. A value; rule_text.py reads and writes it as a line."""

from enum import Enum

import msgspec

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict


class RemoteKind(Enum):
    ANY = "any"
    NAME = "name"  # text: the name, lower case, no trailing dot
    DOMAIN = "domain"  # text: the name that it covers together with all names below
    NETWORK = "network"  # text: an address or a network in CIDR form, canonical
    LOCALHOST = "localhost"
    LAN = "lan"
    LIST = "list"  # text: the list's name, without the @

    __hash__ = object.__hash__  # each member is one object; Enum's own hash, in Python, is slow at every look-up


class Remote(msgspec.Struct, frozen=True, gc=False):
    kind: RemoteKind
    text: str = ""


class ProgramKind(Enum):
    ANY = "any"
    PATH = "path"  # text: the path as it was written
    GLOB = "glob"  # text: the pattern, where \* and \\ mean the characters themselves
    OWNER = "owner"  # text: as Process.owners has it, `unit:ssh.service`
    KERNEL = "kernel"
    UNKNOWN = "unknown"

    __hash__ = object.__hash__  # each member is one object; Enum's own hash, in Python, is slow at every look-up


class Program(msgspec.Struct, frozen=True, gc=False):
    kind: ProgramKind
    text: str = ""


ANY_REMOTE = Remote(RemoteKind.ANY)
LOCALHOST = Remote(RemoteKind.LOCALHOST)
LAN = Remote(RemoteKind.LAN)
ANY_PROGRAM = Program(ProgramKind.ANY)

PortRange = tuple[int, int]


# A rule is a key again and again while a connection is judged: cache_hash saves 1.2 % of a miss.
class Rule(msgspec.Struct, frozen=True, kw_only=True, gc=False, cache_hash=True):
    """Columns with their default match anything, except that the direction is outbound."""

    verdict: Verdict
    remote: Remote = ANY_REMOTE
    ports: tuple[PortRange, ...] = ()  # inclusive, sorted, neither overlapping nor adjacent; () is any
    protocol: int | None = None  # IANA number; ICMP stands for ICMPv6 too
    direction: Direction = Direction.OUTBOUND
    program: Program = ANY_PROGRAM
    args: tuple[str, ...] | None = None  # exactly these; () is exactly none; None is any
    user: str | None = None  # a user's name, or a uid in digits
    parent: str | None = None  # program path of any ancestor
    sha256: str | None = None  # of the executable, lower-case hex
    iface: str | None = None  # network interface
    until_s: int | None = None  # wall-clock seconds; from then on it never matches
    exec_id: int | None = None  # of the one process image that it matches, and ends with; no part of the line

    @property
    def is_temporary(self) -> bool:
        return self.until_s is not None or self.exec_id is not None
