"""Outstanding DNS questions: names are learned only from an answer that one of them waits for, and only once.

If a question had to make room, no name would be known for what its program connects to, and a rule that denies the name
would not match. So the user who has most loses one (model/tables.py).

Times are boot-time seconds, handed in.
"""

from enum import Enum

import msgspec
from msgspec.structs import replace

from tinysnitch.core.dns.message import NO_ERROR, DnsAnswer, DnsQuestion
from tinysnitch.core.model.connection import NameSource
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.tables import ClaimedTable, TableStatistics

ROOT = "."  # no host has this name and no rule can spell it; but a resolver may answer whatever it is asked
QUESTION_LIFE_S = 30.0  # resolvers give up sooner: `timeout` of resolv.conf(5) is at most 30 s
QUESTIONS_PER_ID = 4  # questions that wait under one id of one flow; a resolver takes a new id for each


class Refusal(Enum):
    """Why no name was learned from an answer. Those in SUSPICIOUS should not happen, the others happen every day."""

    MALFORMED = "malformed"
    NOT_TRUSTED = "resolver not trusted"
    UNSOLICITED = "no question was asked"
    WRONG_QUESTION = "another question was asked"
    NOT_ON_LINK = "address not on the link"
    ANSWERED = "answered already"
    FAILED = "the resolver failed"
    TRUNCATED = "truncated"
    NO_ADDRESS = "no address in it"
    NO_LOOKUP = "no look-up of a name"


SUSPICIOUS = (
    Refusal.MALFORMED,
    Refusal.NOT_TRUSTED,
    Refusal.UNSOLICITED,
    Refusal.WRONG_QUESTION,
    Refusal.NOT_ON_LINK,
)


class Asked(msgspec.Struct, frozen=True):
    """An outstanding question."""

    name: str
    type: int
    exec_id: int
    number: int  # counts questions: a higher one is newer
    asked_s: float
    source: NameSource = NameSource.DNS  # whom the program asked
    sent: int = 1  # how often it was sent, less the answers that came
    user: int = 0  # whose room it takes, and its answer
    is_answered: bool = False  # addresses came; nothing more is learned from answers to its repetitions


class DnsQuestions:
    def __init__(self, capacity: int) -> None:
        self._questions: ClaimedTable[tuple[Flow, int], tuple[Asked, ...]] = ClaimedTable(capacity)
        self._last_number = 0

    def next_number(self) -> int:
        """The number of a new question that is kept elsewhere."""
        self._last_number += 1
        return self._last_number

    def go_on_after(self, number: int) -> None:
        """Number further questions higher than this, to which an earlier daemon counted."""
        self._last_number = max(self._last_number, number)

    def add(self, flow: Flow, question: DnsQuestion, exec_id: int, now_s: float, *, user: int = 0) -> None:
        """Note a question on its way out. If it is sent again it counts as new, and one more answer is expected."""
        self._forget_old(now_s)
        key = (flow, question.id)
        known = self._questions.find(key) or ()
        sent = 1 + sum(one.sent for one in known if _is_same(one, question))
        asked = Asked(question.name, question.type, exec_id, self.next_number(), now_s, sent=sent, user=user)
        others = [one for one in known if not _is_same(one, question)]
        self._questions.put(key, (*others, asked)[-QUESTIONS_PER_ID:], user)

    def waits(self, flow: Flow, message_id: int) -> bool:
        """Whether a question with this id was sent in this flow, and still waits for an answer."""
        return self._questions.find((flow, message_id)) is not None

    def take(self, flow: Flow, answer: DnsAnswer, now_s: float) -> Asked | Refusal:
        """The question that waits for this answer, which is taken out; or why nothing is learned from the answer."""
        key = (flow, answer.id)
        waiting = [one for one in self._questions.pop(key) or () if now_s - one.asked_s <= QUESTION_LIFE_S]
        same = [one for one in waiting if _is_same(one, answer)]
        asked = same[0] if same else None
        result = _judge(asked, answer) if asked else Refusal.WRONG_QUESTION if waiting else Refusal.UNSOLICITED
        left = [one for one in waiting if one is not asked]
        if asked and asked.sent > 1:  # the program asked again before a slow resolver answered, and each is answered
            left.append(replace(asked, sent=asked.sent - 1, is_answered=asked.is_answered or result is asked))
        if left:
            self._questions.put(key, tuple(left), left[-1].user)
        return result

    def statistics(self) -> TableStatistics:
        return self._questions.statistics()

    def _forget_old(self, now_s: float) -> None:
        while (oldest := self._questions.find_oldest()) and now_s - oldest[1][-1].asked_s > QUESTION_LIFE_S:
            self._questions.pop(oldest[0])


def _is_same(asked: Asked, message: DnsQuestion | DnsAnswer) -> bool:
    return asked.name == message.name and asked.type == message.type


def _judge(asked: Asked, answer: DnsAnswer) -> Asked | Refusal:
    if asked.is_answered:
        return Refusal.ANSWERED
    if answer.rcode != NO_ERROR:
        return Refusal.FAILED
    if answer.addresses and answer.name != ROOT:
        return asked
    return Refusal.TRUNCATED if answer.is_truncated else Refusal.NO_ADDRESS
