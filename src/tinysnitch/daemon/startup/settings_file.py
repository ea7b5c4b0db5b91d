"""tinysnitch.toml: the options of the command line by the same names, and a table for prompts. Flags win.

1. A mistake is named by file, line and hint, and costs nothing but its own key: a machine without a firewall that asks
   would be worse than one with a default.
2. The values are checked by the very types that check the flags (click's).
3. `prompt` is a table here. The flag of that name is its key `start`.
"""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.control.permissions import check_name
from tinysnitch.daemon.options import SETTINGS, LogFormat, OnExit, Options, SettingsRead
from tinysnitch.protocol.messages import PromptSettings
from tinysnitch.store.toml_file import read_toml

PROMPT, START = "prompt", "start"
OF_COMMANDS = frozenset({"rules", "lists", "timeout", "resolver"})  # those that count for `tinysnitch run`
_WHO = ("user", "admin")
_NUMBERS = {"seconds": "seconds as a number", "number": "a whole number"}  # types of options, and what to write
_NO_KEYS = ("config-dir", "version", "help")


class SettingsFile:
    def __init__(
        self, command: click.Command, flags: Mapping[str, Any], given: Collection[str], scope: Scope = Scope.MACHINE
    ) -> None:
        """`flags`: the values of the command's parameters. `given`: those that were given, which win."""
        self._path = Path(flags["config_dir"]) / SETTINGS
        self._context = click.Context(command)
        self._flags = flags
        self._given = given
        self._scope = scope
        self._options = dict(_options_of(command))  # by key

    def read(self) -> SettingsRead:
        """What the flags and the file as it is now say. Raises nothing."""
        toml = read_toml(self._path)
        errors = [toml.error] if toml.error else []
        found: dict[str, Any] = {}
        table = toml.values.get(PROMPT, {})
        if not isinstance(table, dict):
            errors.append(toml.error_at(PROMPT, "not a table", f"begin a table with the line [{PROMPT}]"))
            table = {}
        places = [(key, value, "") for key, value in toml.values.items() if key != PROMPT]
        places += [(key, value, PROMPT) for key, value in table.items()]
        prompt: dict[str, Any] = {}
        for key, value, place in places:
            try:
                if place and key != START:
                    prompt[key] = _setting_of(key, value)
                elif option := self._find_option(key, place):
                    found[option.name or ""] = self._value_of(option, key, value)
            except _Mistake as mistake:
                errors.append(toml.error_at(key, str(mistake), mistake.hint, table=place))
        return SettingsRead(
            options=self._merge(found),
            prompt=PromptSettings(**prompt),
            errors=tuple(errors),
            keys={option.name or "": key for key, option in self._options.items()},
        )

    def _merge(self, found: dict[str, Any]) -> Options:
        may_count = self._options if self._scope.takes_all_settings else OF_COMMANDS
        counted = {self._options[key].name: key for key in may_count}
        taken = {name: value for name, value in found.items() if name in counted and name not in self._given}
        values = {**self._flags, **taken}
        values |= {"log": LogFormat(values["log"]), "on_exit": OnExit(values["on_exit"])}
        # `tinysnitch run --rules FILE` judges by these rules, and not by those of the machine.
        has_groups = self._scope.takes_all_settings or "rules" not in self._given
        return Options(scope=self._scope, has_groups=has_groups, **values)

    def _find_option(self, key: str, table: str) -> click.Option:
        option = self._options.get(PROMPT if table else key)
        if option is None:
            raise _unknown(key, [*(each for each in self._options if each != PROMPT), f"[{PROMPT}]"])
        return option

    def _value_of(self, option: click.Option, key: str, value: object) -> object:
        """The value as the flag would have it."""
        _check_kind(option, value)
        try:
            found = option.process_value(self._context, value)
            for who in found if key in _WHO else ():
                check_name(who)
        except click.BadParameter as error:
            raise _Mistake(error.message.rstrip("."), getattr(error, "hint", "")) from None
        except SnitchError as error:
            raise _Mistake(str(error), error.hint) from None
        if isinstance(found, Path) and not found.is_absolute():
            raise _Mistake(f"{str(found)!r} is not a whole path", "write it from / on")
        return found


class _Mistake(SnitchError):
    """What is wrong with one key."""


def _options_of(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            key = option.opts[0].removeprefix("--")
            if key not in _NO_KEYS:
                yield key, option


def _check_kind(option: click.Option, value: object) -> None:
    """Raises _Mistake: what a command line takes as a text may be of one kind only here."""
    if option.is_flag and not isinstance(value, bool):
        raise _Mistake("neither true nor false", "write true or false, without quotes")
    if option.multiple and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise _Mistake("not a list of texts", 'write ["one", "two"]')
    if option.type.name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Mistake("not a number", f"write {_NUMBERS[option.type.name]}, without quotes")
    elif not (option.is_flag or option.multiple or isinstance(value, str)):
        raise _Mistake("not a text", f'write it in quotes: "{value}"')


def _setting_of(key: str, value: object) -> object:
    """A value of the table for prompts."""
    fields = {field.name: field for field in msgspec.structs.fields(PromptSettings)}
    if key not in fields:
        raise _unknown(key, [*fields, START])
    try:
        return msgspec.convert(value, fields[key].type)
    except msgspec.ValidationError:
        raise _Mistake(f"{value!r} is no {key}", _hint_of(fields[key].type)) from None


def _hint_of(kind: object) -> str:
    words = [
        each.value for part in getattr(kind, "__args__", (kind,)) for each in getattr(part, "__members__", {}).values()
    ]
    return f"write one of: {', '.join(words)}" if words else "write seconds from 0 to 10 as a number"


def _unknown(key: str, known: list[str]) -> _Mistake:
    near = get_close_matches(key, known, n=1)
    return _Mistake(
        f"there is no key {key!r}", f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known)}"
    )
