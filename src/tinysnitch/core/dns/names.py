"""Which names an address is believed to have: learned from DNS answers, before they are delivered, and from /etc/hosts.

1. Names are learned only from an answer to an outstanding question, once, and only from a resolver that was trusted
   when it was asked.
2. The name that was asked for is the one that is learned; aliases lead back to it.
3. A name that the process itself asked for decides for that process. Otherwise one of /etc/hosts does, since programs
   that read the file ask no resolver; then the name that was asked for last; and at last what a machine of the link
   said of itself (link_names.py).
4. A name lives as long as its TTL, or as long as programs keep addresses anyway (`min_name_ttl_s`), whichever is
   longer. It lives on for a process that asked for it, and for no other name of that address since: a program may
   resolve once and keep the address for days, as NTP clients do. It also lives on for the kernel, which asks nobody and
   keeps using the address that it was told (NFS, WireGuard).
5. For processes that did not ask, an address of this machine has only its names in /etc/hosts, since any domain may
   point to it.
6. Where there is no room, the user loses whose programs looked up most (model/tables.py).
Times are boot-time seconds, handed in.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from tinysnitch.core.dns.belief import (
    NO_NAME,
    Belief,
    Beliefs,
    KnownName,
    NameFacts,
    decides_already,
    find_over,
    name_facts,
    newest_questions,
)
from tinysnitch.core.dns.message import DnsAnswer, DnsQuestion, host_of
from tinysnitch.core.dns.questions import Asked, DnsQuestions, Refusal
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import UNKNOWN, UNKNOWN_EXEC_ID, user_of
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.tables import ClaimedTable, TableStatistics
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.rules.rule import LAN, LOCALHOST

MAX_NAME_TTL_S = 7 * 24 * 3600  # RFC 8767 4: no cache should believe more
KEPT_S = 90 * 24 * 3600  # for its askers: chronyd asks again after 14 days (chrony.conf(5), refresh), a mount never
NAMES_PER_ADDRESS = 16
ASKERS_PER_NAME = 8
MEAN_NAMES_PER_ADDRESS = 2  # of a full table: a domain's owner can give it any number of addresses and names


class Learned(msgspec.Struct, frozen=True):
    addresses: tuple[bytes, ...] = ()  # packed; for these another name may decide now, or be meant
    refusal: Refusal | None = None


class NamesStatistics(msgspec.Struct, frozen=True):
    addresses: TableStatistics
    questions: TableStatistics
    evicted_names: int  # names that had to make room for others
    refusals: Mapping[Refusal, int]


# Whether no process has this exec id any more. It is called when a name has too many askers. It is no event, since to
# hear of each program that ends would keep an idle daemon awake.
HasEnded = Callable[[int], bool]


def nobody_has_ended(_exec_id: int) -> bool:
    return False


class Names:
    def __init__(self, settings: Settings, facts: Facts, has_ended: HasEnded = nobody_has_ended) -> None:
        self._addresses: ClaimedTable[bytes, Beliefs] = ClaimedTable(settings.max_names)
        self.questions = DnsQuestions(settings.max_questions)
        self._max_names = max(settings.max_names * MEAN_NAMES_PER_ADDRESS, NAMES_PER_ADDRESS)
        self._used_names = 0
        self._min_ttl_s = settings.min_name_ttl_s
        self._has_ended = has_ended
        self._evicted_names = 0
        self._refusals: Counter[Refusal] = Counter()
        self.set_facts(facts)

    def set_facts(self, facts: Facts) -> None:
        """Trust only the resolvers of these facts, from the next question on.

        Resolvers that were trusted before, in a network that was left, may still answer what they were asked then.
        Names that were learned stay until they expire.
        """
        self._resolvers, self._hosts, self._words = facts.resolvers, facts.hosts, RemoteWords(facts)

    def is_trusted(self, resolver: bytes) -> bool:
        return resolver in self._resolvers

    def is_own(self, address: bytes) -> bool:
        return self._words.takes(LOCALHOST, address, None)

    def is_on_link(self, address: bytes) -> bool:
        return self._words.takes(LAN, address, None)

    def heeds(self, flow: Flow, message_id: int) -> bool:
        """Whether an answer with this id is read: the resolver is trusted, or was when it was asked."""
        return flow.remote in self._resolvers or self.questions.waits(flow, message_id)

    def ask(self, flow: Flow, question: DnsQuestion, exec_id: int, now_s: float, *, user: int = 0) -> None:
        """Note a question on its way out. `user`: the uid that asks."""
        if self.is_trusted(flow.remote):  # else questions to a server of a program's own could push out real ones
            self.questions.add(flow, question, exec_id, now_s, user=user)

    def learn(self, flow: Flow, answer: DnsAnswer, now_s: float) -> Learned:
        """Learn from an answer. `flow`: that of the question."""
        asked = self.questions.take(flow, answer, now_s)
        if isinstance(asked, Refusal):
            return self.refuse(asked)
        return self.believe(asked, answer.addresses, now_s, answer.cnames)

    def believe(
        self, asked: Asked, addresses: Iterable[tuple[bytes, int]], now_s: float, aliases: tuple[str, ...] = ()
    ) -> Learned:
        """Believe that these addresses (packed, each with its TTL in seconds) have the name that was asked for."""
        self._forget_over(now_s)
        ended: dict[int, bool] = {}  # 8 µs a look-up: one for each exec id, however many addresses there are
        longest: dict[bytes, int] = {}
        for address, ttl_s in addresses:
            longest[address] = max(ttl_s, longest.get(address, 0))
        changed = [
            address for address, ttl_s in longest.items() if self._believe(address, asked, ttl_s, now_s, aliases, ended)
        ]
        return Learned(tuple(changed))

    def find(self, address: bytes, now_s: float, exec_id: int = UNKNOWN_EXEC_ID) -> NameFacts:
        """What the process with this exec id means by an address."""
        beliefs, hosts = self._addresses.find(address), self._hosts.get(address, ())
        return self._facts(address, beliefs or {}, now_s, exec_id) if beliefs or hosts else NO_NAME

    def common_until_s(self, address: bytes, now_s: float) -> float:
        """Until when all programs mean the same by this address, unless a further name comes up; 0: they do not now."""
        beliefs, has_hosts = self._addresses.find(address) or {}, address in self._hosts
        held = [belief for belief in beliefs.values() if belief.own_expires_s > now_s]
        if not held:
            return math.inf
        if len(held) > 1 or has_hosts or self.is_own(address) or held[0].expires_s <= now_s:
            return 0.0
        return held[0].expires_s

    def knows(self, name: str, address: bytes, now_s: float) -> bool:
        """Whether the address has this name for all programs."""
        facts = self.find(address, now_s)
        return name in (facts.name, *facts.others)

    def may_ask_unseen(self, address: bytes, now_s: float, exec_id: int) -> bool:
        """Whether the process may mean a name of the address without being known to have asked for it."""
        return not (self.is_own(address) or self.find(address, now_s, exec_id).is_sure)

    def find_address(self, name: str, now_s: float) -> bytes | None:
        """The address of this name that was looked at last; None: none is known. Searches the whole table."""
        each = ((address, beliefs.get(name)) for address, beliefs in self._addresses.items())
        found = [address for address, belief in each if belief and belief.expires_s > now_s]
        found += [address for address, names in self._hosts.items() if name in names]
        return found[-1] if found else None

    def known(self, now_s: float) -> Iterator[KnownName]:
        """Names that hold now, at least for their askers. The addresses that were looked at longest ago come first."""
        for address, beliefs in self._addresses.items():
            for belief in beliefs.values():
                if belief.own_expires_s > now_s:
                    yield belief.as_known(address, self._addresses.claims_of(address))

    def restore(self, known: Iterable[KnownName]) -> None:
        """Believe what an earlier daemon knew. Every question from now on counts as newer."""
        for one in known:
            beliefs = self._beliefs_of(one.address, *(one.users or (user_of(UNKNOWN),)))
            self._used_names += one.name not in beliefs
            beliefs[one.name] = Belief.from_known(one)
            self.questions.go_on_after(one.number)
        self._evict_addresses()

    def refuse(self, refusal: Refusal, count: int = 1) -> Learned:
        """Count messages from which nothing is learned, such as those that a caller could not parse."""
        self._refusals[refusal] += count
        return Learned((), refusal)

    def statistics(self) -> NamesStatistics:
        return NamesStatistics(
            self._addresses.statistics(), self.questions.statistics(), self._evicted_names, dict(self._refusals)
        )

    def _believe(
        self,
        address: bytes,
        asked: Asked,
        ttl_s: int,
        now_s: float,
        aliases: tuple[str, ...],
        ended: dict[int, bool],
    ) -> bool:
        """Believe it of one address; returns whether another name may decide for the address now, or be meant."""
        beliefs, is_own = self._beliefs_of(address, asked.user), self.is_own(address)
        used, is_for_all = len(beliefs), not is_own and address not in self._hosts
        for name in find_over(beliefs, now_s) if beliefs else ():
            del beliefs[name]
        expires_s = now_s + max(min(ttl_s, MAX_NAME_TTL_S), self._min_ttl_s)
        name = host_of(asked.name, asked.type)
        belief = beliefs.get(name)
        is_settled = belief is not None and decides_already(beliefs, belief, asked, now_s, is_for_all=is_for_all)
        if belief is None:
            belief = beliefs[name] = Belief(name, 0, 0.0, {}, asked.source)
        belief.strengthen(asked, expires_s, now_s + (0 if is_own else KEPT_S), aliases=aliases)
        if len(belief.askers) > ASKERS_PER_NAME:
            self._evict_askers(belief, ended)
        if len(beliefs) > NAMES_PER_ADDRESS:
            self._evict_name(beliefs, now_s)
            is_settled = False  # which processes meant the name that had to go is not known here
        self._used_names += len(beliefs) - used
        if self._used_names > self._max_names:
            self._evict_addresses()
        return not is_settled

    def _facts(self, address: bytes, beliefs: Beliefs, now_s: float, exec_id: int) -> NameFacts:
        if self.is_own(address):
            beliefs = {name: belief for name, belief in beliefs.items() if exec_id in belief.askers}
        return name_facts(beliefs, now_s, exec_id, self._hosts.get(address, ()))

    def _beliefs_of(self, address: bytes, *users: int) -> Beliefs:
        """What is believed of the address, which these users claim."""
        beliefs = self._addresses.find(address) or {}
        for user in users:
            evicted = self._addresses.put(address, beliefs, user)
            self._used_names -= len(evicted[1]) if evicted else 0
        return beliefs

    def _evict_askers(self, belief: Belief, ended: dict[int, bool]) -> None:
        """Remove the askers that ended, so that the next ones find room; if none did, the oldest.

        Otherwise short-lived programs would push out one that asked once and keeps the address. `ended`: of which exec
        ids it is known already.
        """
        for exec_id in belief.askers.keys() - ended.keys():
            ended[exec_id] = self._has_ended(exec_id)
        gone = [exec_id for exec_id in belief.askers if ended[exec_id]]
        belief.is_askers_lost |= not gone
        for exec_id in gone or [next(iter(belief.askers))]:
            del belief.askers[exec_id]

    def _evict_name(self, beliefs: Beliefs, now_s: float) -> None:
        """Remove one name.

        First goes one whose askers all asked for another name since: so no program can push out, with names of its own,
        what another program asked for. Then one that has ended, which is no loss; then the one asked for longest ago.
        """
        newest = newest_questions(beliefs, now_s)
        gone = min(beliefs.values(), key=lambda one: (not one.is_left(newest), one.expires_s > now_s, one.number))
        del beliefs[gone.name]
        self._evicted_names += gone.expires_s > now_s

    def _forget_over(self, now_s: float) -> None:
        """Remove the oldest addresses as long as all their names have ended for everybody; that is no loss."""
        while oldest := self._addresses.find_oldest():
            address, beliefs = oldest
            if [one for one in beliefs.values() if one.own_expires_s > now_s]:
                return
            self._addresses.pop(address)
            self._used_names -= len(beliefs)

    def _evict_addresses(self) -> None:
        while self._used_names > self._max_names and (gone := self._addresses.make_room()):
            self._used_names -= len(gone[1])
            self._evicted_names += len(gone[1])
