"""What observe mode makes of a connection: the rule that a prompt would propose, and wider ones.

A server has other clients tomorrow, and what a timer starts may have the time among its arguments. One connection does
not show that: it gets a rule of its own. Once many such rules differ in nothing else, a wider one takes their place.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.programs.interpreters import is_called_like_one
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Choice, RemoteScope
from tinysnitch.core.prompts.proposal import choose_first_for_ever
from tinysnitch.core.rules.rule import RemoteKind, Rule


def learn_rule(connection: Connection, asked_by: Rule | None, wall_s: float) -> tuple[Rule, tuple[Rule, ...]]:
    """The rule, and wider ones; none if a rule asks (`asked_by`), since they might not be narrower than that."""
    choice = choose_first_for_ever(connection)
    rule = rule_for_choice(connection, choice, wall_s)
    wider = () if asked_by else _widen(connection, rule, choice)
    return rule, tuple(rule_for_choice(connection, each, wall_s) for each in wider)


def _widen(connection: Connection, rule: Rule, choice: Choice) -> Iterator[Choice]:
    process = connection.attribution.process
    if rule.remote.kind is RemoteKind.NETWORK:
        scope = RemoteScope.DOMAIN if connection.is_from_lan else RemoteScope.ANY
        yield replace(choice, remote=scope)
    if rule.args and process and not is_called_like_one(process.program):  # with any arguments these run anything
        yield replace(choice, any_args=True)
