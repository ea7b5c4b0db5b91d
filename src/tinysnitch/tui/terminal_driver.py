"""Textual's driver, for a terminal that need not have all three streams, and may send what textual cannot read.

A byte that is no UTF-8 (a letter of a Latin-1 terminal), or a key as kitty's protocol tells it to whoever asks for more
than we do (any program that can write to the terminal can ask), would end the prompt by a ValueError, and `make run`.
"""

import os
import sys
from contextlib import suppress
from typing import Any

from textual.drivers.linux_driver import LinuxDriver


def find_screen() -> int:
    """The stream that leads to the terminal: standard error, as textual has it, unless standard output alone does."""
    return 1 if os.isatty(1) and not os.isatty(2) else 2


class TerminalDriver(LinuxDriver):
    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - textual's own
        super().__init__(*arguments, **options)
        self._screen = find_screen()
        if self._screen == 1:
            self._file = sys.__stdout__

    def _sigcont_application(self, *_: object) -> None:
        """A prompt stopped by SIGSTOP had no time to leave the screen: textual would begin twice, and never end."""
        if self._auto_restart and not self._must_signal_resume:
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application()

    def _get_terminal_size(self) -> tuple[int, int]:
        """Of the terminal that is written to: textual asks standard output, whatever that is."""
        try:
            columns, lines = os.get_terminal_size(self._screen)
        except OSError:
            columns = lines = 0
        return (columns, lines) if columns and lines else super()._get_terminal_size()

    def run_input_thread(self) -> None:
        """Until the prompt ends. What cannot be read is no key; what came with it in one read is lost."""
        while not self.exit_event.is_set():
            with suppress(ValueError):
                super().run_input_thread()
