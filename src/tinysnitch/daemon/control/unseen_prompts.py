"""Says in the log that a question waits which nobody attached may see: at once, and then each AGAIN_S at most, until
somebody attaches.

In the first GRACE_S it waits: the window takes a moment to start, and after a restart prompts come back.
"""

import asyncio
import logging
import time

GRACE_S = 2.0
AGAIN_S = 600.0

_log = logging.getLogger(__name__)


class UnseenQuestions:
    def __init__(self, hint: str) -> None:
        self._hint = hint  # how to be asked
        self._begins_s = time.monotonic() + GRACE_S
        self._next_s = 0.0
        self._timer: asyncio.TimerHandle | None = None  # rings once the grace is over, if a question came in it

    def note_unseen(self) -> None:
        """A question was opened, or holds one more packet, and nobody attached may see it."""
        wait_s = self._begins_s - time.monotonic()
        if wait_s <= 0:
            self._tell()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._tell)

    def note_attached(self) -> None:
        self._next_s = 0.0
        self.stop()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + AGAIN_S
            _log.warning("a question waits, and nobody who may answer it is attached (hint: %s)", self._hint)
