"""Command groups that import a command only when it is called, and suggest the right word for a mistyped one."""

from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

_OF_EVERY_COMMAND = ("--socket", "--json")  # options of the commands, which people also write before the command


class CommandGroup(click.Group):
    """`commands_in` maps a name to `module:attribute`, imported late: imports are most of a command's start time."""

    def __init__(self, *args: Any, commands_in: dict[str, str] | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._commands_in = commands_in or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._commands_in, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._commands_in.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, attribute = place.split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name in _OF_EVERY_COMMAND:
                raise MisplacedOption(error.option_name, ctx) from None
            raise

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        try:
            return super().invoke(ctx)
        except click.BadOptionUsage as error:
            if error.ctx is None:  # click left out to which command the option belongs
                name = ctx.invoked_subcommand
                error.ctx = click.Context(click.Command(name), parent=ctx, info_name=name)
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise UnknownCommand(name, self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)


class MisplacedOption(click.NoSuchOption):
    def __init__(self, name: str, ctx: click.Context) -> None:
        super().__init__(name, ctx=ctx)
        self.hint = f"write it after the command: `{ctx.command_path} status {name}`"


class UnknownCommand(click.UsageError):
    def __init__(self, name: str, known: list[str], ctx: click.Context) -> None:
        super().__init__(f"there is no command {name!r}", ctx)
        near = get_close_matches(name, known, n=1)
        self.hint = f"did you mean `{ctx.command_path} {near[0]}`?" if near else f"write one of: {', '.join(known)}"
