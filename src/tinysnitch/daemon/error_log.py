"""What goes wrong, on standard error while the loop runs: a reader that stops reading it holds nothing up.

As lines that look as logging's own, and that are lost and counted where nobody takes them. For the loop's thread alone.
"""

import logging
import os
import stat
import time
from typing import Self

from tinysnitch.core.errors import is_shortage, words_of
from tinysnitch.daemon.log_output import LogOutput
from tinysnitch.protocol.log_text import escape

_FORMAT = "tinysnitch: %(message)s"
_LIKE_IT_S = 1.0  # one of a kind at most in this time
_MAX_KINDS = 64

_asyncio = logging.getLogger("asyncio")


class PrintableFormatter(logging.Formatter):
    """Whatever is logged, and of whatever an error's text or its traceback tells: it steers no terminal."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(escape, super().format(record).split("\n")))


def log_to_standard_error() -> None:
    """Until there is an ErrorLog, and where there is none."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(handlers=[handler])


class ErrorLog(logging.Handler):
    """Takes what is logged between `with` and its end: ours and asyncio's."""

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(PrintableFormatter())
        self._descriptor = descriptor
        self._output: LogOutput | None = None
        self._others: list[logging.Handler] = []
        self._spared = 0
        self._next_s: dict[str, float] = {}  # by the first line of what asyncio said: when it may say that again

    @property
    def lost(self) -> int:
        """Lines, and what asyncio said too often."""
        return self._spared + (self._output.lost if self._output else 0)

    def _spare(self, record: logging.LogRecord) -> bool:
        """Whether it is told. Without descriptors asyncio complains of accept() several hundred times a second."""
        kind, now_s = record.getMessage().partition("\n")[0], time.monotonic()
        if now_s < self._next_s.get(kind, 0.0):
            self._spared += 1
            return False
        if len(self._next_s) >= _MAX_KINDS:
            self._next_s.clear()
        self._next_s[kind] = now_s + _LIKE_IT_S
        error = record.exc_info[1] if record.exc_info else None
        if is_shortage(error):  # nobody's bug: told in a line
            record.msg, record.args, record.exc_info = f"{kind}: {words_of(error)}", (), None
        return True

    def __enter__(self) -> Self:
        """A regular file keeps nobody waiting, and others write at the offset that they share: it stays as it is."""
        _asyncio.addFilter(self._spare)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self._output = LogOutput(self._descriptor)
            self._others, logging.root.handlers[:] = logging.root.handlers[:], [self]
        return self

    def __exit__(self, *_: object) -> None:
        _asyncio.removeFilter(self._spare)
        if self._output:
            logging.root.handlers[:] = self._others
            self._output.close()

    def emit(self, record: logging.LogRecord) -> None:
        if self._output:
            self._output.write(self.format(record).encode(errors="backslashreplace"))
            self._output.flush()
