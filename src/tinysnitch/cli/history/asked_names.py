"""`tinysnitch names`: which programs ask for names; of one program, the names in their order."""

from datetime import datetime

import click
import msgspec

from tinysnitch.cli.completion.from_daemon import complete_used_program
from tinysnitch.cli.completion.rule_columns import complete_user
from tinysnitch.cli.history.options import Since, User, lines_wanted, tell_since
from tinysnitch.cli.options import Number, examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.traffic.asked_names import AskedName, AskingProgram, NamesQuestion, NamesTotal
from tinysnitch.core.traffic.queries import MAX_LINES
from tinysnitch.output.lines import print_object
from tinysnitch.output.tables import find_width, is_terminal, print_cells, print_csv, print_heading, print_table
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.protocol.messages import NamesAsked, NamesProgram, NamesSum, ReadNames
from tinysnitch.view.history.names_view import present_loads, present_names_total, present_programs

_TIMES = {"first_s": "first", "last_s": "last", "at_s": "time"}


@click.command(
    "names",
    epilog=examples("tinysnitch names", "tinysnitch names firefox --since 10m", "tinysnitch names --since 7d"),
)
@click.argument("program", required=False, shell_complete=complete_used_program)
@click.option("--user", "uid", type=User(), shell_complete=complete_user, help="Only programs of this user.")
@click.option("--since", type=Since(), default="today", show_default=True, help="30m, 12h, 7d, today, 2026-12-02.")
@click.option("--lines", type=Number(MAX_LINES), help="How many lines at most; of one program, of the newest ones.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table of comma-separated values.")
@socket_option
@json_option
def names_command(
    *,
    program: str | None,
    uid: int | None,
    since: float,
    lines: int | None,
    as_csv: bool,
    as_json: bool,
    socket_path: str,
) -> None:
    """Show which programs ask for names, and how many.

    Of one PROGRAM, a path or the last part of one: the names in the order in which it asked for them, by page load.
    That is what it asks for without a pause of some seconds. Without PROGRAM whole days are counted.
    """
    is_screen = is_terminal() and not (as_json or as_csv)
    limit = lines_wanted(lines, is_screen=is_screen and program is None)
    with ControlClient(socket_path) as client:
        replies = list(client.request(ReadNames(NamesQuestion(program=program, uid=uid, since_s=since, limit=limit))))
    programs = [reply.program for reply in replies if isinstance(reply, NamesProgram)]
    asked = [reply.asked for reply in replies if isinstance(reply, NamesAsked)]
    total = next((reply.total for reply in replies if isinstance(reply, NamesSum)), NamesTotal())
    fields = [*map(_fields_of, programs), *map(_fields_of, asked)]
    if as_json:
        for each in fields:
            print_object(encode_object(each))
    elif as_csv:
        print_csv(fields)
    elif programs or asked:
        _show(programs, asked, total, since, is_screen=is_screen)
    else:
        print_note("nothing asked for names, as far as you may see")


def _show(
    programs: list[AskingProgram], asked: list[AskedName], total: NamesTotal, since: float, *, is_screen: bool
) -> None:
    now = datetime.now().astimezone()
    if is_screen:
        print_heading(present_names_total(total, tell_since(since, now)))
    if asked:
        print_cells(present_loads(asked, now, find_width()))
    else:
        print_table(present_programs(programs, now))
    if programs and total.programs > len(programs):
        print_note(f"{total.programs - len(programs):,} more programs; --lines {total.programs} shows them")


def _fields_of(entry: AskingProgram | AskedName) -> dict[str, object]:
    fields = msgspec.structs.asdict(entry)
    return {_TIMES.get(key, key): format_time(value) if key in _TIMES else value for key, value in fields.items()}
