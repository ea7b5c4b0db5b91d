"""Gathers the facts that rules speak of: addresses, resolvers, lists, and what the rules file's paths lead to."""

from collections.abc import Iterable
from pathlib import Path

from tinysnitch.core.errors import SnitchError
from tinysnitch.core.facts import Facts, RemoteList
from tinysnitch.core.rule import RemoteKind, Rule
from tinysnitch.kernel.addresses import read_addresses
from tinysnitch.kernel.resolv_conf import read_resolvers
from tinysnitch.store.lists import LoadedList, read_list
from tinysnitch.store.rule_facts import find_links, find_users

BUILT_IN_LISTS = frozenset({"resolvers"})


class FactSource:
    def __init__(self, lists_folder: Path) -> None:
        self._folder = lists_folder
        self._lists: dict[str, tuple[tuple[int, int], LoadedList]] = {}  # with mtime and size
        self.problems: dict[str, int] = {}  # what is wrong with lists, and how often

    def read(self, rules: Iterable[Rule]) -> Facts:
        """As they are now, for these rules."""
        rules = tuple(rules)
        addresses = read_addresses()
        return Facts(
            own_addresses=addresses.own,
            lan=addresses.lan,
            resolvers=read_resolvers(),
            lists=self._read_lists(rules),
            links=find_links(rules),
            users=find_users(rules),
        )

    def _read_lists(self, rules: Iterable[Rule]) -> dict[str, RemoteList]:
        names = {rule.remote.text for rule in rules if rule.remote.kind is RemoteKind.LIST} - BUILT_IN_LISTS
        self._lists = {name: found for name in sorted(names) if (found := self._find_list(name)) is not None}
        missing = {
            f"list {name} is not there, its rules match nothing": 1 for name in sorted(names - self._lists.keys())
        }
        bad_lines = {f"lines of list {name} not understood": each.bad_lines for name, (_, each) in self._lists.items()}
        self.problems = missing | {what: count for what, count in bad_lines.items() if count}
        return {name: loaded.remotes for name, (_stamp, loaded) in self._lists.items()}

    def _find_list(self, name: str) -> tuple[tuple[int, int], LoadedList] | None:
        """The list as it was read before when its file is the same, so that equal facts compare equal."""
        path = self._folder / name
        try:
            status = path.stat()
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._lists.get(name)
        if known and known[0] == stamp:
            return known
        try:
            return stamp, read_list(path)
        except SnitchError:
            return known  # a list that cannot be read is the one that was read before
