"""Takes away the rows in which the kernel's side sums up what it decided and what connections carried.

There are two tables. A turn is begun in the other one before the rows of this are read: what no program writes any more
is read whole.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec

from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.libbpf import U64, Map, PinnedIterator, PinnedProgram
from tinysnitch.kernel.bpf.maps import BpfSettings
from tinysnitch.kernel.bpf.objects import SUM_PROGRAM, TRAFFIC_ITERATOR
from tinysnitch.kernel.bpf.pins import PinFolder

_TABLES = ("traffic_even", "traffic_odd")
_SIGN = 1 << 63


class TrafficSum(msgspec.Struct, frozen=True, gc=False):
    key: layout.TrafficKey
    connections: int
    bytes_in: int  # negative where more was counted before than was carried
    bytes_out: int
    first_s: float  # wall-clock seconds
    last_s: float


class TrafficTables:
    def __init__(self, folder: PinFolder, settings: BpfSettings) -> None:
        self._settings = settings
        with ExitStack() as opened:
            self._tables = [Map(folder.map_path(name), layout.TrafficKey, layout.Traffic) for name in _TABLES]
            self._iterator = PinnedIterator(folder.link_path(TRAFFIC_ITERATOR))
            self._sum = PinnedProgram(folder.program_path(SUM_PROGRAM), U64)
            for close in (*(table.close for table in self._tables), self._iterator.close, self._sum.close):
                opened.callback(close)
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def begin(self) -> None:
        """What connections from before the first daemon carried until now counts for nothing; of all later ones all."""
        if not self._settings.traffic_turn:
            self._settle()
            self._settings.begin_first_turn()

    def take(self) -> list[TrafficSum]:
        """All rows. A turn ends with them; once the connections were looked at anew no program still writes them."""
        self._settle()
        turn = self._settings.begin_turn()
        self._settle()
        return list(self._read(self._tables[turn & 1]))

    def _settle(self) -> None:
        """Move what the connections that go on carried since the last time into rows."""
        self._sum.run(0)
        self._iterator.run()

    def rest(self) -> bool:
        """Have the kernel's side tell of the next row. False: there are rows already."""
        self._settings.set_awaited(False)
        is_empty = not self._settings.traffic_rows
        self._settings.set_awaited(not is_empty)
        return is_empty

    @property
    def is_full(self) -> bool:
        """Whether there are so many rows that they are to be taken soon."""
        return self._settings.traffic_rows > layout.TRAFFIC_MANY

    def _read(self, table: Map[layout.TrafficKey, layout.Traffic]) -> Iterator[TrafficSum]:
        began_s = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
        for key, row in table.take_all():
            times = (row.first_ns / 1e9 + began_s, row.last_ns / 1e9 + began_s)
            yield TrafficSum(key, row.connections, _signed(row.bytes_in), _signed(row.bytes_out), *times)


def _signed(number: int) -> int:
    return (number ^ _SIGN) - _SIGN
