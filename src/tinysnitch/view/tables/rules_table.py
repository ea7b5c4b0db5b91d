"""The rules as a table: one row each, in the columns of a rule, and a row before those of each group. Where there is
little room a note is a row of its own below its rule."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice

import msgspec

from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import RuleEntry, RuleGroup
from tinysnitch.view.escape import escape_text
from tinysnitch.view.history.table import Cell, Table, lay_out
from tinysnitch.view.span import Span, Weight, fit_spans, span_of
from tinysnitch.view.tables.rule_columns import columns_of, remarks_of, tell_count, tell_last, tell_note

VERDICTS = {Verdict.ALLOW: Weight.GOOD, Verdict.DENY: Weight.BAD, Verdict.ASK: Weight.WARNING}
WIDE = 96  # columns from which on there is room for notes beside the rules
_HEAD = ("", "rule", "remote", "port", "protocol", "program", "used", "last", "")
_LEFT = frozenset({1, 2, 3, 4, 5, 7, 8})


def lay_out_rules(entries: Collection[RuleEntry], groups: Iterable[RuleGroup], now: datetime, width: int) -> list[Cell]:
    """The rows, those of the main file first. `now`: with the time zone to tell times in."""
    by_group: dict[str | None, list[RuleEntry]] = {}
    for entry in entries:
        by_group.setdefault(entry.group, []).append(entry)
    known = {group.group: group for group in groups}
    names = sorted({*filter(None, by_group), *known})
    in_order = [entry for name in (None, *names) for entry in by_group.get(name, ())]
    below = [_note_below(entry, now, width) for entry in in_order]
    shown = [msgspec.structs.replace(each, note="") if width < WIDE else each for each in in_order]
    head, *rows = lay_out(Table(head=_HEAD, rows=tuple(_row_of(entry, now) for entry in shown), left=_LEFT), width)
    blocks = zip(rows, below, strict=True)
    lines = [head, *_take_lines(blocks, len(by_group.get(None, ())))] if in_order else []
    for name in names:
        lines += [*([()] if lines else []), fit_spans(_present_group(name, known.get(name)), width)]
        lines += _take_lines(blocks, len(by_group.get(name, ())))
    return lines


def _take_lines(blocks: Iterator[tuple[Cell, tuple[Cell, ...]]], count: int) -> list[Cell]:
    """The rows of so many rules, each with its note below."""
    return [line for row, below in islice(blocks, count) for line in (row, *below)]


def _note_below(entry: RuleEntry, now: datetime, width: int) -> tuple[Cell, ...]:
    """The row of a note for which there is no room beside the rule."""
    if width >= WIDE or not entry.note:
        return ()
    told = Span(escape_text(tell_note(entry.note, now)), weight=Weight.QUIET)
    return (fit_spans((Span("    "), told), width),)


def _present_group(name: str, group: RuleGroup | None) -> Cell:
    """The heading of a group. Its file is known to who sees all."""
    told = (Span("group "), Span(escape_text(name), weight=Weight.STRONG))
    off = (Span(" is off", weight=Weight.WARNING),) if group and not group.is_on else ()
    return (*told, *off, *((Span(f"  {escape_text(group.path)}", weight=Weight.QUIET),) if group else ()))


def _row_of(entry: RuleEntry, now: datetime) -> tuple[Cell, ...]:
    number = "" if entry.number is None else str(entry.number)
    use = (tell_count(entry), tell_last(entry, now))
    note = (tell_note(entry.note, now),) if entry.note else ()
    try:
        columns = columns_of(entry.rule)
    except RuleSyntaxError:  # of a daemon of another version
        remarks = (*note, *remarks_of(entry, now.timestamp(), ()))
        word, _, rest = entry.rule.partition(" ")
        cells: tuple[Cell, ...] = ((span_of(word),), (span_of(rest),), (), (), ())
    else:
        remarks = (*note, *remarks_of(entry, now.timestamp(), columns.qualifiers))
        verdict = (Span(columns.verdict.value, weight=VERDICTS[columns.verdict]),)
        cells = (verdict, columns.remote, (span_of(columns.port),), (span_of(columns.protocol),), columns.program)
    row = ((Span(number),), *cells, *((Span(text),) for text in use), (span_of(", ".join(remarks)),))
    is_over = entry.until is not None and entry.until <= now.timestamp()
    quiet = range(len(row)) if is_over else (0, 7, 8)
    return tuple(_quieten(cell) if at in quiet else cell for at, cell in enumerate(row))


def _quieten(cell: Cell) -> Cell:
    return tuple(msgspec.structs.replace(span, weight=Weight.QUIET) for span in cell)
