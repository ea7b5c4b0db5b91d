"""A terminal that is read key by key, and whose settings are restored however the prompt ends."""

import contextlib
import os
import select
import signal
import termios
import tty
from typing import Any, Self

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.tui.encoding import fit_encoding, terminal_encoding

_OUTPUT, _LOCAL = 1, 3  # indexes in the list of termios.tcgetattr()
DUMB = "dumb"  # TERM of a terminal that cannot move its cursor (terminfo(5))


def claim_terminal(fd: int) -> None:
    """If we run in the background, wait until the shell brings us to the front: the kernel stops a background process
    that sets the terminal (termios(3), SIGTTOU). Raises SnitchError if no shell could ever continue us.
    """
    try:
        termios.tcsetattr(fd, termios.TCSANOW, termios.tcgetattr(fd))
    except termios.error as error:
        problem = f"the terminal belongs to another job: {error.args[-1]}"
        raise SnitchError(problem, "start the prompt in the foreground") from None


def takes_output(fd: int) -> bool:
    """Whether a terminal takes output now: not while it is stopped (Ctrl-S), or full since nobody reads it."""
    looked = select.poll()
    looked.register(fd, select.POLLOUT)
    return bool(looked.poll(0))


def stop_job(target: int, *ending: signal.Signals) -> None:
    """Stop a process, or with 0 our process group, as a terminal does on Ctrl-Z. Returns once the shell continues it.

    SIGTSTP gets its default action, which the kernel skips if no shell could continue us. So do the `ending` signals
    meanwhile: the caller has restored the terminal, so they may simply end us.
    """
    ours = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTSTP, *ending)}
    os.kill(target, signal.SIGTSTP)
    for number, handler in ours.items():
        signal.signal(number, handler)


class Terminal:
    def __init__(self, path: str) -> None:
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
            termios.tcgetattr(self.fd)
        except (OSError, termios.error) as error:
            raise SnitchError(f"no terminal at {path}: {error.args[-1]}", "run it in a terminal") from None
        self._saved: list[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        os.close(self.fd)

    @property
    def is_held(self) -> bool:
        return self._saved is not None

    @property
    def was_read_by_keys(self) -> bool:
        """Whether the program that reads the terminal besides us gets its keys one by one: an editor, say."""
        return self._saved is not None and not self._saved[_LOCAL] & termios.ICANON

    @property
    def is_ours(self) -> bool:
        """False in the background, where the kernel would stop us (termios(3), SIGTTOU)."""
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            return True  # ENOTTY: it does not control our session, so that there is no background

    def hold(self) -> None:
        """From now on each key is read at once and not echoed; what was typed before is discarded."""
        if self._saved is None:
            claim_terminal(self.fd)
            self._saved = termios.tcgetattr(self.fd)
            tty.setcbreak(self.fd, termios.TCSAFLUSH)
            mode = termios.tcgetattr(self.fd)
            mode[_OUTPUT] |= termios.OPOST | termios.ONLCR  # lines begin at the left, even if an editor had set it raw
            termios.tcsetattr(self.fd, termios.TCSANOW, mode)

    def release(self) -> None:
        """Restore the settings. Does nothing if it is not held, or the terminal is gone."""
        saved, self._saved = self._saved, None
        if saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fd, termios.TCSAFLUSH, saved)

    def flush_input(self) -> None:
        """Discard what was typed and not read."""
        with contextlib.suppress(termios.error):
            termios.tcflush(self.fd, termios.TCIFLUSH)

    def read(self) -> bytes:
        """What was typed; empty if the terminal is gone."""
        try:
            return os.read(self.fd, 4096)
        except OSError:
            return b""

    def size(self) -> tuple[int, int]:
        """Columns and rows; 80 and 24 if the terminal does not tell."""
        try:
            columns, rows = os.get_terminal_size(self.fd)
        except OSError:
            columns = rows = 0
        return columns or 80, rows or 24

    def width(self) -> int:
        return self.size()[0]

    def write_lines(self, lines: list[str]) -> None:
        """Write lines that are safe to show. They are lost if the terminal is gone."""
        self.write("".join(f"{line}\n" for line in lines))

    def write(self, text: str) -> None:
        """Write in the terminal's encoding: one of 8 bits would take bytes of UTF-8 (0x80 to 0x9f) for controls."""
        encoding = terminal_encoding()
        data = fit_encoding(text, encoding).encode(encoding, "backslashreplace")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self.fd, data) :]
