"""What is believed of one address: each of its names, and which of them a process means.

names.py has the rules, and decides which names are kept here. A KnownName is such a name as one daemon hands it on to
the next. Times are boot-time seconds, handed in.
"""

from collections.abc import Mapping

import msgspec

from tinysnitch.core.dns.questions import Asked
from tinysnitch.core.model.connection import LINK_SOURCES, NameSource
from tinysnitch.core.model.process import KERNEL_EXEC_ID, UNKNOWN_EXEC_ID


class KnownName(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A name as it is handed on."""

    address: bytes  # packed
    name: str
    number: int  # of the newest question for it; a higher one is newer
    expires_s: float  # boot-time seconds
    kept_until_s: float  # boot-time seconds; until then the processes that asked may keep the name
    askers: tuple[tuple[int, int], ...]  # exec id and the number of its newest question, oldest first
    source: NameSource
    aliases: tuple[str, ...]
    is_askers_lost: bool = False  # there were more askers than are kept
    users: tuple[int, ...] = ()  # who looked the address up; none: not known


class NameFacts(msgspec.Struct, frozen=True):
    """What one process means by an address."""

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
    kept_until_s: float = 0.0  # until then the processes that asked may keep the name
    is_askers_lost: bool = False  # a living asker had to make room: any process that is not in `askers` may be one

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

    def as_known(self, address: bytes, users: tuple[int, ...]) -> KnownName:
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
            users=users,
        )

    @property
    def own_expires_s(self) -> float:
        """When the name ends for the processes that asked for it."""
        return max(self.expires_s, self.kept_until_s)

    @property
    def rank(self) -> tuple[bool, int]:
        """For processes that did not ask themselves the name with the highest rank decides."""
        return self.source not in LINK_SOURCES, self.number

    def may_be_of(self, exec_id: int) -> bool:
        """Whether the process asked for the name, or may have."""
        return self.is_askers_lost or exec_id in self.askers

    def is_left(self, newest: Mapping[int, int]) -> bool:
        """Whether processes asked for the name, and each asked for another since. `newest`: see newest_questions."""
        return bool(self.askers) and all(newest[exec_id] > number for exec_id, number in self.askers.items())

    def strengthen(self, asked: Asked, expires_s: float, kept_until_s: float, *, aliases: tuple[str, ...]) -> None:
        """Note that the name was asked for, and answered, once more."""
        if asked.source in LINK_SOURCES and self.source not in LINK_SOURCES:
            return  # what a machine of the link says does not renew a name that a resolver gave
        self.source, self.aliases = asked.source, aliases
        self.number = max(self.number, asked.number)
        self.expires_s = max(self.expires_s, expires_s)
        # An address of the link soon belongs to another machine.
        self.kept_until_s = 0.0 if asked.source in LINK_SOURCES else kept_until_s
        if asked.exec_id != UNKNOWN_EXEC_ID:
            self.askers[asked.exec_id] = max(self.askers.pop(asked.exec_id, 0), asked.number)


Beliefs = dict[str, Belief]  # of one address, by name


def newest_questions(beliefs: Beliefs, now_s: float) -> dict[int, int]:
    """Each asker's exec id, and the number of its newest question among the names that still hold for their askers.

    So when a name of the link ends, the name that its asker asked for before counts again (`name_facts`).
    """
    newest: dict[int, int] = {}
    for belief in beliefs.values():
        if belief.own_expires_s > now_s:
            for exec_id, number in belief.askers.items():
                newest[exec_id] = max(newest.get(exec_id, 0), number)
    return newest


def find_over(beliefs: Beliefs, now_s: float) -> list[str]:
    """The names that ended for their askers too: after KEPT_S, or once each asker asked for another name."""
    ended = [belief for belief in beliefs.values() if belief.expires_s <= now_s]
    newest = newest_questions(beliefs, now_s) if ended else {}
    return [one.name for one in ended if one.kept_until_s <= now_s or not one.askers or one.is_left(newest)]


def decides_already(beliefs: Beliefs, belief: Belief, asked: Asked, now_s: float, *, is_for_all: bool) -> bool:
    """Whether this further question for a name changes for no process which name decides, or which others it may mean.

    `is_for_all`: the names count for processes that did not ask, too. False may be wrong: comparing what each process
    means before and after would take ten times as long, for each of hundreds of addresses in one answer.
    """
    if belief.expires_s <= now_s or belief.source is not asked.source:
        return False
    exec_id = asked.exec_id
    mine = belief.askers.get(exec_id, 0)
    if not mine and exec_id != UNKNOWN_EXEC_ID:
        return is_for_all and len(beliefs) == 1
    return all(one.number <= belief.number and one.askers.get(exec_id, 0) <= mine for one in beliefs.values())


def name_facts(beliefs: Beliefs, now_s: float, exec_id: int, hosts: tuple[str, ...]) -> NameFacts:
    """What the process means by the address. `hosts`: the address's names in /etc/hosts."""
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
    """For the kernel: the name that was asked for last, as long as its askers may keep it (names.py, 4)."""
    kept = [belief for belief in beliefs.values() if belief.kept_until_s > now_s]
    if not kept:
        return NO_NAME
    last = max(kept, key=lambda belief: belief.number)
    return NameFacts(last.name, (), last.kept_until_s, source=last.source, aliases=last.aliases)


def _without(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The other names, each once."""
    return tuple(other for other in dict.fromkeys(names) if other != name)
