"""The table of a history: what `tinysnitch history` prints, and the history's page shows."""

from collections.abc import Callable, Sequence
from datetime import datetime

from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.core.traffic.queries import By, TrafficLine, TrafficTotal
from tinysnitch.view.escape import escape_text
from tinysnitch.view.history.table import Cell, Table, format_bytes
from tinysnitch.view.span import Span, Weight, span_of, spans_of_name

NOT_NAMED = "(not named)"
_NO_RULE = "(no rule)"
_NOBODY = "-1"  # in place of a uid
_PLURALS = {
    By.PROGRAM: "programs",
    By.NAME: "names",
    By.DOMAIN: "domains",
    By.PORT: "ports",
    By.USER: "users",
    By.DAY: "days",
    By.RULE: "rules",
}
FindUser = Callable[[int], str | None]


def present_history(lines: Sequence[TrafficLine], by: By, now: datetime, find_user: FindUser) -> Table:
    """The amounts of each line. `now`: with the time zone to tell times in."""
    most = max((line.connections for line in lines), default=0)
    return Table(
        head=(by.value, "connections", "denied", "inbound", "in", "out", "last"),
        rows=tuple(
            (
                _tell_what(line.what, by, find_user),
                (Span(f"{line.connections:,}"),),
                _tell_count(line.denied),
                _tell_count(line.inbound),
                _tell_bytes(line.received),
                _tell_bytes(line.sent),
                (Span(tell_moment(line.last_s, now), weight=Weight.QUIET),),
            )
            for line in lines
        ),
        left=frozenset({0}),
        bars=tuple(max(0, line.connections) / max(most, 1) for line in lines),
        bar_behind=1,
    )


def present_new(lines: Sequence[TrafficLine], now: datetime) -> Table:
    """Which program spoke with which domain for the first time."""
    return Table(
        head=("first", "program", "domain", "connections", "denied"),
        rows=tuple(
            (
                (Span(tell_moment(line.first_s, now), weight=Weight.QUIET),),
                (span_of(line.program or ""),),
                _tell_remote(line.what),
                (Span(f"{line.connections:,}"),),
                _tell_count(line.denied),
            )
            for line in lines
        ),
        left=frozenset({1, 2}),
    )


def present_total(total: TrafficTotal, by: By, since: str, *, is_new: bool) -> str:
    """`since 20:40: 14 programs, 1,204 connections, 31 denied, 48 MB in, 3.1 MB out`."""
    if is_new:
        return f"since {since}, for the first time: {_count(total.lines, 'pairs of program and domain')}"
    parts = [_count(total.lines, _PLURALS[by]), _count(total.connections, "connections")]
    parts += [f"{total.denied:,} denied"] if total.denied else []
    parts += [f"{format_bytes(total.received)} in, {format_bytes(total.sent)} out"]
    return f"since {since}: {', '.join(parts)}"


def tell_moment(wall_s: float, now: datetime) -> str:
    """`13:04` of today, `2 Dec` of this year, else `2025-12-02`."""
    moment = datetime.fromtimestamp(wall_s, now.tzinfo)
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    return tell_day(moment, now)


def tell_day(moment: datetime, now: datetime) -> str:
    """`2 Dec` of this year, else `2025-12-02`."""
    return f"{moment.day} {moment:%b}" if moment.year == now.year else f"{moment:%Y-%m-%d}"


def _count(count: int, plural: str) -> str:
    return f"{count:,} {plural if count != 1 else plural.replace('s ', ' ', 1).removesuffix('s')}"


def _tell_what(what: str, by: By, find_user: FindUser) -> Cell:
    match by:
        case By.DOMAIN if what:  # known to be one, without the list of public suffixes, which takes 60 ms to read
            return (Span(escape_text(what), weight=Weight.STRONG),)
        case By.NAME | By.DOMAIN:
            return _tell_remote(what)
        case By.RULE:
            return (span_of(shorten_rule(what)) if what else Span(_NO_RULE, weight=Weight.QUIET),)
        case By.USER:
            return (span_of("-" if what == _NOBODY else find_user(int(what)) or what),)
        case _:
            return (span_of(what),)


def _tell_remote(what: str) -> Cell:
    return spans_of_name(what) if what else (Span(NOT_NAMED, weight=Weight.QUIET),)


def _tell_count(count: int) -> Cell:
    return (Span(f"{count:,}"),) if count else ()


def _tell_bytes(count: int) -> Cell:
    return (Span(format_bytes(count)),) if count else ()
