"""What is shown of the rules: a row each, in the columns of a rule, and of the selected one the whole line."""

from datetime import datetime
from functools import lru_cache

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.qualifiers import format_qualifiers
from tinysnitch.core.rules.rule import RemoteKind
from tinysnitch.core.rules.secret_args import without_secrets
from tinysnitch.core.rules.text import format_rule, parse_rule
from tinysnitch.core.rules.words import split_words
from tinysnitch.protocol.messages import RuleEntry, RuleSource
from tinysnitch.view.history.history_view import tell_moment
from tinysnitch.view.pages.list_frame import ListFrame, present_frame
from tinysnitch.view.pages.list_page import key_of_row
from tinysnitch.view.pages.rules_page import NEVER, RulesPage
from tinysnitch.view.span import Line, Span, Weight, format_duration, present_line, span_of, spans_of_name
from tinysnitch.view.text import escape_text, shorten_end

MOST_ARGS = 40  # columns of a program's arguments


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
    columns = _columns_of(entry.rule)
    return RuleRow(
        key=key_of_row(key),
        verdict=columns.verdict,
        remote=columns.remote,
        port=columns.port,
        protocol=columns.protocol,
        program=columns.program,
        used="" if entry.count is None else f"{entry.count:,}" if entry.count else "-",
        last=_tell_last(entry, moment),
        remarks=escape_text(", ".join(_remarks_of(entry, wall_s, columns.qualifiers))),
        is_over=entry.until is not None and entry.until <= wall_s,
    )


class _Columns(msgspec.Struct, frozen=True):
    verdict: Verdict
    remote: tuple[Span, ...]
    port: str
    protocol: str
    program: tuple[Span, ...]
    qualifiers: tuple[str, ...]


@lru_cache(maxsize=4096)  # the page is drawn anew for each key
def _columns_of(line: str) -> _Columns:
    rule = without_secrets(parse_rule(line))
    words = [word.text for word in split_words(format_rule(msgspec.structs.replace(rule, **_NO_QUALIFIERS)))]
    _verdict, remote, port, protocol, *program = words
    is_name = rule.remote.kind in (RemoteKind.NAME, RemoteKind.DOMAIN)
    return _Columns(
        rule.verdict,
        spans_of_name(remote) if is_name else (span_of(remote),),
        port,
        protocol,
        _present_program(program),
        tuple(format_qualifiers(msgspec.structs.replace(rule, until_s=None))),
    )


_NO_QUALIFIERS = {"user": None, "parent": None, "sha256": None, "iface": None, "until_s": None}


def _present_program(words: list[str]) -> tuple[Span, ...]:
    """The path, of which the file's name is strong; with arguments only that name, and so much of them as tells
    something."""
    path, *args = words or ["-"]
    folder, slash, name = path.rpartition("/")
    if not slash or not name:
        return (span_of(path),)
    strong = Span(escape_text(name), weight=Weight.STRONG)
    if args:
        return strong, Span(f" {shorten_end(escape_text(' '.join(args)), MOST_ARGS)}")
    return Span(escape_text(f"{folder}{slash}"), weight=Weight.QUIET), strong


def _remarks_of(entry: RuleEntry, wall_s: float, qualifiers: tuple[str, ...]) -> list[str]:
    """In short, for a column."""
    remarks = [*filter(None, [entry.group]), *qualifiers]
    if entry.until is not None:
        left = " ".join(format_duration(max(0.0, entry.until - wall_s)).split()[:2])  # the largest unit of time
        remarks.append(f"{left} left" if entry.until > wall_s else "its time is over")
    elif entry.source is RuleSource.TEMPORARY:
        remarks.append("temporary")
    if entry.source is RuleSource.QUIT:
        remarks.append("its process" if entry.pid is None else f"pid {entry.pid}")
    return remarks


def _tell_last(entry: RuleEntry, moment: datetime) -> str:
    if entry.last is not None:
        return tell_moment(entry.last, moment)
    return "" if entry.count is None else NEVER


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
