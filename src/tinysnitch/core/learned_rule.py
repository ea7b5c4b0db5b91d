"""What observing makes of a connection: the rule that a prompt would propose, and wider ones for when there are many.

Whoever visits a server today is not who does tomorrow, and what a timer fetches may have the time among its arguments.
One connection does not tell: a line of its own is right, until there were many that differ in nothing else.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tinysnitch.core.answer import rule_for_choice
from tinysnitch.core.choice import Choice, RemoteScope
from tinysnitch.core.connection import Connection
from tinysnitch.core.first_choice import choose_first_for_ever
from tinysnitch.core.interpreters import is_called_like_one
from tinysnitch.core.rule import RemoteKind, Rule


def learn_rule(connection: Connection, asked_by: Rule | None, wall_s: float) -> tuple[Rule, tuple[Rule, ...]]:
    """The rule, and the wider ones. `asked_by`: a rule that asks, which a wider one might not be narrower than."""
    choice = choose_first_for_ever(connection)
    rule = rule_for_choice(connection, choice, wall_s)
    wider = () if asked_by else _widen(connection, rule, choice)
    return rule, tuple(rule_for_choice(connection, each, wall_s) for each in wider)


def _widen(connection: Connection, rule: Rule, choice: Choice) -> Iterator[Choice]:
    process = connection.attribution.process
    if rule.remote.kind is RemoteKind.NETWORK:
        scope = RemoteScope.DOMAIN if connection.is_from_lan else RemoteScope.ANY
        yield replace(choice, remote=scope)
    if rule.args and process and not is_called_like_one(process.program):  # with any, that would be anything
        yield replace(choice, any_args=True)
