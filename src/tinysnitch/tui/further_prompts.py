"""Says in the plain prompt that further questions wait behind the one in sight: their time goes on, too.

It does not say what they are about: y and n are for the question in sight, not for the one that was read out last.
"""

from tinysnitch.view.prompt_list import Questions

PAUSE_S = 1.0  # between two lines: a page that is loaded asks forty questions


class FurtherQuestions:
    def __init__(self) -> None:
        self._known: frozenset[int] = frozenset()  # the ids of those that the person was told of
        self._told_s = 0.0

    def note_asked(self, questions: Questions, now: float) -> None:
        """A question was printed, and with it how many wait."""
        self._known, self._told_s = frozenset(questions), now

    def tell(self, questions: Questions, now: float) -> list[str]:
        """The line for those that came since; none if there are none, or if the last line was printed just now."""
        new = [number for number, one in questions.items() if number not in self._known and not one.is_sent]
        if not new or now < self._told_s + PAUSE_S:
            return []
        self.note_asked(questions, now)
        return [f"{f'{len(new)} more questions wait' if len(new) > 1 else 'another question waits'} behind this one"]
