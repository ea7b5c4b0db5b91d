"""What `tinysnitch status` shows: facts, each with what it is for a person.

`present_status` has all of them as lines, which is what goes into a pipe. `lay_out_status` makes a screen of them:
first whether all is well, then what a person should look at, then the rest, of which the details are left out unless
they are asked for. Without these it has MAX_ROWS rows at most, whatever is wrong.
"""

import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.log_text import what_holds
from tinysnitch.protocol.messages import Mode, Status
from tinysnitch.view.answer_notice import HOW_TO_END, tell_mode
from tinysnitch.view.history.table import Cell
from tinysnitch.view.span import Span, Weight, fit_spans, format_duration
from tinysnitch.view.tables.entries import Entry, Paragraph, lay_out_entries

MAX_ROWS = 22  # of a terminal's 24: the command and the next prompt of the shell stay in sight
_ENFORCING = "enforcing, programs identified by the kernel (BPF)"
_MODES = {Mode.BPF: _ENFORCING, Mode.DEGRADED: "DEGRADED: enforcing without BPF, programs known less surely"}
_NOT_ENFORCING = "NOT enforcing: new connections may pass unasked"
_CROWDED = "more packets come than can be judged, and the rest is dropped"
_FOR_ALL = "`tinysnitch status --all` has the counters, too"
LABEL_WIDTH = 20
_TEXT_WIDTH = 79 - LABEL_WIDTH
_MOST_SAID, _MOST_ROWS = 4, 2  # of a fact, and rows of each, on the screen without details


class Part(Enum):
    """Where a fact stands on the screen, and how it is set off there."""

    MODE = ""  # the headline says it
    BAD = "bad"  # to be mended
    LOOK = "look"  # to be looked at
    SHORT = "short"
    DETAIL = "detail"


class Fact(msgspec.Struct, frozen=True):
    label: str
    said: tuple[str, ...]  # begins a line each
    part: Part
    is_wrapped: bool = True  # in the plain lines, too
    hint: str = ""  # behind what is said, on the screen alone


def present_status(status: Status, uid: int = 0) -> Iterator[tuple[str, str]]:
    """The label and text of each plain line. `uid` is the user who asks."""
    for fact in tell_status(status, uid):
        wrapped = [row for text in fact.said for row in textwrap.wrap(text, _TEXT_WIDTH)]
        for number, row in enumerate(wrapped if fact.is_wrapped else fact.said):
            yield "" if number else fact.label, row


def lay_out_status(status: Status, uid: int, width: int, *, is_whole: bool) -> list[Cell]:
    """The rows of the screen; `is_whole`: with all details, however many rows it takes."""
    facts = list(tell_status(status, uid))
    wrong = [fact for part in (Part.BAD, Part.LOOK) for fact in facts if fact.part is part]
    others = [fact for fact in facts if fact.part is Part.SHORT or (is_whole and fact.part is Part.DETAIL)]
    rows: list[Cell] = [_headline(status, sum(bool(fact.label) for fact in wrong)), ()]
    for group in filter(None, (wrong, others)):
        for fact in group:
            rows += _lay_out(fact, width, is_whole=is_whole)
        rows.append(())
    if is_whole:
        return rows[:-1]
    told = (Span(_FOR_ALL, weight=Weight.QUIET),)
    return [fit_spans(row, width) for row in [*rows[: MAX_ROWS - 2], *([()] if rows[MAX_ROWS - 2 :] else []), told]]


def _headline(status: Status, wrong: int) -> Cell:
    if status.not_enforcing:
        return (Span(_NOT_ENFORCING, weight=Weight.BAD),)
    if status.mode is not Mode.BPF:
        return (Span(_MODES[status.mode], weight=Weight.BAD),)
    if wrong:
        things = "one thing" if wrong == 1 else f"{wrong} things"
        return (Span(f"enforcing, and {things} to look at", weight=Weight.WARNING),)
    return (Span("all is well: ", weight=Weight.GOOD), Span(_ENFORCING))


def _lay_out(fact: Fact, width: int, *, is_whole: bool) -> Iterator[Cell]:
    weight = {Part.BAD: Weight.BAD, Part.LOOK: Weight.WARNING}.get(fact.part, Weight.QUIET)
    said = [Paragraph(f"{text}{fact.hint}") for text in fact.said]
    if not is_whole and len(said) > _MOST_SAID:
        left = Paragraph(f"{len(said) - _MOST_SAID + 1} more with --all", weight=Weight.QUIET)
        said = [*said[: _MOST_SAID - 2], left, said[-1]]
    entry = Entry((Span(fact.label, weight=weight),), tuple(said))
    return lay_out_entries([entry], LABEL_WIDTH, width, None if is_whole else _MOST_ROWS)


