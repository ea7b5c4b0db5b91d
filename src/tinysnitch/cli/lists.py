"""`tinysnitch lists`: what the daemon has loaded of each list. `lists update` fetches those that name their source."""

import time
from collections.abc import Iterator

import click

from tinysnitch.cli.command_group import CommandGroup
from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.rules.remote_text import LISTS_FOLDER
from tinysnitch.output.lines import print_entry, print_lines
from tinysnitch.protocol.messages import ListEntry, ListLists, ListState
from tinysnitch.view.span import format_duration

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
        age = "" if entry.updated is None else format_duration(max(0.0, now_s - entry.updated))
        yield (f"{entry.list:<{width}}" + "".join(f"  {count:>9,}" for count in counts) + f"  {age}").rstrip()
        for remark in _present_remarks(entry):
            yield f"  {remark}"


def _present_remarks(entry: ListEntry) -> Iterator[str]:
    if entry.state is ListState.MISSING:
        yield f"MISSING, rules that name it match nothing: {entry.problem or entry.path}"
    elif entry.problem:
        yield f"NOT RELOADED, the old content stays in force: {entry.problem}"
    elif entry.state is ListState.LOADING:
        yield "being read" + (", the old content stays in force" if entry.updated is not None else "")
    if entry.source is not None:
        yield f"from {entry.source}"
    for line in entry.bad_examples:
        yield f"line {line.number} is not understood: {line.text}"
