"""When what was written stands on the screen, by the terminal's own word: over a slow line it comes there later.

A terminal that is asked for its cursor (DSR, ECMA-48) answers when it comes to that, behind all that was written;
keys that it sends before its answer were typed by who had not seen it. One that has never answered is believed to show
at once what is written.
"""

import asyncio
from collections.abc import Callable

REQUEST = "\x1b[6n"
GIVE_UP_S = 5.0  # answers get lost: a question must not stay without keys for ever


class PaintReport:
    def __init__(self, write: Callable[[str], None], tell: Callable[[int], None]) -> None:
        self._write = write
        self._tell = tell  # which sight is on the screen
        self._sight = -1
        self._is_answering = False
        self._asked = 0  # how often, since all was answered
        self._timer: asyncio.TimerHandle | None = None

    def note_written(self, sight: int) -> None:
        """This sight is written, not for the first time perhaps."""
        if sight == self._sight:
            return
        self._sight = sight
        self._asked += 1
        self._write(REQUEST)
        self._stop_timer()
        if self._is_answering:
            self._timer = asyncio.get_running_loop().call_later(GIVE_UP_S, self._give_up)
        else:
            self._tell(sight)

    def note_answer(self) -> None:
        self._is_answering = True
        self._asked = max(0, self._asked - 1)
        if not self._asked:
            self._stop_timer()
            self._tell(self._sight)

    def _give_up(self) -> None:
        self._is_answering, self._asked = False, 0
        self._tell(self._sight)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
