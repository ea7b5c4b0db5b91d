"""When what was written stands on the screen, by the terminal's own word: over a slow line it comes there later.

A terminal that is asked for its cursor (DSR, ECMA-48) answers when it comes to that, behind all that was written;
keys that it sends before its answer were typed by who had not seen it. One that has never answered is believed to show
at once what is written.
"""

from collections.abc import Callable

from tinysnitch.tui.alarm import Alarm

REQUEST = "\x1b[6n"
GIVE_UP_S = 5.0  # answers get lost: a question must not stay without keys for ever


class PaintReport:
    def __init__(self, write: Callable[[str], None], tell: Callable[[int], None]) -> None:
        self._write = write
        self._tell = tell  # which sight is on the screen
        self._sight = -1
        self._is_answering = False
        self._asked = 0  # how often, since all was answered
        self._give_up = Alarm(self._believe)

    def note_written(self, sight: int) -> None:
        """This sight is written, not for the first time perhaps."""
        if sight == self._sight:
            return
        self._sight = sight
        self._asked += 1
        self._write(REQUEST)
        self._give_up.set(GIVE_UP_S if self._is_answering else None)
        if not self._is_answering:
            self._tell(sight)

    def note_answer(self) -> None:
        self._is_answering = True
        self._asked = max(0, self._asked - 1)
        if not self._asked:
            self._give_up.set(None)
            self._tell(self._sight)

    def _believe(self) -> None:
        self._is_answering, self._asked = False, 0
        self._tell(self._sight)
