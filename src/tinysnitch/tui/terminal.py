"""A terminal read key by key, whose settings are put back however we leave."""

import contextlib
import os
import select
import signal
import termios
import tty
from typing import Any, Self

from tinysnitch.core.errors import SnitchError
from tinysnitch.tui.encoding import fit_encoding, terminal_encoding

_OUTPUT, _LOCAL = 1, 3  # places in what termios.tcgetattr gives
DUMB = "dumb"  # TERM of one that can't move its cursor (terminfo(5))


def claim_terminal(fd: int) -> None:
    """Wait in the background until the shell brings us to the front: so the kernel stops who sets a terminal from there
    (termios(3), SIGTTOU). Raises SnitchError where nobody would ever do so.
    """
    try:
        termios.tcsetattr(fd, termios.TCSANOW, termios.tcgetattr(fd))
    except termios.error as error:
        raise SnitchError(f"the terminal is another's: {error.args[-1]}", "start it in the foreground") from None


def takes_output(fd: int) -> bool:
    """Whether a terminal takes more now: not while its output is stopped, or nobody reads it and it is full."""
    looked = select.poll()
    looked.register(fd, select.POLLOUT)
    return bool(looked.poll(0))


def stop_job(target: int, *ending: signal.Signals) -> None:
    """As a terminal does on Ctrl-Z, until the shell continues it: by the signal's own action, which the kernel leaves
    out where nobody would ever do so. The terminal is put back: signals that end us meanwhile have their own action.
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
        """Whether, before we held it, it gave its keys one by one to whoever reads them: an editor, say."""
        return self._saved is not None and not self._saved[_LOCAL] & termios.ICANON

    @property
    def is_ours(self) -> bool:
        """False in the background, where the kernel would stop us (termios(3), SIGTTOU)."""
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            return True  # ENOTTY: not the one that controls our session, so it has no background either

    def hold(self) -> None:
        """From now on each key comes at once and is not echoed; what was typed before is thrown away."""
        if self._saved is None:
            claim_terminal(self.fd)
            self._saved = termios.tcgetattr(self.fd)
            tty.setcbreak(self.fd, termios.TCSAFLUSH)
            mode = termios.tcgetattr(self.fd)
            mode[_OUTPUT] |= termios.OPOST | termios.ONLCR  # a line begins at the left, also in an editor's terminal
            termios.tcsetattr(self.fd, termios.TCSANOW, mode)

    def release(self) -> None:
        """Put the settings back; right in any state, and when the terminal is gone."""
        saved, self._saved = self._saved, None
        if saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fd, termios.TCSAFLUSH, saved)

    def flush_input(self) -> None:
        """Throw away what was typed and not read."""
        with contextlib.suppress(termios.error):
            termios.tcflush(self.fd, termios.TCIFLUSH)

    def read(self) -> bytes:
        """What was typed; empty when the terminal is gone."""
        try:
            return os.read(self.fd, 4096)
        except OSError:
            return b""

    def width(self) -> int:
        """Columns; 80 where the terminal does not tell."""
        try:
            return os.get_terminal_size(self.fd).columns or 80
        except OSError:
            return 80

    def write_lines(self, lines: list[str]) -> None:
        """Lines that are safe to show; lost when the terminal is gone."""
        self.write("".join(f"{line}\n" for line in lines))

    def write(self, text: str) -> None:
        """In the terminal's own encoding: to one of bytes, UTF-8 has control characters in it (0x80 to 0x9f)."""
        encoding = terminal_encoding()
        data = fit_encoding(text, encoding).encode(encoding, "backslashreplace")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self.fd, data) :]
