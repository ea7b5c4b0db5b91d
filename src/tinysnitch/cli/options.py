"""What the subcommands have in common: --socket, --json, examples at the end of each help."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tinysnitch.client.connection_error import DEFAULT_SOCKET

F = TypeVar("F", bound=Callable[..., Any])


def examples(*lines: str) -> str:
    """The end of a help text, for click's `epilog`: its lines stay as they are (click's \\b)."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def socket_option(command: F) -> F:
    return click.option(
        "--socket",
        "socket_path",
        metavar="PATH",
        default=DEFAULT_SOCKET,
        show_default=True,
        help="The daemon's control socket.",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(command)
