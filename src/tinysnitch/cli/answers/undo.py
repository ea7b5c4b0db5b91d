"""`tinysnitch undo`: takes the last answer, or another change of rules, back; lists those that can be."""

from collections.abc import Iterator
from datetime import datetime

import click
import msgspec

from tinysnitch.cli.options import Number, examples, json_option, socket_option
from tinysnitch.cli.rules import MAIN
from tinysnitch.client.control_client import ControlClient
from tinysnitch.client.user_names import find_user
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.rules.changes import Act, Place
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.output.lines import print_lines, print_object
from tinysnitch.output.tables import is_terminal, print_table
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.protocol.messages import ChangedLine, ChangeEntry, ListChanges, TakeBack, Undone
from tinysnitch.view.escape import escape_text
from tinysnitch.view.history.history_view import tell_moment
from tinysnitch.view.history.table import Cell, Table
from tinysnitch.view.span import Span, Weight, present_line, span_of

_REMARKS = {Place.FILE: "", Place.TEMPORARY: "", Place.QUIT: "until its process ends", Place.ONCE: "once"}
_SHORT = {"until its process ends": "its process"}  # for a column


@click.command(
    "undo",
    short_help="Take the last answer back, or another change of rules.",
    epilog=examples("tinysnitch undo", "tinysnitch undo --list", "tinysnitch undo 3"),
)
@click.argument("number", type=Number(), required=False)
@click.option("--list", "is_list", is_flag=True, help="List the last twenty changes.")
@socket_option
@json_option
def undo_command(number: int | None, *, is_list: bool, socket_path: str, as_json: bool) -> None:
    """Take your last answer back, with the rules that it wrote; or the change with this NUMBER, of `undo --list`.

    What `rules add`, `remove`, `move` and `tidy` did is such a change, too. Another person's goes by its NUMBER alone.
    Connections like those that were answered are asked about again. A rule that was edited or removed since is left as
    it is, and so is one that somebody else wrote, too.
    """
    if is_list and number is not None:
        raise click.UsageError("--list takes no NUMBER")
    with ControlClient(socket_path) as client:
        if is_list:
            _print_list(client.ask(ListChanges(), ChangeEntry), as_json=as_json)
            return
        undone = client.ask_one(TakeBack(number), Undone)
    if as_json:
        change = _object_of(undone.change)
        print_object(encode_object(msgspec.structs.asdict(undone) | {"change": change}))
    else:
        print_lines(present_undone(undone))


def _print_list(changes: list[ChangeEntry], *, as_json: bool) -> None:
    if as_json:
        print_lines(encode_object(_object_of(change)).decode("ascii") for change in changes)
        return
    now = datetime.now().astimezone()
    if not changes:
        print_note("nothing was changed that you may see")
    elif is_terminal():
        print_table(present_changes(changes, now))
    else:
        width = max(len(_name(change.uid)) for change in changes)
        print_lines(line for change in changes for line in present_change(change, now.date().isoformat(), width))


def _object_of(change: ChangeEntry) -> dict[str, object]:
    """Its fields, with times as in the log."""
    back = change.taken_back
    times = {"time": format_time(change.time), "taken_back": None if back is None else format_time(back)}
    return msgspec.structs.asdict(change) | times


def present_change(change: ChangeEntry, today: str, width: int = 0) -> Iterator[str]:
    """` 7  17:03:12  alice  no  + deny shop.test 443 tcp /usr/bin/curl`, and a line below it for each further rule.

    `width`: of the longest name.
    """
    lines = [f"{sign}{_present_rule(rule, change.act)}" for sign, rule in _signed(change)]
    head = (
        f"{change.number:>3}  {_tell_moment(change.time, today)}  {_name(change.uid):<{width}}  {change.act.value:<6}  "
    )
    told = _tell_back(change)
    back = f"  # {told}" if told else ""
    for index, line in enumerate(lines):
        yield f"{' ' * len(head)}{line}" if index else f"{head}{line}{back}"


def present_changes(changes: list[ChangeEntry], now: datetime) -> Table:
    """The same for a terminal, with what is beside each rule in a column of its own."""
    rows: list[tuple[Cell, ...]] = []
    for change in changes:
        moment = (Span(tell_moment(change.time, now), weight=Weight.QUIET),)
        head: tuple[Cell, ...] = (
            (Span(str(change.number)),),
            moment,
            (span_of(_name(change.uid)),),
            (Span(change.act.value),),
        )
        for sign, rule in _signed(change):
            remarks = ", ".join(
                filter(
                    None, [_SHORT.get(told := _remark_of(rule, change.act), told), _tell_back(change) if head else ""]
                )
            )
            quiet = (Span(escape_text(remarks), weight=Weight.QUIET),)
            rows.append((*(head or ((),) * 4), (Span(sign), *_spans_of(rule.rule)), quiet))
            head = ()
    return Table(head=("", "when", "who", "did", "rule", ""), rows=tuple(rows), left=frozenset({1, 2, 3, 4, 5}))


def _spans_of(line: str) -> Cell:
    try:
        return present_line(parse_rule(shorten_rule(line)))
    except RuleSyntaxError:  # of a daemon of another version
        return (span_of(line),)


def _signed(change: ChangeEntry) -> Iterator[tuple[str, ChangedLine]]:
    """The rules that were written and removed, each with its sign. One that was moved is neither."""
    is_move = change.act is Act.MOVE
    yield from (("  " if is_move else "+ ", rule) for rule in change.written)
    yield from (("- ", rule) for rule in change.removed if not is_move)


def _tell_back(change: ChangeEntry) -> str:
    if change.taken_back is None:
        return ""
    by = "" if change.taken_back_by in (None, change.uid) else f" by {_name(change.taken_back_by or 0)}"
    return f"taken back{by}"


def present_undone(undone: Undone) -> Iterator[str]:
    yield from (f"put back  {_present_rule(line)}" for line in undone.put_back)
    yield from (f"removed   {_present_rule(line)}" for line in undone.removed)
    yield from (f"forgotten {_present_rule(line)}" for line in undone.forgotten)
    for kept in undone.kept:
        yield f"stays     {shorten_rule(kept.rule)}"
        yield f"          {kept.why}"


def _present_rule(rule: ChangedLine, act: Act | None = None) -> str:
    remark = _remark_of(rule, act)
    return f"{shorten_rule(rule.rule)}{f'  # {remark}' if remark else ''}"


def _remark_of(rule: ChangedLine, act: Act | None) -> str:
    if act is Act.MOVE:
        return f"to {rule.group or MAIN}"
    return f"group {rule.group}" if rule.group else _REMARKS[rule.place]


def _tell_moment(wall_s: float, today: str) -> str:
    """The time of day, or the day where that is another one."""
    moment = datetime.fromtimestamp(wall_s).astimezone()
    return moment.strftime("%H:%M:%S") if moment.date().isoformat() == today else moment.strftime("%d %b  ")


def _name(uid: int) -> str:
    return find_user(uid) or f"uid {uid}"
