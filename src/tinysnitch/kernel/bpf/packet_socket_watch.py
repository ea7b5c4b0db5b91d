"""Reports each process with a packet socket once, however it is found.

A BPF program reports when one is opened or, on kernels that cannot trace functions, when something is sent through it.
The kernel's table of open packet sockets has old and silent ones, too. The program is not pinned: it ends with the
daemon.
"""

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.kernel.bpf.layout import Owner
from tinysnitch.kernel.bpf.libbpf import ObjectFile, Ring
from tinysnitch.kernel.bpf.objects import PACKET_PROGRAMS, object_path
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.packet_sockets import PacketSocketHolder, read_inodes

_CAPACITY = 4096  # processes reported


class PacketSocketWatch:
    """For one network namespace; made in it. Without BPF only the table of open sockets is looked at."""

    def __init__(self, programs: BpfPrograms | None) -> None:
        self._programs = programs
        self._known: set[int] = set()  # inodes in the table, which the number of descriptors bounds
        self._told: BoundedTable[PacketSocketHolder, bool] = BoundedTable(_CAPACITY)
        self._undo = ExitStack()
        self.program: str | None = None  # the BPF program that reports
        self._ring = self._load(programs.maps_dir) if programs else None

    def close(self) -> None:
        self._undo.close()

    def fileno(self) -> int | None:
        """Readable when the BPF program has reported somebody. None: there is no program."""
        return self._ring.fd if self._ring else None

    def read_events(self) -> list[PacketSocketHolder]:
        """The holders that the BPF program has reported, without those that were reported before."""
        owners = map(Owner.unpack_from, self._ring.consume() if self._ring else ())
        return [holder for holder in map(self._describe, owners) if self._is_new(holder)]

    def find_unknown(self) -> set[int]:
        """Inodes of open sockets whose holders were not looked for yet. Costs a read of the table."""
        there = read_inodes()
        self._known &= there
        return there - self._known

    def take_found(self, inodes: set[int], holders: Iterable[PacketSocketHolder]) -> list[PacketSocketHolder]:
        """Note that the holders of these sockets were looked for; returns those that were not reported before."""
        self._known |= inodes
        return [holder for holder in holders if self._is_new(holder)]

    def _load(self, maps_dir: Path) -> Ring | None:
        """Load the first program that this kernel can run; nothing stays of one that it cannot."""
        for file, program in PACKET_PROGRAMS.items():
            with suppress(SnitchError), ExitStack() as undo:
                loaded = ObjectFile(object_path(file), maps_dir)
                undo.callback(loaded.close)
                undo.callback(loaded.attach(program).close)
                ring = Ring(maps_dir / "packet_events")
                undo.callback(ring.close)
                self.program = program
                self._undo = undo.pop_all()
                return ring
        return None

    def _describe(self, owner: Owner) -> PacketSocketHolder:
        image = self._programs.find_image(owner.exec_id) if self._programs else None
        executable = image.executable if image else "unknown"
        return PacketSocketHolder(owner.pid, owner.uid, executable, procfs.to_tick(owner.started_ns))

    def _is_new(self, holder: PacketSocketHolder) -> bool:
        is_new = self._told.find(holder) is None
        self._told.put(holder, True)
        return is_new
