"""What the subcommands have in common: --socket, --json, types of values, examples at the end of each help."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tinysnitch.commandline.named_path import NamedPath
from tinysnitch.protocol.framing import DEFAULT_SOCKET

_DIGITS = re.compile("[0-9]{1,18}")  # no more digits than always fit into 64 bits
F = TypeVar("F", bound=Callable[..., Any])


class NamedFolder(click.Path[Path]):
    """The path of a folder, which may not be empty: that would mean the working folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return super().convert(NamedPath().convert(os.fspath(value), param, ctx), param, ctx)


class Number(click.ParamType[int]):
    """A number from 0 to `most`, in digits alone: int() would take `1_000`, too."""

    name = "number"

    def __init__(self, most: int | None = None) -> None:
        self._most = most

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if not _DIGITS.fullmatch(str(value)) or (self._most is not None and int(value) > self._most):
            limits = "" if self._most is None else f" from 0 to {self._most}"
            self.fail(f"{str(value)[:20]!r} is not a number{limits}", param, ctx)
        return int(value)


def examples(*lines: str) -> str:
    """Text for click's `epilog`, the end of a help page. Click does not rewrap what follows \\b."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def socket_option(command: F) -> F:
    return click.option(
        "--socket",
        "socket_path",
        type=NamedPath(),
        default=DEFAULT_SOCKET,
        show_default=True,
        help="The control socket of the daemon.",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")(command)
