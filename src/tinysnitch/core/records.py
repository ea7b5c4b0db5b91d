"""What is told of a decision: the lines of the log, the history and `--follow` (DESIGN.md 7)."""

import msgspec

from tinysnitch.core.connection import Connection
from tinysnitch.core.decision import Decision
from tinysnitch.core.errors import RuleSyntaxError


class ConnectionDecided(msgspec.Struct, frozen=True):
    connection: Connection
    decision: Decision
    is_cached: bool
    wall_s: float


class PromptOpened(msgspec.Struct, frozen=True):
    prompt_id: int
    connection: Connection
    reason: str
    wall_s: float


class PromptAnswered(msgspec.Struct, frozen=True):
    prompt_id: int
    rule: str  # the line
    by_uid: int
    wall_s: float


class RulesReplaced(msgspec.Struct, frozen=True):
    loaded: int
    errors: tuple[RuleSyntaxError, ...]
    wall_s: float


class LossCounted(msgspec.Struct, frozen=True):
    what: str
    count: int
    wall_s: float


Record = ConnectionDecided | PromptOpened | PromptAnswered | RulesReplaced | LossCounted
