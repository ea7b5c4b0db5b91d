"""Which names an address is believed to have: learned from DNS answers, before they are delivered, and from /etc/hosts.

1. Only an answer to an outstanding question teaches, once, and only from a resolver that was trusted with it.
2. The name that was asked is the one that is learned; aliases lead back to it.
3. A name that the process itself asked for decides for that process. Otherwise one of /etc/hosts does, since programs
   that read it ask nobody; then the newest question; and last what a machine of the link said of itself
   (link_names.py).
4. A name lives as long as its TTL, or as long as programs keep addresses anyway (`min_ttl_s`), whichever is longer. For
   a process that asked for it, and for no other name of that address since, it lives on: a program may resolve once and
   keep the address for days, as time servers' clients do. Likewise for the kernel, which asks nobody and goes on with
   the address that somebody told it (NFS, WireGuard).
5. For programs that did not ask, an address of this machine has no name but that of /etc/hosts: any domain may point
   to it.
Times are boot-time seconds, handed in.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from tinysnitch.core.dns_message import Answer, Question, host_of
from tinysnitch.core.dns_questions import Asked, DnsQuestions, Refusal
from tinysnitch.core.facts import Facts
from tinysnitch.core.flow import Flow
from tinysnitch.core.known_name import KnownName
from tinysnitch.core.name_source import LINK_SOURCES, NameSource
from tinysnitch.core.process import KERNEL_EXEC_ID, UNKNOWN_EXEC_ID
from tinysnitch.core.remote_words import RemoteWords
from tinysnitch.core.rule import LOCALHOST
from tinysnitch.core.settings import Settings
from tinysnitch.core.table import BoundedTable, TableStatistics

MAX_NAME_TTL_S = 7 * 24 * 3600  # RFC 8767 4: no cache should believe more
KEPT_S = 90 * 24 * 3600  # by whoever asked: chronyd asks again after 14 days (chrony.conf(5), refresh), a mount never
NAMES_PER_ADDRESS = 16
ASKERS_PER_NAME = 8
MEAN_NAMES_PER_ADDRESS = 2  # over a full table: whoever owns a domain can give it any number of addresses and names


class Learned(msgspec.Struct, frozen=True):
    addresses: tuple[bytes, ...] = ()  # packed; another name decides for them now, or may be meant
    refusal: Refusal | None = None


class NameFacts(msgspec.Struct, frozen=True):
    name: str | None = None  # the one that decides
    others: tuple[str, ...] = ()  # newest first
    expires_s: float = float("inf")  # when `name` stops holding
    is_sure: bool = False  # the process asked for this name of the address, and for no other
    source: NameSource = NameSource.DNS  # of `name`
    aliases: tuple[str, ...] = ()  # CNAMEs on the way from `name` to the address


NO_NAME = NameFacts()


class NamesStatistics(msgspec.Struct, frozen=True):
    addresses: TableStatistics
    questions: TableStatistics
    evicted_names: int  # that had to go for other names
    refusals: Mapping[Refusal, int]


class _Belief(msgspec.Struct):
    """One name of one address."""

    name: str
    number: int  # of the newest question for it
    expires_s: float
    askers: dict[int, int]  # exec id → number of its newest question, oldest first
    source: NameSource
    aliases: tuple[str, ...] = ()
    kept_until_s: float = 0.0  # for those who asked
    is_askers_lost: bool = False  # one that lives had to go: whoever is not among them may have asked

    @property
    def own_expires_s(self) -> float:
        return max(self.expires_s, self.kept_until_s)

    def may_be_of(self, exec_id: int) -> bool:
        """Whether the process asked for it, as far as is known."""
        return self.is_askers_lost or exec_id in self.askers

    def is_left(self, newest: Mapping[int, int]) -> bool:
        """Whether programs asked for it, and all of them asked for another name of the address since."""
        return bool(self.askers) and all(newest[who] > number for who, number in self.askers.items())

    @property
    def rank(self) -> tuple[bool, int]:
        """Higher is believed first, for programs that did not ask themselves."""
        return self.source not in LINK_SOURCES, self.number


_Beliefs = dict[str, _Belief]
HasEnded = Callable[[int], bool]  # whether nothing runs under an exec id; asked when a name has too many askers


def nobody_has_ended(_exec_id: int) -> bool:
    return False


class Names:
    def __init__(self, settings: Settings, facts: Facts, has_ended: HasEnded = nobody_has_ended) -> None:
        self._addresses: BoundedTable[bytes, _Beliefs] = BoundedTable(settings.max_names)
        self.questions = DnsQuestions(settings.max_questions)
        self._max_names = max(settings.max_names * MEAN_NAMES_PER_ADDRESS, NAMES_PER_ADDRESS)
        self._used_names = 0
        self._min_ttl_s = settings.min_name_ttl_s
        self._has_ended = has_ended
        self._evicted_names = 0
        self._refusals: Counter[Refusal] = Counter()
        self.set_facts(facts)

    def set_facts(self, facts: Facts) -> None:
        """Trust the resolvers of these facts and no others with what is asked from now on.

        What others were asked before, in the network that was left, they may still answer. Names that were learned stay
        until they expire.
        """
        self._resolvers, self._hosts, self._words = facts.resolvers, facts.hosts, RemoteWords(facts)

    def is_trusted(self, resolver: bytes) -> bool:
        return resolver in self._resolvers

    def heeds(self, flow: Flow, message_id: int) -> bool:
        """Whether an answer there is looked at."""
        return self.is_trusted(flow.remote) or self.questions.waits(flow, message_id)

    def ask(self, flow: Flow, question: Question, exec_id: int, now_s: float) -> None:
        """Note a question on its way out."""
        if self.is_trusted(flow.remote):  # else a program's own resolver could push out real questions
            self.questions.add(flow, question, exec_id, now_s)

    def learn(self, flow: Flow, answer: Answer, now_s: float) -> Learned:
        """Take the names out of an answer; `flow` as the question saw it."""
        if not self.heeds(flow, answer.id):
            return self.refuse(Refusal.NOT_TRUSTED)
        asked = self.questions.take(flow, answer, now_s)
        if isinstance(asked, Refusal):
            return self.refuse(asked)
        return self.believe(asked, answer.addresses, now_s, answer.cnames)

    def believe(
        self, asked: Asked, addresses: Iterable[tuple[bytes, int]], now_s: float, aliases: tuple[str, ...] = ()
    ) -> Learned:
        """Take the name that was asked for as one of these addresses (packed, each with its TTL in seconds)."""
        longest = {address: ttl_s for address, ttl_s in sorted(addresses, key=lambda pair: pair[1])}
        changed = [
            address
            for address, ttl_s in longest.items()
            if self._believe(address, asked, ttl_s, now_s, aliases=aliases)
        ]
        return Learned(tuple(changed))

    def find(self, address: bytes, now_s: float, exec_id: int = UNKNOWN_EXEC_ID) -> NameFacts:
        """The names of an address, as the process with this exec id means it."""
        beliefs, hosts = self._addresses.find(address), self._hosts.get(address, ())
        return self._facts(address, beliefs or {}, now_s, exec_id) if beliefs or hosts else NO_NAME

    def may_ask_unseen(self, address: bytes, now_s: float, exec_id: int) -> bool:
        """Whether the process may mean a name of it that it is not known to have asked for."""
        return not (self._is_own(address) or self.find(address, now_s, exec_id).is_sure)

    def find_address(self, name: str, now_s: float) -> bytes | None:
        """One that the name is known to lead to, the last that was looked at. Goes through all that is known."""
        found = [address for address, beliefs in self._addresses.items() if _holds(beliefs.get(name), now_s)]
        found += [address for address, names in self._hosts.items() if name in names]
        return found[-1] if found else None

    def known(self, now_s: float) -> Iterator[KnownName]:
        """What holds now, at least for those who asked; the addresses that were looked at longest ago come first."""
        for address, beliefs in self._addresses.items():
            for belief in beliefs.values():
                if belief.own_expires_s > now_s:
                    yield _as_known(address, belief)

    def restore(self, known: Iterable[KnownName]) -> None:
        """Believe what an earlier daemon knew. Every question from now on is newer."""
        for one in known:
            beliefs = self._beliefs_of(one.address)
            self._used_names += one.name not in beliefs
            beliefs[one.name] = _Belief(
                one.name,
                one.number,
                one.expires_s,
                dict(one.askers),
                one.source,
                one.aliases,
                one.kept_until_s,
                one.is_askers_lost,
            )
            self.questions.go_on_after(one.number)
        self._evict_addresses()

    def refuse(self, refusal: Refusal) -> Learned:
        """Count what taught nothing; also for a caller who could not even parse it."""
        self._refusals[refusal] += 1
        return Learned((), refusal)

    def statistics(self) -> NamesStatistics:
        return NamesStatistics(
            self._addresses.statistics(), self.questions.statistics(), self._evicted_names, dict(self._refusals)
        )

    def _believe(self, address: bytes, asked: Asked, ttl_s: int, now_s: float, *, aliases: tuple[str, ...]) -> bool:
        """Whether another name decides for the address now, or may be meant."""
        self._forget_over(now_s)
        beliefs, own_life_s = self._beliefs_of(address), 0 if self._is_own(address) else KEPT_S
        before, used = self._deciding_names(address, beliefs, now_s, asked.exec_id), len(beliefs)
        for name in _find_over(beliefs, now_s):
            del beliefs[name]
        expires_s = now_s + max(min(ttl_s, MAX_NAME_TTL_S), self._min_ttl_s)
        name = host_of(asked.name, asked.type)
        belief = beliefs.setdefault(name, _Belief(name, 0, 0.0, {}, asked.source))
        _strengthen(belief, asked, expires_s, now_s + own_life_s, aliases=aliases)
        self._evict_asker(belief)
        # Who preferred a name that has to go is not known here: as good as a change for all.
        is_changed = self._evict_name(beliefs, now_s)
        is_changed |= self._deciding_names(address, beliefs, now_s, asked.exec_id) != before
        self._used_names += len(beliefs) - used
        self._evict_addresses()
        return is_changed

    def _facts(self, address: bytes, beliefs: _Beliefs, now_s: float, exec_id: int) -> NameFacts:
        if self._is_own(address):
            beliefs = {name: belief for name, belief in beliefs.items() if exec_id in belief.askers}
        return _facts(beliefs, now_s, exec_id, self._hosts.get(address, ()))

    def _is_own(self, address: bytes) -> bool:
        return self._words.takes(LOCALHOST, address, None)

    def _deciding_names(
        self, address: bytes, beliefs: _Beliefs, now_s: float, exec_id: int
    ) -> tuple[tuple[str | None, frozenset[str]], ...]:
        """For everyone who did not ask, and for this process; each with the names that may be meant as well."""
        each = (self._facts(address, beliefs, now_s, who) for who in (UNKNOWN_EXEC_ID, exec_id))
        return tuple((facts.name, frozenset(() if facts.is_sure else facts.others)) for facts in each)

    def _beliefs_of(self, address: bytes) -> _Beliefs:
        beliefs = self._addresses.find(address)
        if beliefs is None:
            beliefs = {}
            evicted = self._addresses.put(address, beliefs)
            self._used_names -= len(evicted[1]) if evicted else 0
        return beliefs

    def _evict_asker(self, belief: _Belief) -> None:
        """Those that have ended go first: else short-lived ones push out one that asked once and keeps the address."""
        if len(belief.askers) > ASKERS_PER_NAME:
            ended = next(filter(self._has_ended, belief.askers), None)
            belief.is_askers_lost |= ended is None
            del belief.askers[next(iter(belief.askers)) if ended is None else ended]

    def _evict_name(self, beliefs: _Beliefs, now_s: float) -> bool:
        """What nobody means any more goes first, so that no program can push out what another one asked for with
        names of its own; then what has ended, which is no loss."""
        if len(beliefs) <= NAMES_PER_ADDRESS:
            return False
        newest = _newest_questions(beliefs)
        gone = min(beliefs.values(), key=lambda one: (not one.is_left(newest), one.expires_s > now_s, one.number))
        del beliefs[gone.name]
        self._evicted_names += gone.expires_s > now_s
        return True

    def _forget_over(self, now_s: float) -> None:
        """Addresses whose names have ended for everybody make room first, and are no loss."""
        while (oldest := self._addresses.find_oldest()) and all(
            belief.own_expires_s <= now_s for belief in oldest[1].values()
        ):
            self._addresses.pop_oldest()
            self._used_names -= len(oldest[1])

    def _evict_addresses(self) -> None:
        while self._used_names > self._max_names and (gone := self._addresses.pop_oldest()):
            self._used_names -= len(gone[1])
            self._evicted_names += len(gone[1])


def _as_known(address: bytes, belief: _Belief) -> KnownName:
    return KnownName(
        address=address,
        name=belief.name,
        number=belief.number,
        expires_s=belief.expires_s,
        kept_until_s=belief.kept_until_s,
        askers=tuple(belief.askers.items()),
        source=belief.source,
        aliases=belief.aliases,
        is_askers_lost=belief.is_askers_lost,
    )


def _newest_questions(beliefs: _Beliefs) -> dict[int, int]:
    """The number of each asker's newest question for the address."""
    newest: dict[int, int] = {}
    for belief in beliefs.values():
        for who, number in belief.askers.items():
            newest[who] = max(newest.get(who, 0), number)
    return newest


