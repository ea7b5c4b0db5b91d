"""Room for what waits on people, shared out so that no flood of questions can silence the rest.

Half of it is out of reach for what comes in, and for any one program of one user; a quarter for any one user but root,
who may run a program under any number of names. And those who come to one port of one program may have a limit of their
own: on the internet they are any number, each with a question, and nobody answers hundreds of these. So may the
different programs of one user, of which nobody comes to the end before the questions of others are over.
"""

from collections import Counter

from tinysnitch.core.flow import Direction
from tinysnitch.core.process import AttributionSource
from tinysnitch.core.question import Question
from tinysnitch.core.user_share import share_of

_HALF, _THREE_QUARTERS = 2, 3  # quarters
_Program = tuple[AttributionSource, str, int | None]
_Service = tuple[_Program, str, int]
_ProgramsOf = tuple[str, int]
_Share = Direction | int | _Program | _Service | _ProgramsOf


class Room:
    def __init__(self, limit: int, visitors: int | None = None, programs: int | None = None) -> None:
        """`visitors`: how many places those who come to one port may take. `programs`: how many of any one user but
        root may have places."""
        self._limit = limit
        self._visitors = limit if visitors is None else visitors
        self._programs = limit if programs is None else programs
        self.used = 0
        self._used_by: Counter[_Share] = Counter()

    def has_place(self, question: Question) -> bool:
        """Whether there is a place for one more of this question."""
        shares = self._shares_of(question)
        if question.uid and _program_of(question) not in self._used_by:
            shares[_programs_of(question.uid)] = self._programs
        return self.used < self._limit and all(self._used_by[share] < most for share, most in shares.items())

    def take(self, question: Question, places: int = 1) -> None:
        self.used += places
        had_places = _program_of(question) in self._used_by
        for share in self._shares_of(question):
            self._add(share, places)
        if question.uid:
            self._add(_programs_of(question.uid), (_program_of(question) in self._used_by) - had_places)

    def give_back(self, question: Question, places: int = 1) -> None:
        self.take(question, -places)

    def _add(self, share: _Share, places: int) -> None:
        self._used_by[share] += places
        if not self._used_by[share]:  # whoever waits no more takes up no memory
            del self._used_by[share]

    def _part(self, quarters: int) -> int:
        return (self._limit * quarters + 3) // 4

    def _shares_of(self, question: Question) -> dict[_Share, int]:
        """Who shares in the room, and how many places each of them may take at most."""
        program = _program_of(question)
        # Of what is unknown each question may be about another program.
        most = self._programs if question.source is AttributionSource.UNKNOWN else self._limit
        shares: dict[_Share, int] = {program: min(self._part(_HALF), most)}
        if question.uid:  # neither root, who starts what all others need, nor nobody
            shares[share_of(question.uid)] = self._part(_THREE_QUARTERS)
        if question.direction is Direction.INBOUND:
            shares[Direction.INBOUND] = self._part(_HALF)
            protocol = question.protocol if question.port else ""  # of those without ports a remote may send any
            shares[program, protocol, question.port] = self._visitors
        return shares


def _program_of(question: Question) -> _Program:
    return question.source, question.program, question.uid


def _programs_of(uid: int) -> _ProgramsOf:
    """The share of which each program takes one, however many places it has."""
    return "programs", share_of(uid)
