"""`tinysnitch rules`: lists, adds, removes and moves rules, and switches groups, through the daemon; checks a file
without it.

LINE, the argument of `rules add` and `rules remove`, is a rule quoted as one word, or as the several words it has.
"""

import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import assert_never

import click

from tinysnitch.cli.command_group import CommandGroup
from tinysnitch.cli.completion.from_daemon import complete_group
from tinysnitch.cli.completion.rule_columns import Complete, complete_known_rule, complete_rule
from tinysnitch.cli.options import F, examples, json_option, socket_option
from tinysnitch.cli.rule_doubts import find_doubts, tell_of_secrets, tell_of_suffixes
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.named_path import NamedPath
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.undecoded import MAX_BYTES, text_of
from tinysnitch.core.rules.quoting import BadWord, quote_word, split_words
from tinysnitch.core.rules.rule_line import format_rule, parse_rule, parse_rules
from tinysnitch.output.lines import print_entry, print_line, print_lines, print_object
from tinysnitch.output.tables import find_width, print_cells
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_text import what_holds
from tinysnitch.protocol.messages import (
    AddRule,
    GroupSwitched,
    ListRules,
    MoveRule,
    ReadStatus,
    RemoveRule,
    RuleEntry,
    RuleGroup,
    RuleSource,
    RuleWritten,
    Status,
    SwitchGroup,
)
from tinysnitch.view.tables.rules_table import lay_out_rules
from tinysnitch.view.tables.status_view import find_broken

MAIN = "main"  # instead of the name of a group: the main rules file
_OF_USE = frozenset({"count", "last"})
MAX_WIDTH = 50  # columns of rules by which their numbers are lined up; those of longer ones stand behind them
_NUMBER = re.compile("[0-9]{1,18}")
_QUALIFIER_NAME = re.compile("[A-Za-z0-9_-]+=")
_NOT_YET = (
    "the change takes effect once the lists and users that the rules file names are known; "
    "`tinysnitch lists` shows the lists"
)


_used_option = click.option("--used", "with_use", is_flag=True, help="How often each rule decided, and when last.")


@click.group(
    "rules",
    cls=CommandGroup,
    commands_in={"tidy": "tinysnitch.cli.tidy.rules_tidy:tidy_command"},
    no_args_is_help=False,
    invoke_without_command=True,
    epilog=examples(
        "tinysnitch rules",
        "tinysnitch rules check /etc/tinysnitch.rules",
        "tinysnitch rules add 'allow github.com 443 tcp /usr/bin/git'",
        "tinysnitch rules remove 3",
        "tinysnitch rules tidy",
        "tinysnitch rules add --group work 'allow git.test 443 tcp # the shop'",
        "tinysnitch rules disable work",
    ),
)
@socket_option
@json_option
@_used_option
@click.pass_context
def rules_group(ctx: click.Context, socket_path: str, as_json: bool, with_use: bool) -> None:
    """List the rules; add, remove, move, check or tidy some; switch groups of rules on and off."""
    given = {"socket_path": socket_path, "as_json": as_json}
    if ctx.invoked_subcommand is None:
        ctx.invoke(_list_command, **given, with_use=with_use)
    else:
        ctx.default_map = dict.fromkeys(rules_group.list_commands(ctx), given)


@rules_group.command("list", epilog=examples("tinysnitch rules list", "tinysnitch rules --used"))
@socket_option
@json_option
@_used_option
def _list_command(socket_path: str, as_json: bool, with_use: bool) -> None:
    """List every rule in force.

    Those of the main file come first, then the temporary ones, then those of each group. Behind each stands its number,
    which no other line ever gets.
    """
    with ControlClient(socket_path) as client:
        entries = client.ask(ListRules(with_use), RuleEntry)
        status = client.ask_one(ReadStatus(), Status)
    if as_json:
        for entry in entries:
            print_entry(entry, "until", *(("last",) if with_use else ()), without=() if with_use else _OF_USE)
    elif width := find_width():
        print_cells(lay_out_rules(entries, status.groups, datetime.now().astimezone(), width))
    else:
        print_lines(present_entries(entries, status.groups, time.time()))
    if status.rule_errors:  # people who edited a file look here to see whether it was loaded
        print_note(tell_errors(status))
    elif not entries and not as_json:
        print_note("there is no rule" if client.sees_all else "there is no rule that you may see")


