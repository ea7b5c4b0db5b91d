"""`tinysnitch log`: the decisions of the past, and with --follow new ones as they are made."""

from collections.abc import Callable
from datetime import datetime

import click

from tinysnitch.cli.options import Number, examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.engine.records import MAX_LINES
from tinysnitch.core.model.errors import Malformed
from tinysnitch.output.lines import find_output, print_line, print_object
from tinysnitch.output.tables import find_width, is_terminal, print_cells
from tinysnitch.protocol.log_lines import parse_log_line
from tinysnitch.protocol.log_text import format_text
from tinysnitch.view.tables.log_table import LogTable

USUAL_LINES = 1000


@click.command(
    "log",
    epilog=examples(
        "tinysnitch log",
        "tinysnitch log --lines 20 --follow",
        f"tinysnitch log --lines {MAX_LINES} | grep /usr/bin/curl",
        "tinysnitch log --json | jq .program",
    ),
)
@click.option("--follow", is_flag=True, help="Then print new lines as they come, until Ctrl-C.")
@click.option(
    "--lines",
    type=Number(MAX_LINES),
    default=None,
    help=f"How many of the newest lines; at most {MAX_LINES} are kept.  [default: {USUAL_LINES}]",
)
@socket_option
@json_option
def log_command(follow: bool, lines: int | None, socket_path: str, as_json: bool) -> None:
    """Print the newest decisions, questions and answers, oldest first."""
    count = 0
    tell = print_object if as_json else _make_teller()
    with ControlClient(socket_path) as client:
        for line in client.read_log(USUAL_LINES if lines is None else lines, follow, find_output()):
            count += 1
            tell(line)
    if lines is None and count >= USUAL_LINES:  # a reader who searches them must know that there may be more
        print_note(f"these are the newest {USUAL_LINES} lines; `tinysnitch log --lines {MAX_LINES}` prints all")
    elif not count and lines != 0 and not as_json:
        print_note("the log is empty" if client.sees_all else "the log has nothing that you may see")


def _make_teller() -> Callable[[bytes], None]:
    """What prints a line for people."""
    if not is_terminal():
        return lambda line: print_line(_present(line))
    table = LogTable(datetime.now().astimezone())
    return lambda line: print_cells(table.rows(line, find_width() or 0))


def _present(line: bytes) -> str:
    try:
        return format_text(parse_log_line(line))
    except Malformed:  # the history has lines of other versions: these are printed as they are, which is ASCII
        return line.decode("ascii", "backslashreplace")
