"""The type of an option or argument that is a path."""

import click
from click.shell_completion import CompletionItem

from tinysnitch.commandline.completion import FILE


class NamedPath(click.ParamType[str]):
    """A path that is not empty: an empty one mostly means that a shell variable was not set."""

    name = "path"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("the path is empty", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return [CompletionItem(incomplete, FILE)]
