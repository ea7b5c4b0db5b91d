"""An open question to people: a value, as every prompt client gets it."""

import msgspec

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.rules.rule import Rule


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    prompt_id: int
    connection: Connection  # of the first waiter
    count: int  # connections that wait for the answer
    reason: str  # why people are asked
    rule: Rule | None = None  # the rule that asks
    opened_s: float  # wall-clock seconds
    age_s: float = 0.0  # at the moment the value was made
    deadline_s: float  # boot-time seconds
    remaining_s: float  # at the moment the value was made
