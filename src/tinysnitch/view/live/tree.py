"""The rows of the live page: programs, under each its remotes, under these what the connections have in common."""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum

from tinysnitch.view.live.traffic import Meter, Sum


class Level(Enum):
    PROGRAM = 0
    REMOTE = 1
    CONNECTIONS = 2


class Sort(Enum):
    """By what the rows are sorted; the greatest first, names from A."""

    RATE = "rate"
    TOTAL = "total"
    CONNECTIONS = "connections"
    LAST = "last"
    NAME = "name"


_SIZES: dict[Sort, Callable[[Sum], float]] = {
    Sort.RATE: lambda one: one.rate,
    Sort.TOTAL: lambda one: one.bytes,
    Sort.CONNECTIONS: lambda one: one.connections,
    Sort.LAST: lambda one: one.last_s,
    Sort.NAME: lambda one: 0,
}


class Node:
    """A row."""

    __slots__ = ("key", "level", "name", "sum")

    def __init__(self, key: str, level: Level, name: str, total: Sum) -> None:
        self.key = key  # that no other row has
        self.level = level
        self.name = name
        self.sum = total

    @property
    def newest(self) -> Meter:
        """That what is done with the row is about."""
        return max(self.sum.meters, key=lambda meter: meter.last_s)


def grow(meters: Iterable[Meter], now_s: float, sort: Sort, unfolded: frozenset[str]) -> list[Node]:
    """The rows in order; what is below a row only if that is unfolded."""
    return list(_programs(meters, now_s, sort, unfolded))


def _programs(meters: Iterable[Meter], now_s: float, sort: Sort, unfolded: frozenset[str]) -> Iterator[Node]:
    for program in _group(meters, lambda meter: meter.key.program, "", Level.PROGRAM, now_s, sort):
        yield program
        if program.key not in unfolded:
            continue
        for remote in _group(
            program.sum.meters, lambda meter: meter.key.remote, program.key, Level.REMOTE, now_s, sort
        ):
            yield remote
            if remote.key in unfolded:
                yield from _group(remote.sum.meters, _tell_connections, remote.key, Level.CONNECTIONS, now_s, sort)


def _group(
    meters: Iterable[Meter], name_of: Callable[[Meter], str], above: str, level: Level, now_s: float, sort: Sort
) -> list[Node]:
    by_name: dict[str, list[Meter]] = {}
    for meter in meters:
        by_name.setdefault(name_of(meter), []).append(meter)
    nodes = [Node(f"{above}\0{name}", level, name, Sum(some, now_s)) for name, some in by_name.items()]
    size_of = _SIZES[sort]
    return sorted(nodes, key=lambda node: (-size_of(node.sum), -node.sum.bytes, node.name))


def _tell_connections(meter: Meter) -> str:
    """What the connections have in common, each in a word."""
    key = meter.key
    return " ".join((key.address, str(key.port), key.protocol, key.direction.value, key.verdict.value, key.rule or ""))
