"""`tinysnitch lists`: what the daemon has loaded of each list. `lists update` fetches those that name their source."""

import time
from collections.abc import Iterator

import click

from tinysnitch.cli.command_group import CommandGroup
from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.rules.remote_column import LISTS_FOLDER
from tinysnitch.output.lines import print_entry, print_lines
from tinysnitch.output.tables import find_width, print_cells
from tinysnitch.protocol.messages import ListEntry, ListLists
from tinysnitch.view.tables.lists_table import lay_out_lists, tell_age, tell_remarks

_COLUMNS = ("names", "addresses", "networks", "bad lines", "rules")


@click.group(
    "lists",
    cls=CommandGroup,
    commands_in={"update": "tinysnitch.cli.lists_update:update_command"},
    no_args_is_help=False,
    invoke_without_command=True,
    epilog=examples("tinysnitch lists", "tinysnitch lists --json", "tinysnitch lists update ads"),
)
@socket_option
@json_option
@click.pass_context
def lists_group(ctx: click.Context, socket_path: str, as_json: bool) -> None:
    """Show the lists that rules can name as @NAME, and their contents."""
    if ctx.invoked_subcommand is not None:
        ctx.default_map = {"update": {"socket_path": socket_path, "as_json": as_json}}
        return
    with ControlClient(socket_path) as client:
        entries = client.ask(ListLists(), ListEntry)
    if as_json:
        for entry in entries:
            print_entry(entry, "updated")
    elif entries and (columns := find_width()):
        print_cells(lay_out_lists(entries, time.time(), columns))
    elif entries:
        print_lines(present_lists(entries, time.time()))
    elif client.sees_all:
        print_note(f"there is no list: make one as a file in {LISTS_FOLDER}, or in the folder of `tinysnitchd --lists`")
    else:
        print_note("lists are shown only to those who may see everything: run this as root")


def present_lists(entries: list[ListEntry], now_s: float) -> Iterator[str]:
    """A table of counts; below each list its problem, source and bad lines, if any."""
    width = max(len("list"), *(len(entry.list) for entry in entries))
    yield f"{'list':<{width}}" + "".join(f"  {column:>9}" for column in _COLUMNS) + "  age"
    for entry in entries:
        counts = (entry.names, entry.addresses, entry.networks, entry.bad_lines, entry.rules)
        row = f"{entry.list:<{width}}" + "".join(f"  {count:>9,}" for count in counts)
        yield f"{row}  {tell_age(entry, now_s)}".rstrip()
        yield from (f"  {remark}" for remark, _weight in tell_remarks(entry))
