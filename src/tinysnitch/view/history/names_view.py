"""What `tinysnitch names` prints: the programs that ask for names, or the page loads of one."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from tinysnitch.core.traffic.asked_names import AskedName, AskingProgram, NamesTotal
from tinysnitch.view.history.history_view import NOT_NAMED, tell_moment
from tinysnitch.view.history.table import Cell, Table, lay_out
from tinysnitch.view.span import Span, Weight, span_of, spans_of_name


def present_programs(programs: Sequence[AskingProgram], now: datetime) -> Table:
    most = max((program.questions for program in programs), default=0)
    return Table(
        head=("program", "questions", "names", "domains", "used", "denied", "last"),
        rows=tuple(
            (
                (span_of(program.program),),
                (Span(f"{program.questions:,}"),),
                (Span(f"{program.names:,}"),),
                (Span(f"{program.domains:,}", weight=Weight.STRONG),),
                (Span(f"{program.used:,}"),),
                (Span(f"{program.denied:,}"),) if program.denied else (),
                (Span(tell_moment(program.last_s, now), weight=Weight.QUIET),),
            )
            for program in programs
        ),
        left=frozenset({0}),
        bars=tuple(program.questions / max(most, 1) for program in programs),
        bar_behind=1,
    )


def present_loads(asked: Sequence[AskedName], now: datetime, width: int | None) -> Iterator[Cell]:
    """The titles, then a line for each page load, and below it the names in the order in which they were asked for."""
    rows = tuple(_present_name(each, first) for _load, names in _loads(asked) for first in names[:1] for each in names)
    table = Table(head=("after", "name", "asked", "then"), rows=rows, left=frozenset({1, 3}))
    titles, *laid_out = lay_out(table, width)
    yield titles
    lines = iter(laid_out)
    for number, (_load, names) in enumerate(_loads(asked)):
        if number:
            yield ()
        yield (Span(_tell_load(names, now), weight=Weight.STRONG),)
        for _name in names:
            yield next(lines)


def present_names_total(total: NamesTotal, since: str) -> str:
    return f"since {since}: {tell_names_total(total)}"


def tell_names_total(total: NamesTotal) -> str:
    counts = (total.questions, "question"), (total.names, "name"), (total.domains, "domain")
    told = ", ".join(_count(count, word) for count, word in counts)
    return told if total.programs == 1 else f"{_count(total.programs, 'program')} asked for names: {told}"


def _loads(asked: Sequence[AskedName]) -> list[tuple[int, list[AskedName]]]:
    return [(load, list(names)) for load, names in groupby(asked, key=lambda each: each.load)]


def _tell_load(names: list[AskedName], now: datetime) -> str:
    moment = datetime.fromtimestamp(names[0].at_s, now.tzinfo)
    day = "" if moment.date() == now.date() else f"{tell_moment(names[0].at_s, now)} "
    domains = len({each.domain for each in names})
    return f"{day}{moment:%H:%M:%S}  {_count(len(names), 'name')} of {_count(domains, 'domain')}"


def _present_name(asked: AskedName, first: AskedName) -> tuple[Cell, ...]:
    return (
        (Span(f"{asked.at_s - first.at_s:.1f} s", weight=Weight.QUIET),),
        spans_of_name(asked.name) if asked.name else (Span(NOT_NAMED, weight=Weight.QUIET),),
        (Span(f"{asked.questions:,} times"),) if asked.questions > 1 else (),
        tell_use(asked),
    )


def tell_use(asked: AskedName) -> Cell:
    """What became of the name."""
    used, denied = (Span("used"),) * asked.is_used, (Span("denied", weight=Weight.STRONG),) * asked.is_denied
    return (*used, *((Span(", "),) if used and denied else ()), *denied)


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
