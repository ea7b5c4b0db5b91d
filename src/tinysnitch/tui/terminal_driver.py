"""Textual's driver, changed for terminals of which only some streams are ours, and that send what Textual cannot read.

Two things would raise ValueError in Textual, and so end the prompt, and `make run`: a byte that is not UTF-8 (a letter
of a Latin-1 terminal), and a key in the long form of kitty's protocol (any program that writes to the terminal can ask
it for that form).
"""

import os
import sys
from contextlib import suppress
from typing import Any

from textual.drivers.linux_driver import LinuxDriver


def find_screen() -> int:
    """The descriptor of the screen: standard error, as in Textual, unless only standard output is a terminal."""
    return 1 if os.isatty(1) and not os.isatty(2) else 2


_BLANK = "\x1b[H\x1b[2J"  # ECMA-48: to the first column of the first row; erase all

_CLICKS = "\x1b[?1000h\x1b[?1006h"  # xterm's ctlseqs: report presses, releases and the wheel, in the form of SGR
# Of kitty's keyboard protocol: report keys with Ctrl, Alt or Super as sequences, and texts as always. Textual asks for
# the texts of all keys, too. Alacritty then sends one also for Alt-y, and Textual takes that for a plain `y`.
_NO_TEXTS_OF_KEYS = "\x1b[=1u"


class TerminalDriver(LinuxDriver):
    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - textual's own
        super().__init__(*arguments, **options)
        self._screen = find_screen()
        if self._screen == 1:
            self._file = sys.__stdout__

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]  # textual's own
        self.write(_NO_TEXTS_OF_KEYS)  # at the end Textual restores what was before

    def _enable_mouse_support(self) -> None:
        """Ask for clicks and the wheel alone. Textual would ask for movements, which cost time over a slow line."""
        if self._mouse:
            self.write(_CLICKS)
            self.flush()

    def stop_application_mode(self) -> None:
        """Leave the screen blank: Linux's console and GNU screen have no second one, which would go with us."""
        self.write(_BLANK)
        super().stop_application_mode()

    def _sigcont_application(self, *_: object) -> None:
        """On SIGCONT. A prompt that was stopped by SIGSTOP had no chance to leave its screen, and does it now: Textual
        would enter its mode a second time, and never leave it."""
        if self._auto_restart and not self._must_signal_resume:
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application()

    def _get_terminal_size(self) -> tuple[int, int]:
        """The size of the terminal that is written to. Textual asks standard output, which may be something else."""
        try:
            columns, lines = os.get_terminal_size(self._screen)
        except OSError:
            columns = lines = 0
        return (columns, lines) if columns and lines else super()._get_terminal_size()

    def run_input_thread(self) -> None:
        """Read keys until the prompt ends. What Textual cannot read is dropped, with all that came in the same read."""
        while not self.exit_event.is_set():
            with suppress(ValueError):
                super().run_input_thread()