def tell_errors(status: Status) -> str:
    """The first error, and what holds of its file."""
    broken = find_broken(status)
    return f"{broken.what} did not load, {what_holds(broken.rules)}: {status.rule_errors[0]}"


def present_entries(entries: Collection[RuleEntry], groups: Iterable[RuleGroup], now_s: float) -> Iterator[str]:
    """The rules, and a comment before those of each group: so the list can be used as a rules file."""
    by_group: dict[str | None, list[RuleEntry]] = {}
    for entry in entries:
        by_group.setdefault(entry.group, []).append(entry)
    known = {group.group: group for group in groups}
    of_count = max((len(f"{entry.count:,}") for entry in entries if entry.count), default=1)
    of_rule = max((len(entry.rule) for entry in entries if len(entry.rule) <= MAX_WIDTH), default=0)
    widths = (of_count, of_rule)
    for entry in by_group.pop(None, ()):
        yield present_entry(entry, now_s, widths)
    for name in sorted({*filter(None, by_group), *known}):
        yield _present_group(name, known.get(name))
        for entry in by_group.get(name, ()):
            yield present_entry(entry, now_s, widths)


def _present_group(name: str, group: RuleGroup | None) -> str:
    """The heading of a group. Its file is known to who sees all."""
    where = f": {group.path}" if group else ""
    return f"# group {name}{' is off' if group and not group.is_on else ''}{where}"


def present_entry(entry: RuleEntry, now_s: float, widths: tuple[int, int] = (0, 0)) -> str:
    """The rule, with its number, note and remarks as a comment; before it how often it decided, if asked for.

    `widths`: of that count, and of the rules by which the comments stand below each other.
    """
    of_count, of_rule = widths
    number = "" if entry.number is None else str(entry.number)
    remarks = [*filter(None, [number, entry.note]), *_present_source(entry)]
    if entry.until is not None and entry.until <= now_s:
        remarks.append("expired: it matches nothing any more")
    use = "" if entry.count is None else f"{_present_use(entry, of_count)}  "
    return f"{use}{entry.rule:<{of_rule}}  # {', '.join(remarks)}" if remarks else f"{use}{entry.rule}"


def _present_use(entry: RuleEntry, width: int) -> str:
    """How often and when last, in columns: the count is `width` wide."""
    last = "never" if entry.last is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last))
    count = f"{entry.count:,}" if entry.count else "-"
    return f"{count:>{width}} {last:<16}"


def _present_source(entry: RuleEntry) -> Iterator[str]:
    match entry.source:
        case RuleSource.FILE:
            pass
        case RuleSource.TEMPORARY:
            yield "temporary"
        case RuleSource.QUIT:
            process = "its process" if entry.pid is None else f"process {entry.pid}"
            yield f"until {process} ends"
        case _:
            assert_never(entry.source)


