"""Logs and counts unforeseen exceptions (our bugs, or a kernel that refuses), so that the loop goes on.

When descriptors or memory run short anything may fail. That is no bug, and is logged without a traceback.
"""

import logging
import sys
from collections.abc import Callable

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import SHORTAGE_HINT, SnitchError, is_shortage, words_of
from tinysnitch.kernel.system.clock import read_instant

TRACEBACK_S = 1.0  # at most one is logged in this time: a program that can make us fail must not fill the log
BUG_HINT = "what it said before tells more; please report it"

_log = logging.getLogger(__name__)


class Failures:
    def __init__(self, clock: Callable[[], Instant] = read_instant) -> None:
        self._clock = clock
        self.count = 0  # pieces of work that ended by an exception
        self.last = self.hint = ""  # what failed last, and what may help
        self._next_traceback_s = 0.0

    def attempt(self, work: Callable[..., object], *arguments: object) -> bool:
        """Do the work; whether it raised no exception."""
        try:
            work(*arguments)
        except Exception:
            self.note(work.__name__)
            return False
        return True

    def note(self, what: str) -> None:
        """Log and count the exception that is being handled. `what`: the work that failed."""
        self.count += 1
        now_s, error = self._clock().boot_s, sys.exception()
        self.last, self.hint = words_of(error), _hint_of(error)
        if now_s >= self._next_traceback_s:
            self._next_traceback_s = now_s + TRACEBACK_S
            if self.hint == BUG_HINT:
                _log.exception("failed: %s", what)
            else:
                _log.error("failed: %s: %s", what, self.last)


def _hint_of(error: BaseException | None) -> str:
    if isinstance(error, SnitchError):  # an adapter raised it, with a hint of its own
        return error.hint
    return SHORTAGE_HINT if is_shortage(error) else BUG_HINT
