"""Random walks of what is believed of addresses, with the promises that hold after every answer."""

from collections.abc import Callable
from itertools import product

from hypothesis import strategies as st

from tests.core.dns.resolver_talk import CURL, FIREFOX, MIRROR, SHOP, ResolverTalk
from tinysnitch.core.dns.belief import NameFacts
from tinysnitch.core.dns.names import Names
from tinysnitch.core.dns.questions import Asked
from tinysnitch.core.dns.wire import A
from tinysnitch.core.model.connection import NameSource
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.model.process import KERNEL_EXEC_ID

OWN = frozenset({parse_address("192.0.2.1")})  # of this machine
ADDRESSES = [SHOP, MIRROR, *OWN]
WHO = [0, KERNEL_EXEC_ID, CURL, FIREFOX]
NAMES = ["a.test", "b.test", "c.test", "printer.local"]
HOSTS = st.dictionaries(st.sampled_from(ADDRESSES), st.sampled_from([("a.test",), ("b.test", "d.test")]), max_size=2)
ANSWER = st.tuples(
    st.just("hear"),
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=2, unique=True),
    st.sampled_from([1, 400, 10**6]),
    st.sampled_from(WHO),
)
DAY_S = 86400.0
STEPS = st.one_of(
    *[ANSWER] * 4,
    st.tuples(st.just("wait"), st.sampled_from([1.0, 301.0, 3 * DAY_S, 8 * DAY_S])),
    st.tuples(st.just("set_hosts"), HOSTS),
)
_Believed = dict[tuple[bytes, int], NameFacts]


class NamesWalk:
    def __init__(self, capacity: int) -> None:
        self.talk = ResolverTalk(capacity)
        self.names = self.talk.names
        self.talk.finds(own_addresses=OWN)
        self.capacity = capacity
        self.hosts: dict[bytes, tuple[str, ...]] = {}

    def take(self, kind: str, *values: object) -> None:
        step: Callable[..., None] = getattr(self, f"_{kind}")
        step(*values)
        statistics = self.names.statistics()
        known = list(self.names.known(self.talk.now_s))
        assert statistics.addresses.used <= self.capacity
        assert len({one.address for one in known}) <= statistics.addresses.used
        assert len(known) <= 2 * self.capacity + 16
        self._check_handover()

    def _hear(self, name: str, addresses: list[bytes], ttl_s: int, who: int) -> None:
        """Every address for which another name decides now, or may be meant as well, is reported."""
        before, room = self._believed(self.names), self.names.statistics().addresses
        source = NameSource.MDNS if name.endswith(".local") else NameSource.DNS
        asked = Asked(name, A, who, self.names.questions.next_number(), self.talk.now_s, source)
        told = self.names.believe(asked, [(address, ttl_s) for address in addresses], self.talk.now_s).addresses
        if self.names.statistics().addresses.evicted > room.evicted:
            return  # a name that had to go is not known to be wrong
        after = self._believed(self.names)
        changed = {key[0] for key, facts in after.items() if _is_other(before[key], facts)}
        assert changed <= set(told)

    def _check_handover(self) -> None:
        """The next daemon believes the same, for everyone."""
        after = ResolverTalk(self.capacity)
        after.finds(own_addresses=OWN, hosts=self.hosts)
        after.names.restore(list(self.names.known(self.talk.now_s)))
        assert self._believed(after.names) == self._believed(self.names)

    def _set_hosts(self, hosts: dict[bytes, tuple[str, ...]]) -> None:
        self.hosts = hosts
        self.talk.finds(own_addresses=OWN, hosts=hosts)

    def _wait(self, seconds: float) -> None:
        self.talk.now_s += seconds

    def _believed(self, names: Names) -> _Believed:
        return {(address, who): names.find(address, self.talk.now_s, who) for address, who in product(ADDRESSES, WHO)}


def _is_other(before: NameFacts, after: NameFacts) -> bool:
    return before.name != after.name or not _meant(after) <= _meant(before)


def _meant(facts: NameFacts) -> frozenset[str]:
    return frozenset(() if facts.is_sure else facts.others)
