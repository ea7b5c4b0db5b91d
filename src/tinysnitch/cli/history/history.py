"""`tinysnitch history`: who talked with whom, how often and how much."""

from datetime import datetime

import click
import msgspec

from tinysnitch.cli.completion.from_daemon import complete_used_program
from tinysnitch.cli.completion.rule_columns import complete_user
from tinysnitch.cli.explain import Port
from tinysnitch.cli.history.options import Since, User, lines_wanted, tell_since
from tinysnitch.cli.options import Number, examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.client.user_names import find_user
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.errors import NotUnderstood
from tinysnitch.core.traffic.queries import MAX_LINES, By, TrafficLine, TrafficQuestion, TrafficTotal
from tinysnitch.output.lines import print_object
from tinysnitch.output.tables import is_terminal, print_csv, print_heading, print_table
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.protocol.messages import HistoryEntry, HistoryTotal, ReadHistory
from tinysnitch.view.history.history_view import present_history, present_new, present_total

SINCE = "1d"


@click.command(
    "history",
    epilog=examples(
        "tinysnitch history",
        "tinysnitch history firefox --since 7d",
        "tinysnitch history --by domain --since 30d",
        "tinysnitch history --to github.com --by program",
        "tinysnitch history --new",
    ),
)
@click.argument("program", required=False, shell_complete=complete_used_program)
@click.option("--to", metavar="NAME|NETWORK", help="Only to this name and all below it, or this network.")
@click.option("--port", type=Port(), help="Only this port: of the remote, or of ours if it came in.")
@click.option("--user", "uid", type=User(), shell_complete=complete_user, help="Only programs of this user.")
@click.option("--since", type=Since(), default=SINCE, show_default=True, help="30m, 12h, 7d, 4w, today, 2026-12-02.")
@click.option("--denied", "is_denied", is_flag=True, help="Only what was denied.")
@click.option("--new", "is_new", is_flag=True, help="Which program spoke with which domain for the first time.")
@click.option(
    "--by",
    type=click.Choice([by.value for by in By]),
    help="What a line stands for.  [default: program; of one program domain]",
)
@click.option("--lines", type=Number(MAX_LINES), help="How many lines at most.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table of comma-separated values.")
@socket_option
@json_option
def history_command(
    *, by: str | None, lines: int | None, as_csv: bool, as_json: bool, socket_path: str, since: float, **asked: object
) -> None:
    """Show who talked with whom: connections, and bytes in and out.

    PROGRAM is a path, or the last part of one. Farther back than two days, whole days are counted.
    """
    if by and asked["is_new"]:
        raise NotUnderstood("--new has lines of its own: a program and a domain", "leave out --by")
    is_screen = is_terminal() and not (as_json or as_csv)
    question = TrafficQuestion(
        by=By(by) if by else By.DOMAIN if asked["program"] else By.PROGRAM,
        since_s=since,
        limit=lines_wanted(lines, is_screen=is_screen),
        **asked,  # type: ignore[arg-type]
    )
    with ControlClient(socket_path) as client:
        replies = list(client.request(ReadHistory(question)))
    found = [reply.line for reply in replies if isinstance(reply, HistoryEntry)]
    total = next((reply.total for reply in replies if isinstance(reply, HistoryTotal)), TrafficTotal())
    if as_json:
        for line in found:
            print_object(encode_object(_fields_of(line, question)))
    elif as_csv:
        print_csv([_fields_of(line, question) for line in found])
    else:
        _show(question, found, total, is_screen=is_screen)


def _show(question: TrafficQuestion, lines: list[TrafficLine], total: TrafficTotal, *, is_screen: bool) -> None:
    now = datetime.now().astimezone()
    if not lines:
        print_note("there is nothing of that kind in the history")
        return
    if is_screen:
        since = tell_since(question.since_s, now)
        print_heading(present_total(total, question.by, since, is_new=question.is_new))
    is_new = question.is_new
    print_table(present_new(lines, now) if is_new else present_history(lines, question.by, now, find_user))
    if total.lines > len(lines):
        print_note(f"{total.lines - len(lines):,} more lines; --lines {min(total.lines, MAX_LINES)} shows them")


def _fields_of(line: TrafficLine, question: TrafficQuestion) -> dict[str, object]:
    """What --json tells; the line's `what` by the name of what it is."""
    fields = msgspec.structs.asdict(line)
    what, program = fields.pop("what"), fields.pop("program")
    key = {"program": program, "domain": what} if question.is_new else {question.by.value: what}
    first_s, last_s = fields.pop("first_s"), fields.pop("last_s")
    return {**key, "first": format_time(first_s), "last": format_time(last_s), **fields}
