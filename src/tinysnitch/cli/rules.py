"""`tinysnitch rules`: list, add and remove over the daemon; check a file without it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from tinysnitch.cli.command_group import CommandGroup
from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.cli.output import print_line, print_lines, print_note, print_object
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.errors import NotPermitted, RuleSyntaxError, SnitchError
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.protocol.messages import AddRule, ListRules, RemoveRule, RuleEntry, RuleWritten

# A rule's own arguments may begin with a dash; what is not an option of ours belongs to the line.
_LINE_SETTINGS = {"ignore_unknown_options": True}


@click.group(
    "rules",
    cls=CommandGroup,
    no_args_is_help=False,
    invoke_without_command=True,
    epilog=examples(
        "tinysnitch rules",
        "tinysnitch rules check /etc/tinysnitch.rules",
        "tinysnitch rules add 'allow github.com 443 tcp /usr/bin/git'",
        "tinysnitch rules remove 'allow github.com 443 tcp /usr/bin/git'",
    ),
)
@socket_option
@json_option
@click.pass_context
def rules_group(ctx: click.Context, socket_path: str, as_json: bool) -> None:
    """List the rules, or check, add or remove some."""
    if ctx.invoked_subcommand is None:
        list_rules(socket_path, as_json)
    else:
        ctx.default_map = {
            name: {"socket_path": socket_path, "as_json": as_json} for name in ("list", "add", "remove", "check")
        }


@rules_group.command("list", epilog=examples("tinysnitch rules list", "tinysnitch rules list --json"))
@socket_option
@json_option
def list_command(socket_path: str, as_json: bool) -> None:
    """Every rule in force: those of the file, then the temporary ones."""
    list_rules(socket_path, as_json)


def list_rules(socket_path: str, as_json: bool) -> None:
    with ControlClient(socket_path) as client:
        for entry in client.ask(ListRules(), RuleEntry):
            if as_json:
                print_object(encode_object(_fields(entry)))
            else:
                print_line(_present_entry(entry))


def _fields(entry: RuleEntry) -> dict[str, object]:
    """What --json shows: moments as the log has them."""
    fields = msgspec.structs.asdict(entry)
    return fields | {"until": None if entry.until is None else format_time(entry.until)}


def _present_entry(entry: RuleEntry) -> str:
    """The line; what makes it temporary follows as a comment, so that the list is a rules file too."""
    if entry.source == "quit":
        process = "its process" if entry.pid is None else f"process {entry.pid}"
        return f"{entry.rule}  # until {process} ends"
    if entry.source == "temporary":
        until = "" if entry.until is None else f" until {format_time(entry.until)}"
        return f"{entry.rule}  # temporary{until}"
    return entry.rule


@rules_group.command(
    "add",
    context_settings=_LINE_SETTINGS,
    epilog=examples(
        "tinysnitch rules add 'allow github.com 443 tcp /usr/bin/git'",
        "tinysnitch rules add deny '*.doubleclick.net' - -",
    ),
)
@socket_option
@click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED)
def add_command(line: tuple[str, ...], socket_path: str) -> None:
    """Add LINE, one word or several, to the rules file."""
    with ControlClient(socket_path) as client:
        print_line(client.ask_one(AddRule(join_words(line)), RuleWritten).rule)


@rules_group.command(
    "remove",
    context_settings=_LINE_SETTINGS,
    epilog=examples(
        "tinysnitch rules remove 'allow github.com 443 tcp /usr/bin/git'",
    ),
)
@socket_option
@click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED)
def remove_command(line: tuple[str, ...], socket_path: str) -> None:
    """Remove the rule that LINE says, of the file or temporary."""
    with ControlClient(socket_path) as client:
        print_line(client.ask_one(RemoveRule(join_words(line)), RuleWritten).rule)


def join_words(words: tuple[str, ...]) -> str:
    """One word is a whole line; of several the shell took the quotes, and those that need some get them back."""
    if len(words) == 1:
        return words[0]
    return " ".join(map(_quote_again, words))


def _quote_again(word: str) -> str:
    """Bare words keep what `*` means in them."""
    from tinysnitch.core.words import quote_word

    needs_quotes = not word or not word.isprintable() or any(char in " \t'\"\\$#" for char in word)
    return quote_word(word) if needs_quotes else word


@rules_group.command(
    "check", epilog=examples("tinysnitch rules check /etc/tinysnitch.rules", "tinysnitch rules check -")
)
@socket_option
@click.argument("file")
def check_command(file: str, socket_path: str) -> int:
    """Say what is wrong with each bad line of FILE; no daemon is needed."""
    from tinysnitch.core.rule_text import parse_rules

    rules, errors = parse_rules(_read(file), "<stdin>" if file == "-" else file)
    print_lines(_present_errors(errors))
    if errors:
        print_note(f"{len(errors)} of {len(rules) + len(errors)} rules are wrong")
        return 1
    print_line("1 rule, no errors" if len(rules) == 1 else f"{len(rules)} rules, no errors")
    return 0


def _present_errors(errors: list[RuleSyntaxError]) -> Iterator[str]:
    for error in errors:
        yield str(error)
        if error.hint:
            yield f"  hint: {error.hint}"


def _read(file: str) -> str:
    """Bytes that are not UTF-8 stay as they are, as surrogate escapes."""
    if file == "-" and sys.stdin is None:
        raise SnitchError("cannot read: standard input is closed", "name a rules file")
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except PermissionError as error:
        raise NotPermitted(f"cannot read {file}: {error.strerror}", "run it as root or as its owner") from error
    except OSError as error:
        raise SnitchError(f"cannot read {file}: {error.strerror}", "name a rules file, or - for stdin") from error
    return data.decode("utf-8", "surrogateescape")
