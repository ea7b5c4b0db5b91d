"""Asks for one key on the terminal, for commands that go through a list."""

import os
import sys
import termios
import tty
from collections.abc import Collection, Iterable

import click

from tinysnitch.cli.tidy.shown import NEW, present_keys
from tinysnitch.output.lines import print_lines
from tinysnitch.tui.keyboard import KeyReader

WIDTH = 79  # columns, where the terminal does not tell
_QUIT = "q"


def is_on_terminal() -> bool:
    """Whether a person can read what is shown, and press keys."""
    return sys.stdin is not None and sys.stdout is not None and os.isatty(0) and os.isatty(1)


def find_width() -> int:
    """Columns of the terminal, less one."""
    try:
        return max(40, os.get_terminal_size(1).columns - 1)
    except OSError:
        return WIDTH


def show(lines: Iterable[str]) -> None:
    """Show an entry, whose texts are escaped: on a terminal what it is about and the line that comes stand out."""
    if not is_on_terminal():
        print_lines([*lines, ""])
        return
    for number, line in enumerate(lines):
        click.echo(click.style(line, bold=number == 0 or line.startswith(NEW)))
    click.echo()


def choose(keys: dict[str, str]) -> str:
    """Show the keys with what they do, and return the one that is pressed."""
    click.echo(present_keys(keys), nl=False)
    key = ask_key(keys)
    print_lines([f"→ {keys[key]}", ""])
    return key


def ask_key(keys: Collection[str]) -> str:
    """The first of these keys that is pressed from now on, in small letters; `q` for Esc, and if the input ends."""
    before, reader = termios.tcgetattr(0), KeyReader()
    try:
        tty.setcbreak(0)  # it forgets what was pressed before: nobody has read the question then
        while data := os.read(0, 64):
            for pressed in (*reader.feed(data), *reader.take()):
                key = _QUIT if pressed == "escape" else pressed.lower()
                if key in keys:
                    return key
        return _QUIT
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
