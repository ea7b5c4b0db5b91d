"""Finds out when a question is on the screen, as the terminal itself reports: over a slow line that is later.

A terminal that is asked for its cursor position (DSR, ECMA-48) answers once it has shown all that was written before.
Keys that it sends before its answer were typed by a person who had not seen the question. A terminal that has never
answered is assumed to show at once what is written, except while it takes no output (Ctrl-S, or the program that reads
it is stopped).
"""

from collections.abc import Callable

from tinysnitch.tui.alarm import Alarm

REQUEST = "\x1b[6n"
GIVE_UP_S = 5.0  # wait for an answer, which may get lost: a question must take keys at last
LOOK_AGAIN_S = 0.05


class PaintReport:
    def __init__(
        self, write: Callable[[str], None], tell: Callable[[int], None], takes: Callable[[], bool] = lambda: True
    ) -> None:
        """`tell` is called with the number of the sight (KeyGuard.sight) that is on the screen.

        `takes`: whether the terminal takes output now; not needed if `write` itself waits for that.
        """
        self._write = write
        self._takes = takes
        self._tell = tell
        self._sight = -1  # the sight that was written last
        self._is_answering = False  # the terminal has answered, and does not owe an answer for too long
        self._asked = 0  # requests without an answer
        self._late_alarm = Alarm(self._give_up)
        self._look_alarm = Alarm(self._believe)

    def note_written(self, sight: int) -> None:
        """The sight was written, perhaps not for the first time."""
        if sight == self._sight:
            return
        self._sight = sight
        self._asked += 1
        self._write(REQUEST)
        self._look_alarm.set(None)
        self._late_alarm.set(GIVE_UP_S if self._is_answering else None)
        if not self._is_answering:
            self._believe()

    def note_answer(self) -> None:
        self._is_answering = True
        self._asked = max(0, self._asked - 1)
        if not self._asked:
            self._late_alarm.set(None)
            self._look_alarm.set(None)
            self._tell(self._sight)

    def _give_up(self) -> None:
        self._is_answering, self._asked = False, 0
        self._believe()

    def _believe(self) -> None:
        if self._takes():
            self._tell(self._sight)
        else:
            self._look_alarm.set(LOOK_AGAIN_S)
