"""When what was written stands on the screen, by the terminal's own word: over a slow line it comes there later.

A terminal that is asked for its cursor (DSR, ECMA-48) answers when it comes to that, behind all that was written;
keys that it sends before its answer were typed by somebody who had not seen it. One that has never answered is believed
to show at once what is written, except while it takes nothing (Ctrl-S, or whoever reads it is stopped).
"""

from collections.abc import Callable

from tinysnitch.tui.alarm import Alarm

REQUEST = "\x1b[6n"
GIVE_UP_S = 5.0  # an answer may get lost: a question must not go without keys for ever
LOOK_AGAIN_S = 0.05


class PaintReport:
    def __init__(
        self, write: Callable[[str], None], tell: Callable[[int], None], takes: Callable[[], bool] = lambda: True
    ) -> None:
        """`takes`: whether the terminal takes what is written; where `write` waits for that, it always does."""
        self._write = write
        self._takes = takes
        self._tell = tell  # which sight is on the screen
        self._sight = -1
        self._is_answering = False
        self._asked = 0  # how often, since all was answered
        self._late_alarm = Alarm(self._give_up)
        self._look_alarm = Alarm(self._believe)

    def note_written(self, sight: int) -> None:
        """This sight is written, not for the first time perhaps."""
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
