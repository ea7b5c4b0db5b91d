"""A decision: the verdict, its reason, and how long and how widely it may be remembered."""

import msgspec
from msgspec.structs import replace

from tinysnitch.core.model.asking_mode import OBSERVING, AskingMode
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.columns import ALL, Columns
from tinysnitch.core.rules.qualifiers import format_until
from tinysnitch.core.rules.rule import Rule

# How reasons begin that are looked for in lines of the log and in messages to clients, which have no field for them.
ANSWERED_ONCE, ANSWERED_UNTIL = "answered once", "answered until"  # how long the rule holds is not in its line
NO_ANSWER = "no answer"  # within the timeout
DENIED_BY_RULE = "denied by a rule"
LEARNING = "learning: "  # is_learned, by observing
PAUSED, MODE = "paused ", "mode "  # is_learned, in a pause; decided by a mode without a rule


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    verdict: Verdict
    reason: str  # one lower-case clause, shown as it is
    rule: Rule | None = None  # the rule that won
    until_s: float | None = None  # wall-clock seconds when the earliest rule that took part ends
    ending: tuple[Rule, ...] = ()  # the rules that took part and end by the clock
    has_ended: bool = False  # a rule that would take part has ended; it holds again if the clock is set back
    asking: tuple[Rule, ...] = ()  # all the rules that ask, where the verdict is ASK
    columns: Columns = ALL  # that it rests on
    is_flow_only: bool = False  # a rule that took part tests more than the kernel's cache key: this flow only
    is_learned: bool = False  # no rule decides, and observing or a pause lets it pass
    ends_s: float | None = None  # boot-time seconds when the pause ends that lets it pass
    is_unanswered: bool = False  # denied since nobody answers: for this flow, until people may be asked again
    is_turned_away: bool = False  # denied, as there was no room for its question


def is_covered_by(mode: AskingMode, asked: Decision, now: Instant) -> bool:
    """Whether the mode decides what people would be asked about. A rule that asks stays in force, but for observing."""
    if mode.verdict is Verdict.ASK or mode.has_ended(now):
        return False
    return mode.is_observing or not asked.asking


def because_of(mode: AskingMode, reason: str) -> str:
    """`paused until 2026-12-02T12:30:00Z, no rule matches`: why the mode decides."""
    if mode.is_observing:
        return LEARNING + reason
    until = "" if mode.until_s is None else f" until {format_until(mode.until_s)}"
    is_pause = mode.verdict is Verdict.ALLOW and until
    return f"{PAUSED.rstrip() if is_pause else MODE + mode.verdict.value}{until}, {reason}"


def let_pass(asked: Decision, mode: AskingMode = OBSERVING) -> Decision:
    """What observing, or a pause, makes of a connection that people would be asked about."""
    reason = because_of(mode, asked.reason)
    return replace(asked, verdict=Verdict.ALLOW, reason=reason, is_learned=True, ends_s=mode.ends_s)


def deny_unanswered(asked: Decision, reason: str, refusal: str | None, *, is_turned_away: bool = False) -> Decision:
    """The denial of a connection that nobody answers for; it names the rule that asked, if there was one.

    `refusal`: why no rule can name the program. The reason repeats it for whoever has a rule for that path and wonders
    why it does not match (after an upgrade, say).
    """
    if refusal is not None:
        reason += f"; no rule with its path covers it: {refusal}"
    return Decision(
        verdict=Verdict.DENY,
        reason=reason,
        rule=asked.rule,
        is_flow_only=asked.is_flow_only,
        is_unanswered=True,
        is_turned_away=is_turned_away,
    )
