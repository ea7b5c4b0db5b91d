"""Writes warnings and errors to standard error while the loop runs, without waiting for whoever reads it.

The lines look like those of `logging`. Lines that nobody takes are lost and counted. Only the loop's thread may log.
"""

import logging
import os
import stat
import time
from typing import Self

from tinysnitch.core.model.errors import is_shortage, words_of
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.protocol.log_text import escape

_FORMAT = "tinysnitch: %(message)s"
_LIKE_IT_S = 1.0  # how long a message of asyncio is left out after the same one
_MAX_KINDS = 64  # of messages that are remembered for that

_asyncio = logging.getLogger("asyncio")


class PrintableFormatter(logging.Formatter):
    """Escapes control characters in what is logged, tracebacks too: it may quote text that others chose."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(escape, super().format(record).split("\n")))


def log_to_standard_error() -> None:
    """Log to standard error as long as there is no ErrorLog."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(handlers=[handler])


class ErrorLog(logging.Handler):
    """Takes all that is logged, by us and by asyncio, while its `with` block runs."""

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(PrintableFormatter())
        self._descriptor = descriptor
        self._output: LogOutput | None = None
        self._others: list[logging.Handler] = []
        self._spared = 0  # messages of asyncio that were left out
        self._next_s: dict[str, float] = {}  # by the first line of a message of asyncio: when it may be logged again

    @property
    def lost(self) -> int:
        """Lines that nobody took, and messages that asyncio repeated too soon."""
        return self._spared + (self._output.lost if self._output else 0)

    def _may_log(self, record: logging.LogRecord) -> bool:
        """Whether to log this record of asyncio, which without descriptors has several hundred of accept() a second."""
        kind, now_s = record.getMessage().partition("\n")[0], time.monotonic()
        if now_s < self._next_s.get(kind, 0.0):
            self._spared += 1
            return False
        if len(self._next_s) >= _MAX_KINDS:
            self._next_s.clear()
        self._next_s[kind] = now_s + _LIKE_IT_S
        error = record.exc_info[1] if record.exc_info else None
        if is_shortage(error):  # no bug, so that one line is enough
            record.msg, record.args, record.exc_info = f"{kind}: {words_of(error)}", (), None
        return True

    def __enter__(self) -> Self:
        """Leave a regular file to `logging`: writing to it never waits, and others share its offset."""
        _asyncio.addFilter(self._may_log)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self._output = LogOutput(self._descriptor)
            self._others, logging.root.handlers[:] = logging.root.handlers[:], [self]
        return self

    def __exit__(self, *_: object) -> None:
        _asyncio.removeFilter(self._may_log)
        if self._output:
            logging.root.handlers[:] = self._others
            self._output.close()

    def emit(self, record: logging.LogRecord) -> None:
        if self._output:
            self._output.write(self.format(record).encode(errors="backslashreplace"))
            self._output.flush()