class _LineCommand(click.Command):
    """A command whose options come before LINE: all after its first word belongs to the rule, even what looks like an
    option. If that first word is the whole rule, quoted, options may follow it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_interspersed_args = _begins_with_whole_line(args)
        return super().parse_args(ctx, args)


def _line_argument(complete: Complete) -> Callable[[F], F]:
    return click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED, shell_complete=complete)


_group_option = click.option(
    "--group", metavar="NAME", shell_complete=complete_group, help="Put it into this group, made if there is none."
)


@rules_group.command(
    "add",
    cls=_LineCommand,
    epilog=examples(
        "tinysnitch rules add 'allow github.com 443 tcp /usr/bin/git'",
        "tinysnitch rules add deny '*.doubleclick.net' - -",
        "tinysnitch rules add --group work 'allow git.test 443 tcp # the shop'",
    ),
)
@socket_option
@json_option
@_group_option
@_line_argument(complete_rule)
def _add_command(line: tuple[str, ...], socket_path: str, as_json: bool, group: str | None) -> None:
    """Add the rule LINE to the rules file, or to a group. LINE may be quoted as one word, or not.

    A comment in it is kept behind who added the rule, and when. Options go before LINE: all after its first word
    belongs to the rule.
    """
    with ControlClient(socket_path) as client:
        before = _lasting_rules(client, group)
        reply = client.ask_one(AddRule(join_words(line), group), RuleWritten)
        written = _print_rule(reply, as_json=as_json)
        if written in before:
            print_note("the rule was already in the file")
        for reason in find_doubts(written, client):
            print_note(f"the rule matches nothing: {reason}")
        tell_of_secrets([written])
        tell_of_suffixes([parse_rule(written)])
        if written not in _lasting_rules(client):
            print_note(_NOT_YET)


def _print_rule(written: RuleWritten, *, as_json: bool) -> str:
    """The rule that was added, removed or moved, which is returned."""
    print_entry(written) if as_json else print_line(written.rule)
    return written.rule


def _lasting_rules(client: ControlClient, *groups: str | None) -> set[str]:
    """The rules of all files that are in force, or of these groups (None: the main file)."""
    entries = (entry for entry in client.ask(ListRules(), RuleEntry) if entry.source is RuleSource.FILE)
    return {entry.rule for entry in entries if not groups or entry.group in groups}


@rules_group.command(
    "remove",
    cls=_LineCommand,
    epilog=examples("tinysnitch rules remove 3", "tinysnitch rules remove 'allow github.com 443 tcp /usr/bin/git'"),
)
@socket_option
@json_option
@_line_argument(complete_known_rule)
def _remove_command(line: tuple[str, ...], socket_path: str, as_json: bool) -> None:
    """Remove the rule LINE, from its file or the temporary rules. LINE may be quoted as one word, or not.

    LINE may be a number of `tinysnitch rules`: that line goes alone, also if another file has it too. Options go before
    LINE: all after its first word belongs to the rule.
    """
    text, number = _read_line(line)
    with ControlClient(socket_path) as client:
        removed = _print_rule(client.ask_one(RemoveRule(text, number), RuleWritten), as_json=as_json)
        left = (entry for entry in client.ask(ListRules(), RuleEntry) if entry.source is RuleSource.FILE)
        if any(entry.rule == removed and number in (None, entry.number) for entry in left):
            print_note(_NOT_YET)


def _read_line(words: tuple[str, ...]) -> tuple[str, int | None]:
    """The rule, or the number that stands for it."""
    if len(words) == 1 and _NUMBER.fullmatch(words[0]):
        return "", int(words[0])
    return join_words(words), None


@rules_group.command(
    "move",
    epilog=examples(
        "tinysnitch rules move 3 work",
        "tinysnitch rules move 'allow github.com 443 tcp /usr/bin/git' work",
        f"tinysnitch rules move 'allow github.com 443 tcp /usr/bin/git' {MAIN}",
    ),
)
@socket_option
@json_option
@click.argument("line", shell_complete=complete_known_rule)
@click.argument("group", metavar="NAME", shell_complete=complete_group)
def _move_command(line: str, group: str, socket_path: str, as_json: bool) -> None:
    """Move the rule LINE to the group NAME, with its comment. LINE is one word, quoted; or a number of `rules`.

    The group is made if there is none; `main` is the main rules file.
    """
    text, number = _read_line((line,))
    request = MoveRule(text, None if group == MAIN else group, number)
    with ControlClient(socket_path) as client:
        moved = _print_rule(client.ask_one(request, RuleWritten), as_json=as_json)
        entries = client.ask(ListRules(), RuleEntry)
    there = next((entry for entry in entries if (entry.rule, entry.group) == (moved, request.group)), None)
    number = there.number if there else None
    print_note(f"moved to {group}{'' if number is None else f', as rule {number}'}")


@rules_group.command("enable", epilog=examples("tinysnitch rules enable work"))
@socket_option
@json_option
@click.argument("name", shell_complete=complete_group)
def _enable_command(name: str, socket_path: str, as_json: bool) -> None:
    """Put the group NAME in force: its file is NAME.rules from then on."""
    _switch(name, socket_path, is_on=True, as_json=as_json)


@rules_group.command("disable", epilog=examples("tinysnitch rules disable work"))
@socket_option
@json_option
@click.argument("name", shell_complete=complete_group)
def _disable_command(name: str, socket_path: str, as_json: bool) -> None:
    """Put the group NAME out of force: its file is NAME.rules.off from then on."""
    _switch(name, socket_path, is_on=False, as_json=as_json)


def _switch(name: str, socket_path: str, *, is_on: bool, as_json: bool) -> None:
    with ControlClient(socket_path) as client:
        group = client.ask_one(SwitchGroup(name, is_on), GroupSwitched).group
    if as_json:
        print_entry(group)
        return
    rules = "1 rule" if group.rules == 1 else f"{group.rules} rules"
    print_line(f"{group.group} is {f'on, {rules}' if group.is_on else 'off'}: {group.path}")


@rules_group.command(
    "check", epilog=examples("tinysnitch rules check /etc/tinysnitch.rules", "tinysnitch rules check -")
)
@socket_option
@json_option
@click.argument("file", type=NamedPath())
def _check_command(file: str, socket_path: str, as_json: bool) -> int:
    """Say what is wrong with each bad line of FILE.

    FILE may be - for standard input. No daemon is needed.
    """
    rules, errors = parse_rules(
        read_file(file, "name a rules file, or - for stdin"), "<stdin>" if file == "-" else file
    )
    if as_json:
        for error in errors:
            print_object(encode_object(asdict(error)))
    else:
        print_lines(error.with_hint() for error in errors)
    tell_of_secrets(format_rule(rule) for rule in rules if rule.args)
    tell_of_suffixes(rules)
    if errors:
        are = "is" if len(errors) == 1 else "are"
        print_note(f"{len(errors)} of {len(rules) + len(errors)} rules {are} wrong")
        return 1
    print_note("1 rule, no errors" if len(rules) == 1 else f"{len(rules)} rules, no errors")
    return 0


def read_file(file: str, hint: str) -> str:
    """The text of a file, or of standard input (`-`). Raises SnitchError."""
    if file == "-" and sys.stdin is None:
        raise SnitchError("cannot read: standard input is closed", "name a rules file")
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except PermissionError as error:
        raise NotPermitted(f"cannot read {file}: {error.strerror}", "run it as root or as its owner") from error
    except OSError as error:
        raise SnitchError(f"cannot read {file}: {error.strerror}", hint) from error
    if len(data) > MAX_BYTES:
        raise SnitchError(
            f"{file} has more than {MAX_BYTES >> 20} MB, which is all that tinysnitchd takes", "is it the right file?"
        )
    return text_of(data)


def _begins_with_whole_line(args: list[str]) -> bool:
    """Whether the first word of LINE is a whole rule: it holds a blank, which a verdict does not."""
    words = iter(args)
    for word in words:
        if not word.startswith("-"):
            return len(word.split()) > 1
        if word in ("--socket", "--group"):
            next(words, None)
    return False


def join_words(words: tuple[str, ...]) -> str:
    """The rule as one line. A single word is that line; of several, those that need quotes get back what the shell took
    away."""
    if len(words) == 1:
        return words[0]
    return " ".join(map(_quote_again, words))


def _quote_again(word: str) -> str:
    """Quote the word if the rule's parser would not read it as it is. A word that it does read stays bare, since `*` in
    quotes is no pattern; of a qualifier only the value is quoted, since its name may not be."""
    if _is_itself(word):
        return word
    name = _QUALIFIER_NAME.match(word)
    key = name[0] if name else ""
    return key + quote_word(word.removeprefix(key))


def _is_itself(word: str) -> bool:
    """Whether the rule's parser reads it as one word with this very text."""
    try:
        return [each.text for each in split_words(word)] == [word]
    except BadWord:
        return False
