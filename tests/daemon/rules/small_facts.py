"""A source of facts for tests without a loop: users are looked up at once, and no path is watched."""

from collections.abc import Callable

from tinysnitch.daemon.rules.facts import FactSource
from tinysnitch.daemon.rules.lists import ListLoader
from tinysnitch.daemon.rules.paths import PathFacts
from tinysnitch.daemon.rules.users import UserIds


def make_fact_source(
    lists: ListLoader, resolvers: frozenset[bytes] = frozenset(), again: Callable[[], object] = lambda: None
) -> FactSource:
    paths = PathFacts(lambda _paths: None, lambda: None)
    return FactSource(lists, resolvers, UserIds(lambda: None), paths, again=again)
