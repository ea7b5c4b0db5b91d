"""The open questions as a table: a row each."""

from collections.abc import Sequence

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import program_of
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.core.rules.secret_args import shorten_secrets
from tinysnitch.protocol.log_lines import ask_line_of
from tinysnitch.protocol.log_text import WITH_PORTS
from tinysnitch.view.escape import escape_text, shorten_end
from tinysnitch.view.history.table import Cell, Table
from tinysnitch.view.span import Span, Weight, format_time_left, span_of, spans_of_name
from tinysnitch.view.tables.rule_columns import spans_of_path

MOST_ARGS = 60  # columns of a program's arguments


def present_asks(prompts: Sequence[Prompt]) -> Table:
    return Table(
        head=("", "program", "", "remote", "port", "waiting", "left"),
        rows=tuple(map(_row_of, prompts)),
        left=frozenset({1, 2, 3, 4}),
    )


def tell_asks(count: int) -> str:
    """What stands above the table."""
    told = "1 question is open" if count == 1 else f"{count:,} questions are open"
    return f"{told}; `tinysnitch answer ID yes` (or `no`) answers one"


def _row_of(prompt: Prompt) -> tuple[Cell, ...]:
    ask = ask_line_of(prompt)
    is_inbound = ask.direction is Direction.INBOUND
    port = f"{ask.local_port if is_inbound else ask.remote_port} " if ask.protocol in WITH_PORTS else ""
    left = format_time_left(round(ask.remaining_s)) if isinstance(ask.remaining_s, float) else ""
    return (
        (Span(str(ask.id), weight=Weight.STRONG),),
        _present_program(prompt),
        (Span("←" if is_inbound else "→"),),
        spans_of_name(ask.name or ask.remote_address),
        (span_of(f"{port}{ask.protocol}"),),
        (Span(f"{ask.count:,}"),) if ask.count > 1 else (),
        (Span(left),),
    )


def _present_program(prompt: Prompt) -> Cell:
    """The program and its arguments, and what should not be overlooked of it: that its file is not the host's."""
    attribution = prompt.connection.attribution
    process = attribution.process
    spans = [*spans_of_path(program_of(attribution))]
    if process and not process.is_host_file:
        of = f", of {escape_text(process.owners[0])}" if process.owners else ""
        spans.append(Span(f" (another file{of})", weight=Weight.WARNING))
    args = " ".join(map(quote_word, shorten_secrets(process.args if process else ())))
    if args:
        spans.append(Span(f" {shorten_end(escape_text(args), MOST_ARGS)}"))
    return tuple(spans)
