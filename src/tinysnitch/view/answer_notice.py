"""What is said of an answer that was taken: its rule, and how long that holds, which the rule's line may not tell.
And what is said of a mode in which nobody is asked, and how long that lasts."""

import math

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.answer import can_be_remembered
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.protocol.messages import ChangedLine, Undone
from tinysnitch.view.connection_view import present_program
from tinysnitch.view.prompt_events import Answers
from tinysnitch.view.span import format_time_left

_LIFETIMES = {
    Lifetime.ONCE: "once",
    Lifetime.ONE_MINUTE: "for 1 minute",
    Lifetime.THREE_MINUTES: "for 3 minutes",
    Lifetime.NINE_MINUTES: "for 9 minutes",
    Lifetime.DAY: "for 24 hours",
    Lifetime.FOREVER: "forever",
}
ANSWERED = "answered"  # the first word of what is said
WHILE_IT_RUNS = "while this command runs"  # for a guest: its daemon ends with the command, and so do temporary rules


def name_lifetime(connection: Connection, choice: Choice, *, is_guest: bool = False) -> str:
    """How long the answer of this choice really holds, in words: just once, where no rule can be kept."""
    if not can_be_remembered(connection):
        return _LIFETIMES[Lifetime.ONCE]
    if choice.lifetime is Lifetime.QUIT and connection.attribution.process:
        return f"until {present_program(connection.attribution)} quits"
    # `until it quits` means 9 minutes if there is no process that could quit.
    lifetime = Lifetime.NINE_MINUTES if choice.lifetime is Lifetime.QUIT else choice.lifetime
    ends_early = is_guest and lifetime.duration_s is not None
    return f"{_LIFETIMES[lifetime]}, {WHILE_IT_RUNS}" if ends_early else _LIFETIMES[lifetime]


def name_lifetime_of_line(rule: str, *, is_guest: bool = False) -> str:
    """How long a rule edited by hand holds, in words; "" if its own `until=` says it."""
    if parse_rule(rule).until_s is None:
        return _LIFETIMES[Lifetime.FOREVER]
    return WHILE_IT_RUNS if is_guest else ""


def tell_taken(given: Answers, rule: str) -> str:
    """`answered until curl quits: allow shop.test 443 tcp /usr/bin/curl`. `rule` is the line that the daemon made.

    For several questions, `answered 3 questions together: allow, for 9 minutes`. They were answered by one choice, so
    verdict and lifetime are the same for all.
    """
    count, holds = len(given.answers), given.answers[0].holds
    if count > 1:
        told = ", ".join(filter(None, (rule.partition(" ")[0], holds)))
        return f"{ANSWERED} {count} questions together: {told}"
    words = f"{ANSWERED} {holds}" if holds else ANSWERED
    return f"{words}: {shorten_rule(rule)}" if rule else words


def tell_changed(rule: str, *, is_added: bool) -> str:
    """That a rule was added or removed which answered no question."""
    return f"{'added' if is_added else 'taken back'}: {shorten_rule(rule)}"


_OUTCOMES = {Verdict.ALLOW: "passes", Verdict.DENY: "is denied"}
HOW_TO_END = " (`tinysnitch resume` ends it)"  # where there is room for it
ASKING_AGAIN = "what no rule covers is asked about again"


def tell_mode(verdict: Verdict, left_s: float | None, *, is_observing: bool = False) -> str:
    """`paused, 9 min 58 s left: what no rule covers passes unasked`; "" while people are asked."""
    if verdict is Verdict.ASK:
        return ""
    if is_observing:
        return "observing (--learn): what no rule decides passes unasked"
    is_pause = verdict is Verdict.ALLOW and left_s is not None
    left = "" if left_s is None else f", {format_time_left(math.ceil(left_s))} left"
    word = "paused" if is_pause else f"mode {verdict.value}"
    return f"{word}{left}: what no rule covers {_OUTCOMES[verdict]} unasked"


def tell_undone(undone: Undone, who: str) -> str:
    """What was taken back: `taken back: deny shop.test 443 tcp /usr/bin/curl (change 7, by alice)`."""
    told = [_tell_some(undone.put_back, "put back"), _tell_some((*undone.removed, *undone.forgotten), "taken back")]
    told += [f"left: {shorten_rule(each.rule)}: {each.why}" for each in undone.kept[:1]]
    return f"{'; '.join(filter(None, told))} (change {undone.change.number}, by {who})"


def _tell_some(lines: tuple[ChangedLine, ...], done: str) -> str:
    if not lines:
        return ""
    return f"{done}{f' {len(lines)} rules, the first' if len(lines) > 1 else ''}: {shorten_rule(lines[0].rule)}"
