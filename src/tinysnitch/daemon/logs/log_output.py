"""Writes whole lines to standard output or standard error, never waits for a reader, and counts what is lost.

The file is opened again through /proc/self/fd (proc(5)), so that only our descriptor has O_NONBLOCK: on a descriptor
shared with the user's shell the flag would change the shell's as well. A socket cannot be opened that way: the flag is
set on the descriptor itself, and removed at the end. A regular file is not opened again: writing to it never waits, and
other processes share the offset of our descriptor.
"""

import asyncio
import os
import select
import stat
import time
from contextlib import suppress

MAX_PENDING = 8 << 20  # bytes that wait for a slow reader: about 15 000 lines
CLOSE_S = 1.0  # how long a reader may take for the rest at the end
_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY


class LogOutput:
    def __init__(self, descriptor: int) -> None:
        self._was_blocking = False  # O_NONBLOCK is ours, and to be removed at the end
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            self._fd = os.dup(descriptor) if is_file else os.open(f"/proc/self/fd/{descriptor}", _FLAGS)
        except OSError:
            self._fd = os.dup(descriptor)
            self._was_blocking = os.get_blocking(self._fd)
            os.set_blocking(self._fd, False)
        self._pending = bytearray()
        self._is_waiting = False
        self._ends_line = True  # whether the last byte sent was the end of a line
        self.lost = 0  # lines
        self.failure: OSError | None = None  # why lines could not be written, when that happened last

    def write(self, line: bytes) -> None:
        """Queue a line (given without its newline); `flush` sends it."""
        if len(self._pending) + len(line) >= MAX_PENDING:
            self.lost += 1
            return
        if not self._pending and not self._ends_line:
            self._pending += b"\n"  # the rest of a line that was sent in part is lost
        self._pending += line + b"\n"

    def flush(self) -> None:
        """Send what the reader takes now; the rest is sent when it takes more."""
        if not self._pending:
            return
        self._send()  # even if the loop watches already: in a flood there are many batches to one turn of the loop
        if not self._pending:
            if self._is_waiting:
                self._stop_waiting()
        elif not self._is_waiting:
            # epoll_ctl(2): EPERM for a regular file (on a full disk), or no room. The next flush tries again.
            with suppress(OSError):
                asyncio.get_running_loop().add_writer(self._fd, self._continue)
                self._is_waiting = True

    def close(self) -> None:
        """Give a slow reader CLOSE_S for the rest, then close: what it has not taken is lost."""
        if self._is_waiting:
            self._stop_waiting()
        self._send_rest()
        self._lose_rest()
        if self._was_blocking:
            os.set_blocking(self._fd, True)
        os.close(self._fd)

    def _send_rest(self) -> None:
        """Write until nothing is left: a single write may not take it all, and would end in the middle of a line."""
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
        except OSError as error:  # the reader is gone for good, or the disk is full: that must not stop the firewall
            self.failure = error
            self._lose_rest()
        else:
            self._ends_line = self._pending.endswith(b"\n", 0, size)
            del self._pending[:size]

    def _lose_rest(self) -> None:
        self.lost += self._pending.lstrip(b"\n").count(b"\n")
        self._pending.clear()

    def _stop_waiting(self) -> None:
        self._is_waiting = False
        asyncio.get_running_loop().remove_writer(self._fd)
