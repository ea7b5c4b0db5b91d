"""Which DNS names an address is believed to have: learned from answers, before they are delivered.

1. Only an answer to an outstanding question teaches, once, and only from a trusted resolver.
2. The name that was asked is the one that is learned; aliases lead back to it.
3. A name that the process itself asked for decides for that process; else the newest question decides.
4. A name lives as long as its TTL, or as long as programs keep addresses anyway (`min_ttl_s`), whichever is longer.
Times are boot-time seconds, handed in.
"""

from collections import Counter
from collections.abc import Mapping
from enum import Enum

import msgspec

from tinysnitch.core.dns_message import NO_ERROR, Answer, Question
from tinysnitch.core.flow import Flow
from tinysnitch.core.table import BoundedTable, TableStatistics

QUESTION_LIFE_S = 30.0  # resolvers give up sooner: `timeout` of resolv.conf(5) is at most 30 s
MAX_TTL_S = 7 * 24 * 3600  # RFC 8767 4: no cache should believe more
NAMES_PER_ADDRESS = 16
ASKERS_PER_NAME = 8
MEAN_NAMES_PER_ADDRESS = 2  # over a full table: whoever owns a domain can give it any number of addresses and names
QUESTIONS_PER_ID = 4  # that wait under one id of one flow; a resolver takes a new id for each


class Refusal(Enum):
    """Why an answer taught nothing."""

    MALFORMED = "malformed"
    NOT_TRUSTED = "resolver not trusted"
    UNSOLICITED = "no question was asked"
    WRONG_QUESTION = "another question was asked"
    FAILED = "the resolver failed"
    TRUNCATED = "truncated"
    NO_ADDRESS = "no address in it"


class Learned(msgspec.Struct, frozen=True):
    addresses: tuple[bytes, ...] = ()  # packed; another name decides for them now
    refusal: Refusal | None = None


class NameFacts(msgspec.Struct, frozen=True):
    name: str | None = None  # the one that decides
    others: tuple[str, ...] = ()  # newest first
    expires_s: float = float("inf")  # when `name` stops to hold
    is_sure: bool = False  # the process asked for this name of the address, and for no other


NO_NAME = NameFacts()


class NamesStatistics(msgspec.Struct, frozen=True):
    addresses: TableStatistics
    questions: TableStatistics
    evicted_names: int  # that had to go for other names
    refusals: Mapping[Refusal, int]


class _Asked(msgspec.Struct, frozen=True):
    """An outstanding question."""

    name: str
    type: int
    exec_id: int  # 0: unknown
    number: int  # counts questions: a higher one is newer
    asked_s: float


class _Belief(msgspec.Struct):
    """One name of one address."""

    name: str
    number: int  # of the newest question for it
    expires_s: float
    askers: dict[int, int]  # exec id → number of its newest question, oldest first


_Beliefs = dict[str, _Belief]
_QuestionKey = tuple[Flow, int]