def tell_status(status: Status, uid: int = 0) -> Iterator[Fact]:
    """All facts, first those that a person may have to act on."""
    mode = _NOT_ENFORCING if status.not_enforcing else _MODES[status.mode]
    yield Fact("mode", (mode,), Part.MODE)
    if status.not_enforcing:
        yield Fact("because", (status.not_enforcing,), Part.BAD)
    if status.mode_reason:
        yield Fact("because", (status.mode_reason,), Part.BAD, is_wrapped=False)
    if status.cannot_restart:
        yield Fact("CANNOT RESTART", (status.cannot_restart,), Part.BAD)
    if status.is_crowded:
        yield Fact("CROWDED", (_CROWDED,), Part.BAD, is_wrapped=False)
    yield from _tell_asking(status)
    yield from _tell_prompts(status)
    yield from _tell_rules(status, uid)
    yield from _tell_settings(status)
    judged = f"{status.hits} in the kernel (hits), {status.misses} here (misses)"
    yield Fact("packets judged", (judged,), Part.SHORT, is_wrapped=False)
    yield _tell_counts("waiting", status.queues)
    yield _tell_counts("in use", status.tables)
    evicted = {table: count for table, count in status.evicted.items() if count}
    if evicted:
        yield _tell_counts("evicted", evicted)
    yield _tell_losses(status.losses)
    up = f"version {status.version}, pid {status.pid}, up {format_duration(status.uptime_s)}"
    yield Fact("daemon", (up,), Part.SHORT, is_wrapped=False)
    yield Fact("network namespace", (str(status.netns),), Part.DETAIL)
    yield Fact("cgroup", (status.cgroup,), Part.DETAIL, is_wrapped=False)


def _tell_asking(status: Status) -> Iterator[Fact]:
    """That people are not asked."""
    learned = status.learned_rules  # empty from the daemon of an older version, not yet restarted after an upgrade
    if status.is_learning:
        yield Fact("observing", ("what no rule decides is allowed and recorded",), Part.LOOK)
        if learned:
            yield Fact("", (f"as rules in {learned}",), Part.LOOK, is_wrapped=False)
    elif status.asking is not Verdict.ASK:
        told = tell_mode(status.asking, status.asking_left_s) + HOW_TO_END
        yield Fact("NOT ASKING", (told,), Part.LOOK)
        if learned:
            yield Fact("", (f"what passes is listed in {learned}",), Part.LOOK, is_wrapped=False)


def _tell_prompts(status: Status) -> Iterator[Fact]:
    part, hint = (Part.LOOK, ": `tinysnitch asks` shows what is asked") if status.prompts else (Part.SHORT, "")
    yield Fact("questions open", (str(status.prompts),), part, hint=hint)
    attached = str(status.prompt_clients or _tell_nobody(status))
    yield Fact("prompts attached", (attached,), Part.SHORT, is_wrapped=False)


def _tell_nobody(status: Status) -> str:
    """What happens while no prompt is attached. With `--timeout 0` the time of a question is over at once."""
    is_asked = status.asking is Verdict.ASK and not status.is_learning
    return "none" if not is_asked else "none: what no rule covers is denied when its time is over"


def _tell_rules(status: Status, uid: int) -> Iterator[Fact]:
    """The daemon counts only rules that the user may see: for an admin these are all, but it does not say so."""
    shown = " that you may see" if uid else ""
    groups = " and groups" if status.groups else ""
    told = f"{status.rules}{shown} in {status.rules_file}{groups}, {status.temporary_rules} temporary"
    yield Fact("rules", (told,), Part.SHORT, is_wrapped=False)
    of_groups = (f"{group.group} {group.rules if group.is_on else 'off'}" for group in status.groups)
    if status.groups:
        yield Fact("in groups", (", ".join(of_groups),), Part.DETAIL)
    if status.rule_errors:
        broken = find_broken(status)
        hint = f"hint: `tinysnitch rules check {broken.path}` says how to correct it"
        said = (f"{broken.what} has errors, {what_holds(broken.rules)}", *status.rule_errors, hint)
        yield Fact("RULES NOT LOADED", said, Part.BAD, is_wrapped=False)


class BrokenFile(NamedTuple):
    what: str
    path: str
    rules: int  # of it that hold


def find_broken(status: Status) -> BrokenFile:
    """The file of the first error in the rules."""
    first = status.rule_errors[0]
    for group in status.groups:
        if first.startswith(f"{group.path}:"):
            return BrokenFile(f"the group {group.group}", group.path, group.rules)
    of_groups = sum(group.rules for group in status.groups)
    return BrokenFile("the rules file", status.rules_file, status.rules - of_groups)


def _tell_settings(status: Status) -> Iterator[Fact]:
    if status.setting_errors:
        head = f"what these lines of {status.settings_file} say does not count"
        yield Fact("SETTINGS WRONG", (head, *status.setting_errors), Part.BAD, is_wrapped=False)
    if status.settings_later:
        later = f"at the next start these count: {', '.join(status.settings_later)}"
        yield Fact("settings", (later,), Part.LOOK)


def _tell_counts(label: str, counts: dict[str, int]) -> Fact:
    """`NAME COUNT, NAME COUNT`. Names are in the plural, so that any count fits."""
    told = ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing"
    return Fact(label, (told,), Part.DETAIL)


def _tell_losses(losses: dict[str, int]) -> Fact:
    """A line for each counter above zero; --json has those at zero, too."""
    lost = tuple(f"{count} {name}" for name, count in losses.items() if count)
    if lost:
        return Fact("LOST", lost, Part.LOOK, is_wrapped=False)
    return Fact("lost", (f"nothing (all {len(losses)} counters are 0)",), Part.SHORT)
