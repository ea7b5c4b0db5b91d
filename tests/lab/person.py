"""A person at a terminal, for tests: reads what a command writes there, and types."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

from tests.lab.patience import WAIT_S

# What the prompt writes when it begins to take keys: the first in full screen (there it says something else in that
# place before), the second with `--plain`.
KEYS_COUNT = ("asked because", "keys: ")
STYLE = re.compile(r"\x1b\[[0-9;]*m")  # bold and the like, of which a sentence may have several


class Person:
    """Runs the command in a terminal of 80x24."""

    def __init__(self, command: list[str], **environment: str) -> None:
        self.command = command
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],  # so that /dev/tty is this terminal
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", **environment},
        )
        self._terminal = os.ttyname(slave)
        os.close(slave)
        self.seen = ""  # what was written since the text that was last waited for
        self._is_open = True
        self.everything = ""  # all that was ever written

    def see(self, text: str, timeout_s: float = WAIT_S) -> None:
        """Wait until the text is written, and forget everything up to it."""
        self._read_until(text, timeout_s)
        self.seen = self.seen.partition(text)[2]

    def read_line(self) -> str:
        """What is written from here to the end of the line."""
        self._read_until("\n", WAIT_S)
        line, _, self.seen = self.seen.partition("\n")
        return line

    def _read_until(self, text: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not self._is_open or not select.select([self._master], [], [], left)[0]:
                raise TimeoutError(f"{text!r} is not in {self.seen!r}")
            self._read()

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode(errors="surrogateescape"))

    def leave(self) -> int:
        """Type `q`, and read until the prompt ends: it could not write its last screen if nobody read."""
        self.type("q")
        return self._read_to_the_end()

    def end_by(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self._read_to_the_end()

    def hold_output(self, is_held: bool) -> None:
        """Stop the terminal's output, or let it go on, as Ctrl-S and Ctrl-Q do: writes block meanwhile."""
        terminal = os.open(self._terminal, os.O_RDWR | os.O_NOCTTY)
        termios.tcflow(terminal, termios.TCOOFF if is_held else termios.TCOON)
        os.close(terminal)

    def settings(self) -> list[object]:
        """The settings of the terminal (termios(3))."""
        return termios.tcgetattr(self._master)

    def _read_to_the_end(self) -> int:
        deadline = time.monotonic() + WAIT_S
        while self._is_open and select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0]:
            self._read()
        return self.process.wait(timeout=WAIT_S)

    def close(self) -> None:
        """Hang up. Further calls do nothing."""
        if self._master < 0:
            return
        os.close(self._master)  # hangs the terminal up: the prompt ends
        self._master = -1
        self.process.wait(timeout=WAIT_S)

    def _read(self) -> None:
        try:
            written = os.read(self._master, 65536).decode(errors="replace")
        except OSError:  # EIO: nobody has the other end open
            self._is_open = False
        else:
            self.seen = STYLE.sub("", self.seen + written)
            self.everything += written