class Names:
    def __init__(self, capacity: int, max_questions: int, min_ttl_s: float) -> None:
        self._addresses: BoundedTable[bytes, _Beliefs] = BoundedTable(capacity)
        self._questions: BoundedTable[_QuestionKey, tuple[_Asked, ...]] = BoundedTable(max_questions)
        self._max_names = max(capacity * MEAN_NAMES_PER_ADDRESS, NAMES_PER_ADDRESS)
        self._used_names = 0
        self._min_ttl_s = min_ttl_s
        self._resolvers: frozenset[bytes] = frozenset()
        self._last_number = 0
        self._evicted_names = 0
        self._refusals: Counter[Refusal] = Counter()

    def set_resolvers(self, resolvers: frozenset[bytes]) -> None:
        """Trust these packed addresses and no other. Names that were learned before stay until they expire."""
        self._resolvers = resolvers

    def ask(self, flow: Flow, question: Question, process_exec_id: int | None, now_s: float) -> None:
        """Note a question on its way out. Exec id 0 is unknown, as None is."""
        if flow.remote not in self._resolvers:
            return  # its answer is refused anyway; a program's own resolver must not push out real questions
        self._forget_old_questions(now_s)
        self._last_number += 1
        asked = _Asked(question.name, question.type, process_exec_id or 0, self._last_number, now_s)
        key = (flow, question.id)
        others = [one for one in self._questions.find(key) or () if not _is_same(one, question)]
        self._questions.put(key, (*others, asked)[-QUESTIONS_PER_ID:])

    def learn(self, flow: Flow, answer: Answer, now_s: float) -> Learned:
        """Take the names out of an answer; `flow` as the question saw it."""
        if flow.remote not in self._resolvers:
            return self._refuse(Refusal.NOT_TRUSTED)
        key = (flow, answer.id)
        waiting = [one for one in self._questions.pop(key) or () if now_s - one.asked_s <= QUESTION_LIFE_S]
        asked = next((one for one in waiting if _is_same(one, answer)), None)
        if len(waiting) > (asked is not None):
            self._questions.put(key, tuple(one for one in waiting if one is not asked))
        if asked is None:
            return self._refuse(Refusal.WRONG_QUESTION if waiting else Refusal.UNSOLICITED)
        refusal = _find_refusal(answer)
        if refusal is not None:
            return self._refuse(refusal)
        return Learned(tuple(self._believe_all(asked, answer, now_s)))

    def find(self, address: bytes, now_s: float, exec_id: int | None = None) -> NameFacts:
        """The names of an address, as the process with this exec id means it."""
        beliefs = self._addresses.find(address)
        return _facts(beliefs, now_s, exec_id or 0) if beliefs else NO_NAME

    def count_malformed(self) -> Learned:
        """For the caller, who could not even parse a message."""
        return self._refuse(Refusal.MALFORMED)

    def statistics(self) -> NamesStatistics:
        return NamesStatistics(
            self._addresses.statistics(), self._questions.statistics(), self._evicted_names, dict(self._refusals)
        )

    def _refuse(self, refusal: Refusal) -> Learned:
        self._refusals[refusal] += 1
        return Learned((), refusal)

    def _forget_old_questions(self, now_s: float) -> None:
        while (oldest := self._questions.find_oldest()) and now_s - oldest[1][-1].asked_s > QUESTION_LIFE_S:
            self._questions.pop_oldest()

    def _believe_all(self, asked: _Asked, answer: Answer, now_s: float) -> list[bytes]:
        """The addresses for which another name decides now."""
        longest = {address: ttl_s for address, ttl_s in sorted(answer.addresses, key=lambda pair: pair[1])}
        return [address for address, ttl_s in longest.items() if self._believe(address, asked, ttl_s, now_s)]

    def _believe(self, address: bytes, asked: _Asked, ttl_s: int, now_s: float) -> bool:
        beliefs = self._beliefs_of(address)
        before, used = _deciding_names(beliefs, now_s, asked.exec_id), len(beliefs)
        for name in [belief.name for belief in beliefs.values() if belief.expires_s <= now_s]:
            del beliefs[name]
        expires_s = now_s + max(min(ttl_s, MAX_TTL_S), self._min_ttl_s)
        _strengthen(beliefs.setdefault(asked.name, _Belief(asked.name, 0, 0.0, {})), asked, expires_s)
        # Who preferred a name that has to go is not known here: as good as a change for all.
        is_changed = self._evict_name(beliefs) or _deciding_names(beliefs, now_s, asked.exec_id) != before
        self._used_names += len(beliefs) - used
        self._evict_addresses()
        return is_changed

    def _beliefs_of(self, address: bytes) -> _Beliefs:
        beliefs = self._addresses.find(address)
        if beliefs is None:
            beliefs = {}
            evicted = self._addresses.put(address, beliefs)
            self._used_names -= len(evicted[1]) if evicted else 0
        return beliefs

    def _evict_name(self, beliefs: _Beliefs) -> bool:
        if len(beliefs) <= NAMES_PER_ADDRESS:
            return False
        del beliefs[min(beliefs.values(), key=lambda one: one.number).name]
        self._evicted_names += 1
        return True

    def _evict_addresses(self) -> None:
        while self._used_names > self._max_names and (gone := self._addresses.pop_oldest()):
            self._used_names -= len(gone[1])
            self._evicted_names += len(gone[1])


def _is_same(asked: _Asked, message: Question | Answer) -> bool:
    return asked.name == message.name and asked.type == message.type


def _find_refusal(answer: Answer) -> Refusal | None:
    if answer.rcode != NO_ERROR:
        return Refusal.FAILED
    if answer.addresses:
        return None
    return Refusal.TRUNCATED if answer.is_truncated else Refusal.NO_ADDRESS


def _strengthen(belief: _Belief, asked: _Asked, expires_s: float) -> None:
    belief.number = max(belief.number, asked.number)
    belief.expires_s = max(belief.expires_s, expires_s)
    if not asked.exec_id:
        return
    belief.askers[asked.exec_id] = max(belief.askers.pop(asked.exec_id, 0), asked.number)
    if len(belief.askers) > ASKERS_PER_NAME:
        del belief.askers[next(iter(belief.askers))]


def _facts(beliefs: _Beliefs, now_s: float, exec_id: int) -> NameFacts:
    alive = [belief for belief in beliefs.values() if belief.expires_s > now_s]
    if not alive:
        return NO_NAME
    alive.sort(key=lambda belief: belief.number, reverse=True)
    own = [belief for belief in alive if exec_id in belief.askers]
    first = max(own, key=lambda belief: belief.askers[exec_id]) if own else alive[0]
    others = tuple(one.name for one in alive if one is not first)
    return NameFacts(first.name, others, first.expires_s, is_sure=len(own) == 1)


def _deciding_names(beliefs: _Beliefs, now_s: float, exec_id: int) -> tuple[str | None, str | None]:
    """For everyone who did not ask himself, and for this process."""
    return _facts(beliefs, now_s, 0).name, _facts(beliefs, now_s, exec_id).name
