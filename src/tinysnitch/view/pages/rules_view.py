"""What is shown of the rules: a row each, in the columns of a rule, and of the selected one the whole line."""

from datetime import datetime

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.protocol.messages import RuleEntry, RuleSource
from tinysnitch.view.escape import escape_text
from tinysnitch.view.history.history_view import tell_moment
from tinysnitch.view.pages.list_frame import ListFrame, present_frame
from tinysnitch.view.pages.list_page import key_of_row
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.span import Line, Span, format_duration, present_line, span_of
from tinysnitch.view.tables.rule_columns import NEVER, columns_of, remarks_of, tell_count, tell_last


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    key: str  # the name of the key that a click on it presses
    verdict: Verdict
    remote: tuple[Span, ...]
    port: str
    protocol: str
    program: tuple[Span, ...]  # with its arguments
    used: str  # how often it decided; "": not known
    last: str  # when last
    remarks: str  # its qualifiers, its group, and how long it holds
    is_over: bool  # its time has ended


class RulesView(msgspec.Struct, frozen=True):
    frame: ListFrame
    rows: tuple[RuleRow, ...]


def present_rules(page: RulesPage, now: float, moment: datetime) -> RulesView:
    """`moment`: now, with the time zone to tell times in."""
    wall_s = now + page.wall_ahead_s
    shown = page.shown
    frame = present_frame(
        page,
        now,
        title=_present_title(page, len(shown)),
        warnings=tuple(escape_text(error) for error in page.file_errors[:1]),
        facts=_present_facts(page, wall_s, moment),
    )
    return RulesView(frame, tuple(_present_row(key, entry, wall_s, moment) for key, entry in shown.items()))


def _present_title(page: RulesPage, shown: int) -> str:
    if not page.is_read:
        return "reading the rules"
    count = len(page.entries)
    title = f"{shown} of {count} rules" if shown < count else f"{count} {'rule' if count == 1 else 'rules'}"
    off = [group.group for group in page.groups if not group.is_on]
    return escape_text(f"{title}; off: {', '.join(off)}" if off else title)


def _present_row(key: str, entry: RuleEntry, wall_s: float, moment: datetime) -> RuleRow:
    columns = columns_of(entry.rule)
    return RuleRow(
        key=key_of_row(key),
        verdict=columns.verdict,
        remote=columns.remote,
        port=columns.port,
        protocol=columns.protocol,
        program=columns.program,
        used=tell_count(entry),
        last=tell_last(entry, moment),
        remarks=escape_text(", ".join([*filter(None, [entry.group]), *remarks_of(entry, wall_s, columns.qualifiers)])),
        is_over=entry.until is not None and entry.until <= wall_s,
    )


def _present_facts(page: RulesPage, wall_s: float, moment: datetime) -> tuple[Line, ...]:
    entry = page.entry
    if entry is None:
        return ()
    facts = [Line("rule", present_line(parse_rule(entry.rule)))]
    facts += [Line("used", (Span(_tell_use(entry, moment)),))] if entry.count is not None else []
    facts += [Line("holds", (span_of(holds),))] if (holds := _tell_holds(entry, wall_s)) else []
    facts += [Line("group", (span_of(entry.group),))] if entry.group else []
    facts += [Line("note", (span_of(entry.note),))] if entry.note else []
    return tuple(facts)


def _tell_holds(entry: RuleEntry, wall_s: float) -> str:
    if entry.source is RuleSource.QUIT:
        return f"until {'its process' if entry.pid is None else f'process {entry.pid}'} ends"
    if entry.until is None:
        return ""
    left_s = entry.until - wall_s
    return f"for {format_duration(left_s)} more" if left_s > 0 else "no more: its time is over"


def _tell_use(entry: RuleEntry, moment: datetime) -> str:
    """`412 times, last on 2 Dec at 20:12`."""
    if not entry.count or entry.last is None:
        return NEVER
    last = datetime.fromtimestamp(entry.last, moment.tzinfo)
    day = "" if last.date() == moment.date() else f"on {tell_moment(entry.last, moment)} "
    times = "once" if entry.count == 1 else f"{entry.count:,} times, last"
    return f"{times} {day}at {last:%H:%M}"
