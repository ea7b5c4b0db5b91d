"""What is said of an answer that was taken: the line of its rule, and how long it holds, which few lines tell."""

from tinysnitch.core.answer import can_be_remembered
from tinysnitch.core.choice import Choice, Lifetime
from tinysnitch.core.connection import Connection
from tinysnitch.core.rule_text import parse_rule
from tinysnitch.view.connection_view import present_program
from tinysnitch.view.prompt_events import Answers

_LIFETIMES = {
    Lifetime.ONCE: "once",
    Lifetime.ONE_MINUTE: "for 1 minute",
    Lifetime.THREE_MINUTES: "for 3 minutes",
    Lifetime.NINE_MINUTES: "for 9 minutes",
    Lifetime.DAY: "for 24 hours",
    Lifetime.FOREVER: "forever",
}
ANSWERED = "answered"  # what is said begins with it
WHILE_IT_RUNS = "while this command runs"  # for a guest: its daemon ends then, and all but the rules file is gone


def name_lifetime(connection: Connection, choice: Choice, is_guest: bool = False) -> str:
    """What becomes of the choice: where no rule can be kept, every answer is for once."""
    if not can_be_remembered(connection):
        return _LIFETIMES[Lifetime.ONCE]
    if choice.lifetime is Lifetime.QUIT and connection.attribution.process:
        return f"until {present_program(connection.attribution)} quits"
    lifetime = Lifetime.NINE_MINUTES if choice.lifetime is Lifetime.QUIT else choice.lifetime  # no process can't quit
    ends_early = is_guest and lifetime.duration_s is not None
    return f"{_LIFETIMES[lifetime]}, {WHILE_IT_RUNS}" if ends_early else _LIFETIMES[lifetime]


def name_lifetime_of_line(rule: str, is_guest: bool = False) -> str:
    """Of a line that was edited by hand: one with a time says it itself."""
    if parse_rule(rule).until_s is None:
        return _LIFETIMES[Lifetime.FOREVER]
    return WHILE_IT_RUNS if is_guest else ""


def tell_taken(given: Answers, rule: str) -> str:
    """`answered until curl quits: allow shop.test 443 tcp /usr/bin/curl`. `rule` is the line that the daemon made.

    Several, `answered 3 questions together: allow, for 9 minutes`, are of one program and have one choice, so that the
    verdict of one rule and one word on how long hold for all.
    """
    count, holds = len(given.answers), given.answers[0].holds
    if count > 1:
        told = ", ".join(filter(None, (rule.partition(" ")[0], holds)))
        return f"{ANSWERED} {count} questions together: {told}"
    words = f"{ANSWERED} {holds}" if holds else ANSWERED
    return f"{words}: {rule}" if rule else words
