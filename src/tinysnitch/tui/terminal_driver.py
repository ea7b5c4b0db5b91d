"""Textual's driver, which goes on where it cannot read what a terminal sends.

A byte that is no UTF-8 (a letter of a Latin-1 terminal), or a key as kitty's protocol tells it to whoever asks for more
than we do (any program that can write to the terminal can ask), would end the prompt by a ValueError, and `make run`.
"""

from contextlib import suppress

from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    def run_input_thread(self) -> None:
        """Until the prompt ends. What cannot be read is no key; what came with it in one read is lost."""
        while not self.exit_event.is_set():
            with suppress(ValueError):
                super().run_input_thread()
