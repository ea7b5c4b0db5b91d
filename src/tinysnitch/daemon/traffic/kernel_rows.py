"""Rows of what the kernel's side summed up: numbers of programs, rules and addresses become their names.

The kernel knows a program by the number under which its verdict was found. Each such verdict came from a decision of
user space, so whoever notes these decisions knows the numbers. A number that is not known any more may be an exec id.
"""

from collections.abc import Callable

import msgspec

from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import KERNEL_EXEC_ID, UNKNOWN_EXEC_ID, AttributionSource
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.traffic.row import TrafficKey, TrafficRow, line_of
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.bpf.traffic import TrafficSum

MAX_PROGRAMS = 65_536  # numbers

NameOf = Callable[[bytes, int, int], str | None]  # of a remote, at a port, as the program of an exec id means it
_OF_NO_PROCESS = {UNKNOWN_EXEC_ID: AttributionSource.UNKNOWN.value, KERNEL_EXEC_ID: AttributionSource.KERNEL.value}


class _Program(msgspec.Struct, frozen=True):
    path: str
    exec_id: int
    has_process: bool = True


class KernelRows:
    def __init__(self, programs: BpfPrograms, name_of: NameOf) -> None:
        self._kernel = programs
        self._name_of = name_of
        self._programs: BoundedTable[int, _Program] = BoundedTable(MAX_PROGRAMS)

    def begin(self) -> None:
        """What connections from before the first daemon carried until now counts for nothing."""
        self._kernel.traffic.begin()

    def fileno(self) -> int:
        """Readable when the kernel's side has rows, while nobody waits for any."""
        return self._kernel.traces_fd

    def read_told(self) -> None:
        self._kernel.read_traces()

    @property
    def is_full(self) -> bool:
        """Whether the rows are to be taken soon."""
        return self._kernel.traffic.is_full

    def rest(self) -> bool:
        """Have the kernel's side tell of the next row. False: there are rows already."""
        return self._kernel.traffic.rest()

    def note(self, record: ConnectionDecided) -> None:
        """Note under which numbers the kernel's side may know the program. What the first exec of a number means by an
        address stands for all: where programs mean several names by it, the verdict was found by the exec id."""
        process = record.connection.attribution.process
        if process is None or self._programs.find(process.exec_id):
            return
        known = _Program(process.program, process.exec_id)
        for number in (process.exec_id, process.grains.file, process.grains.args, process.grains.lineage):
            if number and self._programs.find(number) is None:
                self._programs.put(number, known)

    def take(self) -> list[TrafficRow]:
        """What was summed up since the last time."""
        return list(map(self._row_of, self._kernel.traffic.take()))

    def _row_of(self, one: TrafficSum) -> TrafficRow:
        key, program = one.key, self._find_program(one.key.program)
        rule = self._kernel.uses.rule_at(key.rule)
        named = TrafficKey(
            program=program.path,
            uid=key.uid if program.has_process else None,
            remote=key.remote,
            name=self._name_of(key.remote, key.port if key.direction == layout.OUTBOUND else 0, program.exec_id),
            port=key.port,
            protocol=key.protocol,
            direction=Direction.OUTBOUND if key.direction == layout.OUTBOUND else Direction.INBOUND,
            verdict=Verdict.ALLOW if key.verdict == layout.VERDICT_ALLOW else Verdict.DENY,
            rule=line_of(rule) if rule else None,
        )
        return TrafficRow(named, one.connections, one.bytes_in, one.bytes_out, one.first_s, one.last_s)

    def _find_program(self, number: int) -> _Program:
        if number in _OF_NO_PROCESS:
            return _Program(_OF_NO_PROCESS[number], number, has_process=False)
        known = self._programs.find(number)
        if known is None:
            image = self._kernel.find_image(number)
            known = _Program(image.executable if image else AttributionSource.UNKNOWN.value, number)
        return known
