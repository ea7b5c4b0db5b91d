"""What is believed of one address: each of its names, and which of them a process means.

How names come here, and which have to go, is up to names.py, which has the rules. Times are boot-time seconds, handed
in.
"""

from collections.abc import Mapping

import msgspec

from tinysnitch.core.dns_questions import Asked
from tinysnitch.core.known_name import KnownName
from tinysnitch.core.name_source import LINK_SOURCES, NameSource
from tinysnitch.core.process import KERNEL_EXEC_ID, UNKNOWN_EXEC_ID


class NameFacts(msgspec.Struct, frozen=True):
    """The names of an address, as one process means it."""

    name: str | None = None  # the one that decides
    others: tuple[str, ...] = ()  # newest first
    expires_s: float = float("inf")  # when `name` stops holding
    is_sure: bool = False  # the process asked for this name of the address, and for no other
    source: NameSource = NameSource.DNS  # of `name`
    aliases: tuple[str, ...] = ()  # CNAMEs on the way from `name` to the address


NO_NAME = NameFacts()


class Belief(msgspec.Struct):
    """One name of one address."""

    name: str
    number: int  # of the newest question for it
    expires_s: float
    askers: dict[int, int]  # exec id → number of its newest question, oldest first
    source: NameSource
    aliases: tuple[str, ...] = ()
    kept_until_s: float = 0.0  # for those who asked
    is_askers_lost: bool = False  # one that lives had to go: whoever is not among them may have asked

    @classmethod
    def from_known(cls, known: KnownName) -> "Belief":
        return cls(
            known.name,
            known.number,
            known.expires_s,
            dict(known.askers),
            known.source,
            known.aliases,
            known.kept_until_s,
            known.is_askers_lost,
        )

    def as_known(self, address: bytes) -> KnownName:
        return KnownName(
            address=address,
            name=self.name,
            number=self.number,
            expires_s=self.expires_s,
            kept_until_s=self.kept_until_s,
            askers=tuple(self.askers.items()),
            source=self.source,
            aliases=self.aliases,
            is_askers_lost=self.is_askers_lost,
        )

    @property
    def own_expires_s(self) -> float:
        """For those who asked."""
        return max(self.expires_s, self.kept_until_s)

    @property
    def rank(self) -> tuple[bool, int]:
        """Higher is believed first, for programs that did not ask themselves."""
        return self.source not in LINK_SOURCES, self.number

    def may_be_of(self, exec_id: int) -> bool:
        """Whether the process asked for it, as far as is known."""
        return self.is_askers_lost or exec_id in self.askers

    def is_left(self, newest: Mapping[int, int]) -> bool:
        """Whether programs asked for it, and all of them asked for another name of the address since."""
        return bool(self.askers) and all(newest[who] > number for who, number in self.askers.items())

    def strengthen(self, asked: Asked, expires_s: float, kept_until_s: float, *, aliases: tuple[str, ...]) -> None:
        """It was asked for, and answered, once more."""
        if asked.source in LINK_SOURCES and self.source not in LINK_SOURCES:
            return  # what the link says makes no name of a resolver younger
        self.source, self.aliases = asked.source, aliases
        self.number = max(self.number, asked.number)
        self.expires_s = max(self.expires_s, expires_s)
        # An address of the link is soon another's.
        self.kept_until_s = 0.0 if asked.source in LINK_SOURCES else kept_until_s
        if asked.exec_id != UNKNOWN_EXEC_ID:
            self.askers[asked.exec_id] = max(self.askers.pop(asked.exec_id, 0), asked.number)


Beliefs = dict[str, Belief]  # of one address, by name


def newest_questions(beliefs: Beliefs, now_s: float) -> dict[int, int]:
    """The number of each asker's newest question for the address, of those that still hold for who asked.

    A name of the link that has ended leaves its asker the one of before (`name_facts`).
    """
    newest: dict[int, int] = {}
    for belief in beliefs.values():
        if belief.own_expires_s > now_s:
            for who, number in belief.askers.items():
                newest[who] = max(newest.get(who, 0), number)
    return newest


def find_over(beliefs: Beliefs, now_s: float) -> list[str]:
    """The names that have ended, for those who asked too: after KEPT_S, or once all of them asked for another name."""
    ended = [belief for belief in beliefs.values() if belief.expires_s <= now_s]
    newest = newest_questions(beliefs, now_s) if ended else {}
    return [one.name for one in ended if one.kept_until_s <= now_s or not one.askers or one.is_left(newest)]


def decides_already(beliefs: Beliefs, belief: Belief, asked: Asked, now_s: float, *, is_for_all: bool) -> bool:
    """Whether it changes for nobody which name decides, or may be meant as well, that it was asked for once more.
    `is_for_all`: those who did not ask mean it, too.

    Not always seen where it is so: to compare what each means before and after takes ten times as long, for each of
    hundreds of addresses in one answer.
    """
    if belief.expires_s <= now_s or belief.source is not asked.source:
        return False
    who = asked.exec_id
    mine = belief.askers.get(who, 0)
    if not mine and who != UNKNOWN_EXEC_ID:
        return is_for_all and len(beliefs) == 1
    return all(one.number <= belief.number and one.askers.get(who, 0) <= mine for one in beliefs.values())


def name_facts(beliefs: Beliefs, now_s: float, exec_id: int, hosts: tuple[str, ...]) -> NameFacts:
    """What the process means by the address; `hosts` are its names in /etc/hosts."""
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


def _last_facts(beliefs: Beliefs, now_s: float) -> NameFacts:
    """What was asked for last, as long as whoever asked may keep it."""
    kept = [belief for belief in beliefs.values() if belief.kept_until_s > now_s]
    if not kept:
        return NO_NAME
    last = max(kept, key=lambda belief: belief.number)
    return NameFacts(last.name, (), last.kept_until_s, source=last.source, aliases=last.aliases)


def _without(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The others, each once."""
    return tuple(other for other in dict.fromkeys(names) if other != name)
