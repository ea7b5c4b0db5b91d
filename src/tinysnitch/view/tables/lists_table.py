"""The lists: a row of counts each, and below it what is to be said of the list."""

from collections.abc import Iterator, Sequence

from tinysnitch.protocol.messages import ListEntry, ListState
from tinysnitch.view.escape import escape_text
from tinysnitch.view.history.table import Cell, Table, lay_out
from tinysnitch.view.span import Span, Weight, fit_spans, format_duration, span_of

_HEAD = ("list", "names", "addresses", "networks", "bad lines", "rules", "age")


def lay_out_lists(entries: Sequence[ListEntry], now_s: float, width: int) -> Iterator[Cell]:
    table = Table(head=_HEAD, rows=tuple(_row_of(entry, now_s) for entry in entries), left=frozenset({0}))
    head, *rows = lay_out(table, width)
    yield head
    for entry, row in zip(entries, rows, strict=True):
        yield row
        for text, weight in tell_remarks(entry):
            yield fit_spans((Span("  "), Span(escape_text(text), weight=weight)), width)


def _row_of(entry: ListEntry, now_s: float) -> tuple[Cell, ...]:
    counts = (entry.names, entry.addresses, entry.networks, entry.bad_lines, entry.rules)
    return ((span_of(entry.list),), *map(_tell_count, counts), (Span(tell_age(entry, now_s), weight=Weight.QUIET),))


def _tell_count(count: int) -> Cell:
    return (Span(f"{count:,}"),) if count else ()


def tell_age(entry: ListEntry, now_s: float) -> str:
    return "" if entry.updated is None else format_duration(max(0.0, now_s - entry.updated))


def tell_remarks(entry: ListEntry) -> Iterator[tuple[str, Weight]]:
    """What is to be said of a list, and how it is set off. Not escaped."""
    if entry.state is ListState.MISSING:
        yield f"MISSING, rules that name it match nothing: {entry.problem or entry.path}", Weight.BAD
    elif entry.problem:
        yield f"NOT RELOADED, the old content stays in force: {entry.problem}", Weight.BAD
    elif entry.state is ListState.LOADING:
        in_force = ", the old content stays in force" if entry.updated is not None else ""
        yield f"being read{in_force}", Weight.WARNING
    if entry.source is not None:
        yield f"from {entry.source}", Weight.QUIET
    for line in entry.bad_examples:
        yield f"line {line.number} is not understood: {line.text}", Weight.PLAIN
