"""`tinysnitch learned`: goes through what passed without a rule, as the fewest lines that say it."""

from datetime import datetime

import click
import msgspec

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.cli.tidy.key_press import choose, find_width, is_on_terminal, show
from tinysnitch.cli.tidy.shown import LearnedItem, present_learned, present_learned_line
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note, print_snitch_error
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.output.lines import print_lines, print_object
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.messages import LearnedEntry, ListLearned, RuleWritten, TakeLearned


@click.command(
    "learned",
    epilog=examples(
        "tinysnitch learned",
        "tinysnitch learned --json | jq -r .added",
        "tinysnitch learned --yes",
    ),
)
@click.option("--yes", "is_yes", is_flag=True, help="Take all lines as they are proposed, unasked.")
@socket_option
@json_option
def learned_command(is_yes: bool, socket_path: str, as_json: bool) -> None:
    """Go through what passed without a rule: while observing (--learn), or in a pause.

    What is taken goes into the rules file, and off the list. Without a terminal the lines are printed.
    """
    with ControlClient(socket_path) as client:
        entries = client.ask(ListLearned(), LearnedEntry)
        if not entries and not as_json:
            print_note("nothing passed without a rule")
        elif is_yes:
            _take_all(client, entries, as_json=as_json)
        elif as_json or not is_on_terminal():
            for entry in entries:
                _print(entry, as_json=as_json)
        else:
            review(client, entries)


def _take_all(client: ControlClient, entries: list[LearnedEntry], *, as_json: bool) -> None:
    for entry in entries:
        if _take(client, entry, entry.added):
            _print(entry, as_json=as_json)


def _print(entry: LearnedEntry, *, as_json: bool) -> None:
    if as_json:
        print_object(encode_object(msgspec.structs.asdict(entry)))
    else:
        print_lines([present_learned_line(entry)])


def review(client: ControlClient, entries: list[LearnedEntry]) -> None:
    """Show one after the other, and do what the keys say."""
    left = list(map(LearnedItem, entries))
    taken, now = 0, datetime.now().astimezone()
    while left:
        item = left.pop(0)
        show(present_learned(item, f"{len(left) + 1} left", find_width(), now))
        key = choose(item.keys)
        if key == "q":
            break
        if key == "y":
            taken += _take(client, item.entry, item.rule)
        elif key == "d":
            _take(client, item.entry, None)
        elif key == "w":
            item.widen()
            left.insert(0, item)
        elif key == "n":
            left[:0] = item.narrow()
    print_note("1 rule taken" if taken == 1 else f"{taken} rules taken")


def _take(client: ControlClient, entry: LearnedEntry, rule: str | None) -> bool:
    """Whether it could be taken. If not, why is told."""
    try:
        client.ask_one(TakeLearned(tuple(line.rule for line in entry.lines), rule), RuleWritten)
    except SnitchError as error:
        print_snitch_error(error)
        return False
    return True
