"""Gathers the facts that rules refer to: addresses, resolvers, hosts, lists, users, and where paths lead."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.references import Mentions
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.daemon.rules.lists import HeldList, ListLoader
from tinysnitch.daemon.rules.paths import PathFacts
from tinysnitch.daemon.rules.users import UserIds
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.kernel.netlink.addresses import read_addresses
from tinysnitch.kernel.resolver.hosts_file import HOSTS, Hosts, read_hosts
from tinysnitch.kernel.resolver.name_services import find_name_services
from tinysnitch.kernel.resolver.resolv_conf import read_resolvers
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.store.file_stamp import Stamp, read_stamp

SILENT = "the files that say how names are looked up do not answer, what they said before holds"
AGAIN_S = 60.0  # how soon these files are tried again


class _NameSetup(msgspec.Struct, frozen=True):
    """How names are looked up on this machine."""

    resolvers: frozenset[bytes]
    services: tuple[str, ...]


class FactSource:
    def __init__(
        self,
        lists: ListLoader,
        resolvers: frozenset[bytes],
        users: UserIds,
        paths: PathFacts,
        *,
        again: Callable[[], object],
    ) -> None:
        """`resolvers`: packed addresses to trust besides those that the machine is set up with. `again` is called when
        it is time to read once more what did not answer."""
        self.lists = lists
        self._users = users
        self._paths = paths
        self.problems: dict[str, int] = {}  # what is wrong with lists, users, paths and names → a count
        self._resolvers = resolvers
        self._offload = Offload()
        self._again = again
        self._timer = SingleTimer(again)
        self._setup: _NameSetup | None = None
        self._hosts: tuple[Stamp | None, Hosts] = (None, Hosts())  # with the state of the file that was read

    def cancel(self) -> None:
        self._timer.cancel()

    def set_resolvers(self, resolvers: frozenset[bytes]) -> None:
        """Trust these besides those that the machine is set up with, from now on."""
        self._resolvers = resolvers
        self._again()

    def read(self, mentions: Mentions) -> Facts:
        """Read the facts that rules with these words need, as they are now."""
        addresses = read_addresses()
        self.lists.refresh()
        self.problems = dict(problem for name in sorted(mentions.lists) for problem in self._problems_of(name))
        hosts = self._read_hosts()
        if hosts.lost:
            self.problems["names of /etc/hosts not read"] = hosts.lost
        found = {name: self.lists.find(name) for name in mentions.lists}
        ways, users = self._paths.read(mentions), self._users.find(mentions.users)
        setup = self._find_setup()
        told = (*_problems_of_users(mentions.users, users), *self._paths.problems(), *setup.services)
        self.problems |= dict.fromkeys(told, 1)
        return Facts(
            own_addresses=addresses.own,
            lan=addresses.lan,
            resolvers=setup.resolvers | self._resolvers,
            hosts=hosts.names,
            lists={name: compiled.remotes for name, compiled in found.items() if compiled},
            links=ways.links,
            turnable_links=ways.turnable_links,
            patterns=ways.patterns,
            turnable_patterns=ways.turnable_patterns,
            users={name: uid for name, uid in users.items() if uid is not None},
        )

    @property
    def name_services(self) -> tuple[str, ...]:
        """Problems with services that look up names for programs, each with a remedy; as read last."""
        return self._setup.services if self._setup else ()

    def has_other_addresses(self, facts: Facts) -> bool:
        addresses = read_addresses()
        return (addresses.own, addresses.lan) != (facts.own_addresses, facts.lan)

    def _read_hosts(self) -> Hosts:
        """Read the file only when it has changed: one with many lines takes long."""
        try:
            stamp = read_stamp(HOSTS)
        except OSError:
            return Hosts()
        if stamp != self._hosts[0]:
            self._hosts = (stamp if stamp.is_settled() else None, read_hosts(HOSTS))
        return self._hosts[1]

    def _find_setup(self) -> _NameSetup:
        """Read how names are looked up; where that takes too long what was read before holds, and only a start waits.

        To look for a file that is missing in /run (tmpfs) takes the folder's lock, which any user can hold.
        """
        if self._setup is None:
            self._setup = _read_setup()
            return self._setup
        try:
            self._setup = self._offload.look(_read_setup)
        except TimeoutError:
            self.problems[SILENT] = 1
            self._timer.start(AGAIN_S)
        return self._setup

    def is_awaited(self, mentions: Mentions) -> bool:
        """Whether one of these lists or users is still being looked up for the first time."""
        self.lists.refresh()
        return self.lists.is_awaited(mentions.lists) or self._users.is_awaited(mentions.users)

    def _problems_of(self, name: str) -> Iterator[tuple[str, int]]:
        held = self.lists.held().get(name, HeldList())
        if held.compiled is None and not held.is_loading:
            yield f"list {name} {held.problem or 'is not there'}, its rules match nothing", 1
        elif held.problem:
            yield f"list {name} could not be read again: {held.problem}", 1
        if held.compiled and held.compiled.summary.bad_lines:
            yield f"lines of list {name} not understood", held.compiled.summary.bad_lines


def _read_setup() -> _NameSetup:
    return _NameSetup(read_resolvers(), tuple(find_name_services()))


def _problems_of_users(names: Iterable[str], users: Mapping[str, int | None]) -> Iterator[str]:
    for name in sorted(names):
        if name not in users:
            yield f"user {quote_word(name[:64])} is not looked up yet, its rules match nothing until then"
        elif users[name] is None:
            yield f"there is no user {quote_word(name[:64])}, its rules match nothing"
