"""A rule in columns: what the page of the rules and `tinysnitch rules` on a terminal show of it. Escaped."""

import re
from contextlib import suppress
from datetime import datetime
from functools import lru_cache

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.qualifiers import format_qualifiers
from tinysnitch.core.rules.quoting import split_words
from tinysnitch.core.rules.rule import RemoteKind
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.core.rules.secret_args import without_secrets
from tinysnitch.protocol.messages import RuleEntry, RuleSource
from tinysnitch.view.escape import escape_text, shorten_end
from tinysnitch.view.history.history_view import tell_day, tell_moment
from tinysnitch.view.span import Span, Weight, format_duration, span_of, spans_of_name

MOST_ARGS = 40  # columns of a program's arguments
_BY = re.compile(r"by (\S+) (\d{4}-\d\d-\d\d) ?(.*)")  # how a note begins that tinysnitch wrote
NEVER = "never"  # when a rule decided that did not yet


class RuleColumns(msgspec.Struct, frozen=True):
    verdict: Verdict
    remote: tuple[Span, ...]
    port: str
    protocol: str
    program: tuple[Span, ...]
    qualifiers: tuple[str, ...]  # not escaped


@lru_cache(maxsize=4096)  # the page is drawn anew for each key
def columns_of(line: str) -> RuleColumns:
    rule = without_secrets(parse_rule(line))
    words = [word.text for word in split_words(format_rule(msgspec.structs.replace(rule, **_NO_QUALIFIERS)))]
    _verdict, remote, port, protocol, *program = words
    is_name = rule.remote.kind in (RemoteKind.NAME, RemoteKind.DOMAIN)
    return RuleColumns(
        rule.verdict,
        spans_of_name(remote) if is_name else (span_of(remote),),
        port,
        protocol,
        _present_program(program),
        tuple(format_qualifiers(msgspec.structs.replace(rule, until_s=None))),
    )


_NO_QUALIFIERS = {"user": None, "parent": None, "sha256": None, "iface": None, "until_s": None}


def _present_program(words: list[str]) -> tuple[Span, ...]:
    """The path; with arguments only the file's name, and so much of them as tells something."""
    path, *args = words or ["-"]
    spans = spans_of_path(path)
    if args and len(spans) > 1:
        return spans[-1], Span(" "), Span(shorten_end(escape_text(" ".join(args)), MOST_ARGS))
    return spans


def spans_of_path(path: str) -> tuple[Span, ...]:
    """The folder, and the file's name, which is strong; a word that is no path as it is."""
    folder, slash, name = path.rpartition("/")
    if not slash or not name:
        return (span_of(path),)
    return Span(escape_text(f"{folder}{slash}"), weight=Weight.QUIET), Span(escape_text(name), weight=Weight.STRONG)


def remarks_of(entry: RuleEntry, wall_s: float, qualifiers: tuple[str, ...]) -> list[str]:
    """In short, for a column. Not escaped."""
    remarks = [*qualifiers]
    if entry.until is not None:
        left = " ".join(format_duration(max(0.0, entry.until - wall_s)).split()[:2])  # the largest unit of time
        remarks.append(f"{left} left" if entry.until > wall_s else "its time is over")
    elif entry.source is RuleSource.TEMPORARY:
        remarks.append("temporary")
    if entry.source is RuleSource.QUIT:
        remarks.append("its process" if entry.pid is None else f"pid {entry.pid}")
    return remarks


def tell_count(entry: RuleEntry) -> str:
    """How often it decided; "" if that is not known."""
    if entry.count is None:
        return ""
    return f"{entry.count:,}" if entry.count else "-"


def tell_last(entry: RuleEntry, moment: datetime) -> str:
    if entry.last is not None:
        return tell_moment(entry.last, moment)
    return "" if entry.count is None else NEVER


def tell_note(note: str, now: datetime) -> str:
    """Who made the rule, when and what for, in short: `alice 1 Dec: no ads`. Not escaped."""
    if made := _BY.fullmatch(note):
        who, day, why = made.groups()
        with suppress(ValueError):
            day = tell_day(datetime.fromisoformat(day), now)
        return f"{who} {day}: {why}" if why else f"{who} {day}"
    return note