def _find_over(beliefs: _Beliefs, now_s: float) -> list[str]:
    """The names that have ended, for those who asked too: after a week, or once all of them asked for another name."""
    ended = [belief for belief in beliefs.values() if belief.expires_s <= now_s]
    newest = _newest_questions(beliefs) if ended else {}
    return [one.name for one in ended if one.kept_until_s <= now_s or not one.askers or one.is_left(newest)]


def _strengthen(
    belief: _Belief, asked: Asked, expires_s: float, kept_until_s: float, *, aliases: tuple[str, ...]
) -> None:
    if asked.source in LINK_SOURCES and belief.source not in LINK_SOURCES:
        return  # what the link says makes no name of a resolver younger
    belief.source, belief.aliases = asked.source, aliases
    belief.number = max(belief.number, asked.number)
    belief.expires_s = max(belief.expires_s, expires_s)
    # An address of the link is soon another's.
    belief.kept_until_s = 0.0 if asked.source in LINK_SOURCES else kept_until_s
    if asked.exec_id != UNKNOWN_EXEC_ID:
        belief.askers[asked.exec_id] = max(belief.askers.pop(asked.exec_id, 0), asked.number)


def _facts(beliefs: _Beliefs, now_s: float, exec_id: int, hosts: tuple[str, ...]) -> NameFacts:
    alive = [belief for belief in beliefs.values() if belief.expires_s > now_s]
    own = [belief for belief in beliefs.values() if exec_id in belief.askers and belief.own_expires_s > now_s]
    if not alive and not hosts and not own:
        return _last_facts(beliefs, now_s) if exec_id == KERNEL_EXEC_ID else NO_NAME
    alive.sort(key=lambda belief: belief.rank, reverse=True)
    if hosts and not own:
        return NameFacts(hosts[0], _without(hosts[0], (*hosts, *(one.name for one in alive))), source=NameSource.HOSTS)
    first = max(own, key=lambda belief: belief.askers[exec_id]) if own else alive[0]
    return NameFacts(
        first.name,
        _without(first.name, (*(one.name for one in alive), *hosts)),
        first.own_expires_s if own else first.expires_s,
        is_sure=bool(own) and not hosts and not any(one is not first and one.may_be_of(exec_id) for one in alive),
        source=first.source,
        aliases=first.aliases,
    )


def _last_facts(beliefs: _Beliefs, now_s: float) -> NameFacts:
    """What was asked for last, as long as whoever asked may keep it."""
    kept = [belief for belief in beliefs.values() if belief.kept_until_s > now_s]
    if not kept:
        return NO_NAME
    last = max(kept, key=lambda belief: belief.number)
    return NameFacts(last.name, (), last.kept_until_s, source=last.source, aliases=last.aliases)


def _holds(belief: _Belief | None, now_s: float) -> bool:
    return belief is not None and belief.expires_s > now_s


def _without(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The others, each once."""
    return tuple(other for other in dict.fromkeys(names) if other != name)
