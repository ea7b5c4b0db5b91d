"""Tells an answer from a letter of a pasted text, where the terminal marks no paste (GNU screen, a console).

Letters of a paste come at once, and nobody types on behind an answer before the next question is there. So an answer
waits for a moment: a key behind it makes it a text, and so are further keys until there is a pause. Who has no delay
before keys count wants no such guard either.
"""

import asyncio
from collections.abc import Callable

from tinysnitch.core.verdict import Verdict
from tinysnitch.view.keys import Act, find_key
from tinysnitch.view.prompt_events import KeyPressed
from tinysnitch.view.prompt_state import PASTED_S


class PasteGuard:
    def __init__(self, give: Callable[[KeyPressed, float], None], note_text: Callable[[float], None]) -> None:
        self._give = give
        self._note_text = note_text
        self._answer: tuple[KeyPressed, float] | None = None  # and when it was typed
        self._timer: asyncio.TimerHandle | None = None
        self._last_s = 0.0
        self.is_text = False

    def press(self, key: KeyPressed, typed_s: float) -> None:
        is_close, self._last_s = typed_s - self._last_s < PASTED_S, typed_s
        self.is_text = is_close and (self.is_text or (self._answer is not None and not _may_follow(key)))
        if self.is_text:
            self._drop_answer()
            self._note_text(typed_s)
            return
        self.pass_answer()
        if _is_answer(key):
            self._answer = key, typed_s
            self._timer = asyncio.get_running_loop().call_later(PASTED_S, self.pass_answer)
        else:
            self._give(key, typed_s)

    def pass_answer(self) -> None:
        """Nothing came behind it."""
        answer = self._answer
        self._drop_answer()
        if answer:
            self._give(*answer)

    def _drop_answer(self) -> None:
        self._answer = None
        if self._timer:
            self._timer.cancel()
            self._timer = None


def _is_answer(key: KeyPressed) -> bool:
    found = find_key(key.name)
    return found is not None and isinstance(found.effect, Verdict)


def _may_follow(key: KeyPressed) -> bool:
    """What ends a line, and the key to leave."""
    found = find_key(key.name)
    return key.name == "enter" or (found is not None and found.effect is Act.LEAVE)
