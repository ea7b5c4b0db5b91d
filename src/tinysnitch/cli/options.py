"""What the subcommands have in common: --socket, --json, examples at the end of each help."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tinysnitch.client.connection_error import DEFAULT_SOCKET

F = TypeVar("F", bound=Callable[..., Any])


class SocketPath(click.ParamType[str]):
    """A path, that names something: an empty one comes of a variable that is not set, say."""

    name = "path"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("the path is empty", param, ctx)
        return value


def examples(*lines: str) -> str:
    """The end of a help text, for click's `epilog`: its lines stay as they are (click's \\b)."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def socket_option(command: F) -> F:
    return click.option(
        "--socket",
        "socket_path",
        type=SocketPath(),
        default=DEFAULT_SOCKET,
        show_default=True,
        help="The daemon's control socket.",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(command)
