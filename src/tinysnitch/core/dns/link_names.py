"""Names that machines of the link give themselves: mDNS (RFC 6762) and LLMNR (RFC 4795).

Any machine of the link can claim any name. So names are learned (1) only of the kinds that these protocols are for,
`NAME.local` and single labels, which cannot pass for names of the DNS; (2) only for addresses of the link; and (3) only
while a program here waits for the name, from what other machines send (tracker.py). And (4) every other name of an
address takes precedence (names.py); (5) no user's questions push out those of others, as in questions.py.
"""

from collections.abc import Iterator

from tinysnitch.core.dns.message import DnsQuestion
from tinysnitch.core.dns.names import Learned, Names
from tinysnitch.core.dns.questions import Asked, Refusal
from tinysnitch.core.dns.wire import AAAA, ANY, IN, A, Record, open_message, read_question, read_records
from tinysnitch.core.model.connection import NameSource
from tinysnitch.core.model.domain import is_within
from tinysnitch.core.model.process import share_of
from tinysnitch.core.model.tables import ClaimedTable, TableStatistics

LINK_PORTS = {5353: NameSource.MDNS, 5355: NameSource.LLMNR}
LINK_QUESTION_LIFE_S = 10.0  # answers come within half a second (RFC 6762 6); several machines may answer
MAX_QUESTIONS = 64  # that are read in one message
_FLAGS = 2  # where they begin in a message
_CLASS = 0x7FFF  # without the high bit, which has other meanings (RFC 6762 18.12, 18.13)


def parse_link_questions(payload: bytes) -> list[DnsQuestion]:
    """All questions in a message; none if it is an answer. Raises Malformed."""
    if _is_answer(payload):
        return []
    reader, header = open_message(payload, is_answer=False)
    questions = []
    for _ in range(min(header.questions, MAX_QUESTIONS)):
        name, kind, class_ = read_question(reader)
        if class_ & _CLASS == IN:
            questions.append(DnsQuestion(header.id, name, kind))
    return questions


def parse_link_answer(payload: bytes) -> list[Record]:
    """The records with addresses in an answer; none if the message is a question. Raises Malformed."""
    if not _is_answer(payload):
        return []
    reader, header = open_message(payload, is_answer=True)
    for _ in range(min(header.questions, MAX_QUESTIONS)):
        read_question(reader)
    return [record for record in read_records(reader, header, _CLASS) if record.type in (A, AAAA)]


def _is_answer(payload: bytes) -> bool:
    """Questions and answers come to the same port, since every machine asks all others."""
    return len(payload) > _FLAGS and bool(payload[_FLAGS] & 0x80)


class LinkNames:
    def __init__(self, names: Names, max_questions: int) -> None:
        self._names = names
        # The last question of each user for a name: another user's must not take its place, and so its answer.
        self._questions: ClaimedTable[tuple[int, NameSource, str, int], Asked] = ClaimedTable(max_questions)

    def ask(self, source: NameSource, question: DnsQuestion, exec_id: int, now_s: float, *, user: int = 0) -> None:
        """Note a question on its way out. `user`: the uid that asks."""
        if not _is_of_link(source, question.name):
            return
        for kind in (A, AAAA) if question.type == ANY else (question.type,):
            number = self._names.questions.next_number()
            asked = Asked(question.name, kind, exec_id, number, now_s, source, user=user)
            self._questions.put((share_of(user), source, question.name, kind), asked, user)

    def learn(self, source: NameSource, records: list[Record], now_s: float) -> Iterator[Learned]:
        """Learn the names that were asked for. Others are no offence, as machines announce themselves."""
        for record in records:
            if not isinstance(record.value, bytes):
                continue
            for asked in self._find_asked(source, record, now_s):
                if self._names.is_on_link(record.value):
                    yield self._names.believe(asked, [(record.value, record.ttl_s)], now_s)
                else:
                    yield self._names.refuse(Refusal.NOT_ON_LINK)

    def statistics(self) -> TableStatistics:
        return self._questions.statistics()

    def _find_asked(self, source: NameSource, record: Record, now_s: float) -> Iterator[Asked]:
        """The questions that the record answers, one of each user at most."""
        for share in self._questions.shares():
            asked = self._questions.find((share, source, record.owner, record.type))
            if asked is not None and now_s - asked.asked_s <= LINK_QUESTION_LIFE_S:
                yield asked


def _is_of_link(source: NameSource, name: str) -> bool:
    return is_within(name, "local") if source is NameSource.MDNS else "." not in name
