"""From a choice to the rule that it makes."""

from tinysnitch.core.choice import Choice
from tinysnitch.core.connection import Connection
from tinysnitch.core.rule import Rule


def rule_for_choice(connection: Connection, choice: Choice, wall_s: float) -> Rule:
    """The rule that the choice stands for; that of lifetime `once` is shown, never kept."""
    return Rule(verdict=choice.verdict)


def refusal_to_remember(connection: Connection) -> str | None:
    """Why no rule could name the program of this connection again; None where one can."""
    return None


def can_be_remembered(connection: Connection) -> bool:
    return refusal_to_remember(connection) is None
