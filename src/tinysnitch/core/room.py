"""Room for what waits on people, shared out so that no flood of questions can silence the rest.

Half of it is out of reach for what comes in, and for any one program of one user; a quarter for any one user but root,
who may run a program under any number of names.
"""

from collections import Counter

from tinysnitch.core.flow import Direction
from tinysnitch.core.process import AttributionSource
from tinysnitch.core.question import Question

_HALF, _THREE_QUARTERS = 2, 3  # quarters
_Share = Direction | int | tuple[AttributionSource, str, int | None]


class Room:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0
        self._used_by: Counter[_Share] = Counter()

    def has_place(self, question: Question) -> bool:
        """Whether there is a place for one more of this question."""
        shares = _shares_of(question).items()
        return self.used < self._limit and all(
            self._used_by[share] < self._part(quarters) for share, quarters in shares
        )

    def take(self, question: Question, places: int = 1) -> None:
        self.used += places
        for share in _shares_of(question):
            self._used_by[share] += places

    def give_back(self, question: Question, places: int = 1) -> None:
        self.take(question, -places)
        for share in _shares_of(question):
            if not self._used_by[share]:  # whoever waits no more takes up no memory
                del self._used_by[share]

    def _part(self, quarters: int) -> int:
        return (self._limit * quarters + 3) // 4


def _shares_of(question: Question) -> dict[_Share, int]:
    """Who shares in the room, and how many quarters of it each of them may take at most."""
    shares: dict[_Share, int] = {(question.source, question.program, question.uid): _HALF}
    if question.uid:  # neither root, who starts what all others need, nor nobody
        shares[question.uid] = _THREE_QUARTERS
    if question.direction is Direction.INBOUND:
        shares[Direction.INBOUND] = _HALF
    return shares
