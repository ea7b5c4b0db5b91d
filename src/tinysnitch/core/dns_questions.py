"""Outstanding DNS questions: an answer teaches only when one of them waits for it, and once.

Whose question is forgotten has no name of what it connects to, and a rule that denies the name does not hold: so each
user has a share of the room.

Times are boot-time seconds, handed in.
"""

from enum import Enum

import msgspec
from msgspec.structs import replace

from tinysnitch.core.dns_message import NO_ERROR, DnsAnswer, DnsQuestion
from tinysnitch.core.flow import Flow
from tinysnitch.core.name_source import NameSource
from tinysnitch.core.shared_table import SharedTable
from tinysnitch.core.table import TableStatistics

ROOT = "."  # no host has that name and no rule can spell it, but a resolver that answers everything answers this too
QUESTION_LIFE_S = 30.0  # resolvers give up sooner: `timeout` of resolv.conf(5) is at most 30 s
QUESTIONS_PER_ID = 4  # that wait under one id of one flow; a resolver takes a new id for each


class Refusal(Enum):
    """Why an answer taught nothing. The first ones should not happen, the others happen every day."""

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
    source: NameSource = NameSource.DNS  # whom it was put to
    sent: int = 1  # how often, without those that were answered
    user: int = 0  # whose share of the room it takes
    is_answered: bool = False  # by addresses; the answers to the others that were sent teach nothing


class DnsQuestions:
    def __init__(self, capacity: int) -> None:
        self._questions: SharedTable[tuple[Flow, int], tuple[Asked, ...]] = SharedTable(capacity)
        self._last_number = 0

    def next_number(self) -> int:
        """For a question that is kept elsewhere."""
        self._last_number += 1
        return self._last_number

    def go_on_after(self, number: int) -> None:
        """Where an earlier daemon counted to this."""
        self._last_number = max(self._last_number, number)

    def add(self, flow: Flow, question: DnsQuestion, exec_id: int, now_s: float, *, user: int = 0) -> None:
        """Note a question on its way out; one that is sent again counts as new, and one more answer is to come."""
        self._forget_old(now_s)
        key = (flow, question.id)
        known = self._questions.find(key) or ()
        sent = 1 + sum(one.sent for one in known if _is_same(one, question))
        asked = Asked(question.name, question.type, exec_id, self.next_number(), now_s, sent=sent, user=user)
        others = [one for one in known if not _is_same(one, question)]
        self._questions.put(key, (*others, asked)[-QUESTIONS_PER_ID:], user)

    def waits(self, flow: Flow, message_id: int) -> bool:
        """Whether a question under this id was put there, and is not answered yet."""
        return self._questions.find((flow, message_id)) is not None

    def take(self, flow: Flow, answer: DnsAnswer, now_s: float) -> Asked | Refusal:
        """The question that waits for this answer, and waits no more; or why the answer teaches nothing."""
        key = (flow, answer.id)
        waiting = [one for one in self._questions.pop(key) or () if now_s - one.asked_s <= QUESTION_LIFE_S]
        asked = next((one for one in waiting if _is_same(one, answer)), None)
        result = _judge(asked, answer) if asked else Refusal.WRONG_QUESTION if waiting else Refusal.UNSOLICITED
        left = [one for one in waiting if one is not asked]
        if asked and asked.sent > 1:  # the program did not wait, and a slow resolver answers each
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
