"""The words of a rule, column by column, as somebody types them behind `rules add`, `rules remove` and `explain`."""

import os
import pwd
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from tinysnitch.cli.completion.from_daemon import Item, beginning_with, read_lists, read_rules
from tinysnitch.commandline.completion import FILE, PART
from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.rules.port_column import PORT_FORMS, SERVICES
from tinysnitch.core.rules.program_column import PROGRAM_FORMS, format_program
from tinysnitch.core.rules.protocol_column import PROTOCOL_FORMS
from tinysnitch.core.rules.qualifiers import QUALIFIERS
from tinysnitch.core.rules.quoting import Form, split_words
from tinysnitch.core.rules.remote_column import REMOTE_FORMS
from tinysnitch.core.rules.rule import ProgramKind
from tinysnitch.core.rules.rule_line import VERDICT, parse_rule

_INTERFACES = "/sys/class/net"
Complete = Callable[[click.Context, click.Parameter, str], list[Item]]


def complete_rule(context: click.Context, param: click.Parameter, word: str) -> list[Item]:
    """The next word of a rule that is not quoted as one."""
    typed: tuple[str, ...] = context.params.get("line") or ()
    if not typed:
        return beginning_with(word, words_of(VERDICT.forms))
    qualifiers = sum(each.partition("=")[0] in QUALIFIERS for each in typed[1:])
    place = len(typed) - 1 - qualifiers
    if place == 0:
        return [*complete_remote(context, param, word), *_complete_qualifier(word)]
    return _COLUMNS[place - 1](context, param, word) if place <= len(_COLUMNS) else [CompletionItem(word, FILE)]


def complete_known_rule(context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    """The next word of a rule in force, or, where a quote is open, the whole of one."""
    typed: tuple[str, ...] = context.params.get("line") or ()
    rules = read_rules(context)
    if context.command.name == "move" or " " in word:
        return beginning_with(word, dict.fromkeys(rules, ""))
    known = ([each.text for each in split_words(rule)] for rule in rules)
    following = (each[len(typed)] for each in known if tuple(each[: len(typed)]) == typed and len(each) > len(typed))
    return beginning_with(word, dict.fromkeys(following, ""))


def complete_remote(context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    words = words_of(REMOTE_FORMS)
    if word.startswith("@"):
        words |= {f"@{name}": told for name, told in read_lists(context).items()}
    return beginning_with(word, words)


def complete_port(_context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    return beginning_with(word, words_of(PORT_FORMS) | {str(port): name for port, name in SERVICES.items()})


def complete_protocol(_context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    return beginning_with(word, words_of(PROTOCOL_FORMS))


def complete_program(context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    """Files where a path is begun; else words, and the programs that rules name."""
    if word.startswith("/"):
        return [CompletionItem(word, FILE)]
    kinds = {form.spelling.partition(":")[0]: form.meaning for form in PROGRAM_FORMS if ":" in form.spelling}
    items = beginning_with(word, words_of(PROGRAM_FORMS) | dict.fromkeys(_known_programs(read_rules(context)), ""))
    return items + _parts(word, {f"{kind}:": told for kind, told in kinds.items()})


def words_of(forms: Iterable[Form[Any]]) -> dict[str, str]:
    """The spellings that are a word of their own, and what they mean."""
    return {form.spelling: form.meaning.replace("`", "") for form in forms if form.is_word}


def _parts(word: str, parts: dict[str, str]) -> list[Item]:
    return [CompletionItem(each, PART, told) for each, told in parts.items() if each.startswith(word)]


def _known_programs(rules: Iterable[str]) -> list[str]:
    programs = []
    for rule in rules:
        try:
            program = parse_rule(rule).program
        except RuleSyntaxError:  # of a daemon of another version
            continue
        if program.kind in (ProgramKind.PATH, ProgramKind.OWNER):
            programs.append(format_program(program))
    return programs


def _complete_qualifier(word: str) -> list[Item]:
    key, is_begun, _value = word.partition("=")
    if not is_begun:
        return _parts(word, {f"{each.key}=": each.meaning for each in QUALIFIERS.values()})
    values = _VALUES.get(key, list)()
    return beginning_with(word, {f"{key}={value}": "" for value in values})


def read_users() -> list[str]:
    return [user.pw_name for user in pwd.getpwall()]


def _read_interfaces() -> list[str]:
    try:
        return sorted(os.listdir(_INTERFACES))
    except OSError:
        return []


def complete_user(_context: click.Context, _param: click.Parameter, word: str) -> list[Item]:
    return beginning_with(word, dict.fromkeys(read_users(), ""))


_VALUES: dict[str, Callable[[], list[str]]] = {"user": read_users, "iface": _read_interfaces}
_COLUMNS: tuple[Complete, ...] = (complete_port, complete_protocol, complete_program)
