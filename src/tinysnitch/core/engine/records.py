"""Records: what the log, the history and `--follow` tell, one line for each (docs/commands.md)."""

from typing import assert_never

import msgspec

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.rules.changes import ChangedRule

MAX_LINES = 200_000  # of the history; older ones are dropped


class ConnectionDecided(msgspec.Struct, frozen=True):
    connection: Connection
    decision: Decision
    is_cached: bool
    wall_s: float


class ServerNameRead(msgspec.Struct, frozen=True):
    """A connection that was allowed without a name, or with a guessed one, says a name itself and goes on."""

    connection: Connection  # with the name that it says
    decision: Decision
    wall_s: float


class PromptOpened(msgspec.Struct, frozen=True):
    prompt_id: int
    connection: Connection
    decision: Decision  # whose verdict is ASK
    wall_s: float


class PromptAnswered(msgspec.Struct, frozen=True):
    prompt_id: int
    rule: str  # the line
    by_uid: int
    wall_s: float
    uid: int | None = None  # of the program that asked
    is_once: bool = False  # the rule is not kept
    quit_pid: int | None = None  # of the process with which the rule ends
    changed: ChangedRule | None = None  # the rule as it is noted, so that the answer can be taken back


class RulesReplaced(msgspec.Struct, frozen=True):
    loaded: int
    errors: tuple[RuleSyntaxError, ...]
    wall_s: float


class ModeChanged(msgspec.Struct, frozen=True):
    """What no rule covers is decided in another way from now on."""

    mode: Verdict
    until_s: float | None  # wall-clock seconds; None: no end
    by_uid: int | None  # None: the time of the mode before is over
    wall_s: float


class LossCounted(msgspec.Struct, frozen=True):
    what: str
    count: int
    wall_s: float


class PacketSocketSeen(msgspec.Struct, frozen=True):
    """A program uses a packet socket: what it sends and receives there, no rule can deny."""

    pid: int
    uid: int
    program: str
    wall_s: float


Record = (
    ConnectionDecided
    | ServerNameRead
    | PromptOpened
    | PromptAnswered
    | RulesReplaced
    | ModeChanged
    | LossCounted
    | PacketSocketSeen
)


def uid_told_of(record: Record) -> int | None:
    """The uid of the process that a record is about; None: it is about none."""
    match record:
        case ConnectionDecided(connection) | ServerNameRead(connection) | PromptOpened(connection=connection):
            process = connection.attribution.process
            return process.uid if process else None
        case PromptAnswered(uid=uid) | PacketSocketSeen(uid=uid):
            return uid
        case RulesReplaced() | ModeChanged() | LossCounted():
            return None
        case _:
            assert_never(record)
