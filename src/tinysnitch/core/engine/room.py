"""Room for what waits for people, shared so that no flood of questions can crowd out the rest.

All inbound connections together may take half of it, and so may any one program of one user; all programs of a user but
root three quarters, since a user can run a program under any number of names. The remotes that connect to one port of
one program may have a limit of their own: on the internet there is any number of them, each makes a question, and
nobody answers hundreds of these. So may the number of a user's programs that have questions: otherwise the questions of
others would end unanswered before people got through these.
"""

from collections import Counter

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import AttributionSource
from tinysnitch.core.model.user_share import share_of
from tinysnitch.core.prompts.question import Question

_HALF, _THREE_QUARTERS = 2, 3  # quarters
_Program = tuple[AttributionSource, str, int | None]
_Service = tuple[_Program, str, int]
_ProgramsOf = tuple[str, int]
_Share = Direction | int | _Program | _Service | _ProgramsOf


class Room:
    def __init__(self, limit: int, visitors: int | None = None, programs: int | None = None) -> None:
        """`visitors`: how many places the remotes that connect to one port may take. `programs`: how many programs of
        any one user but root may have places."""
        self._limit = limit
        self._visitors = limit if visitors is None else visitors
        self._programs = limit if programs is None else programs
        self.used = 0
        self._used_by: Counter[_Share] = Counter()

    def has_place(self, question: Question) -> bool:
        """Whether there is a place for one more connection with this question."""
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
        if not self._used_by[share]:  # a share without places takes no memory
            del self._used_by[share]

    def _part(self, quarters: int) -> int:
        return (self._limit * quarters + 3) // 4

    def _shares_of(self, question: Question) -> dict[_Share, int]:
        """The shares that a place for this question counts in, each with the most places that it may have."""
        program = _program_of(question)
        # Each question about `unknown` may be about another program, so it counts as one.
        most = self._programs if question.source is AttributionSource.UNKNOWN else self._limit
        shares: dict[_Share, int] = {program: min(self._part(_HALF), most)}
        if question.uid:  # not for root, whose services all others need, nor where the user is not known
            shares[share_of(question.uid)] = self._part(_THREE_QUARTERS)
        if question.direction is Direction.INBOUND:
            shares[Direction.INBOUND] = self._part(_HALF)
            # A remote may send any of the protocols without ports, so these share one limit.
            protocol = question.protocol if question.port else ""
            shares[program, protocol, question.port] = self._visitors
        return shares


def _program_of(question: Question) -> _Program:
    return question.source, question.program, question.uid


def _programs_of(uid: int) -> _ProgramsOf:
    """The share in which each program of a user counts once, however many places it has."""
    return "programs", share_of(uid)
