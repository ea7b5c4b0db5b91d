"""A source of facts for tests: users are looked up at once if no thread may do it, and no path is watched."""

from collections.abc import Callable

from tinysnitch.daemon.rules.facts import FactSource
from tinysnitch.daemon.rules.lists import ListLoader
from tinysnitch.daemon.rules.paths import PathFacts
from tinysnitch.daemon.rules.users import UserIds
from tinysnitch.kernel.system.offload import Offload


def make_fact_source(
    lists: ListLoader,
    resolvers: frozenset[bytes] = frozenset(),
    again: Callable[[], object] = lambda: None,
    max_threads: int = 0,
) -> FactSource:
    users = UserIds(lambda: None, Offload(max_threads=max_threads))
    paths = PathFacts(lambda _paths: None, lambda: None)
    return FactSource(lists, resolvers, users, paths, again=again)
