"""The log on standard output: whole lines, never waiting for a reader, what is lost is counted. Standard error alike.

The file is opened anew through /proc/self/fd (proc(5)), so that O_NONBLOCK is ours alone: set on a shared terminal it
would follow the user's shell. A socket cannot be opened that way; there the flag is set on the descriptor itself, and
taken back at the end. A regular file keeps nobody waiting, and others write at the offset that they share with us.
"""

import asyncio
import os
import select
import stat
import time
from contextlib import suppress

MAX_PENDING = 8 << 20  # bytes that wait for a slow reader: about 15 000 lines
CLOSE_S = 1.0  # for a reader to take what waits at the end
_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY


class LogOutput:
    def __init__(self, descriptor: int) -> None:
        self._was_blocking = False  # a flag that is to be taken back
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            self._fd = os.dup(descriptor) if is_file else os.open(f"/proc/self/fd/{descriptor}", _FLAGS)
        except OSError:
            self._fd = os.dup(descriptor)
            self._was_blocking = os.get_blocking(self._fd)
            os.set_blocking(self._fd, False)
        self._pending = bytearray()
        self._is_waiting = False
        self._ends_line = True  # the last byte that was sent
        self.lost = 0  # lines
        self.failure: OSError | None = None  # of the last lines that could not be written at all

    def write(self, line: bytes) -> None:
        """Take a line, without its newline; `flush` sends it."""
        if len(self._pending) + len(line) >= MAX_PENDING:
            self.lost += 1
            return
        if not self._pending and not self._ends_line:
            self._pending += b"\n"  # the rest of a line that was sent in part is lost
        self._pending += line + b"\n"

    def flush(self) -> None:
        """Send what the reader takes now; the rest goes when it takes more."""
        if not self._pending:
            return
        self._continue()  # waiting or not: in a flood the loop comes around once for many batches
        if self._pending and not self._is_waiting:
            # A regular file on a full disk never becomes ready (epoll_ctl(2): EPERM): the next flush tries again.
            with suppress(PermissionError):
                asyncio.get_running_loop().add_writer(self._fd, self._continue)
                self._is_waiting = True

    def close(self) -> None:
        """Give a slow reader a last chance, then let go: what it has not taken is lost."""
        self._stop_waiting()
        self._send_rest()
        self._lose_rest()
        if self._was_blocking:
            os.set_blocking(self._fd, True)
        os.close(self._fd)

    def _send_rest(self) -> None:
        """What one write cannot take, of a crowd that is refused at the end say, would be cut off in a line."""
        deadline_s = time.monotonic() + CLOSE_S
        writable = select.poll()
        writable.register(self._fd, select.POLLOUT)
        while self._pending and writable.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
            self._send()

    def _continue(self) -> None:
        self._send()
        if not self._pending:
            self._stop_waiting()

    def _send(self) -> None:
        try:
            size = os.write(self._fd, self._pending)
        except BlockingIOError:
            return
        except OSError as error:  # the reader is gone for good: a log that nobody reads stops no firewall
            self.failure = error
            self._lose_rest()
        else:
            self._ends_line = self._pending.endswith(b"\n", 0, size)
            del self._pending[:size]

    def _lose_rest(self) -> None:
        self.lost += self._pending.lstrip(b"\n").count(b"\n")
        self._pending.clear()

    def _stop_waiting(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            asyncio.get_running_loop().remove_writer(self._fd)
