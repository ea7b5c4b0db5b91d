"""The kernel's side alone: programs that were never executed are written into its maps, and packets are judged that no
socket sent.

Outbound the owner is written into the entry of the flow: so it is found for a packet that was held and walks the chain
again after its socket was closed, and we are the process that reads the queues. Inbound the owner listens on the port.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Self

from tests.bpf.packet_run import PinnedFilter, make_packet
from tests.bpf.pinned_tables import open_listeners
from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.model.flow import TCP, Direction, Flow, parse_address
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.kernel.bpf.images import Image, encode_image
from tinysnitch.kernel.bpf.layout import EXEC_ID_KERNEL, FlowEntry, Listener, ListenerKey, Owner, ProcessEntry
from tinysnitch.kernel.bpf.maps import BpfMaps
from tinysnitch.kernel.bpf.pins import PinFolder
from tinysnitch.kernel.bpf.programs import BpfPrograms, key_of

KERNEL = Owner(EXEC_ID_KERNEL, 0, 0, 0)
_ANY = parse_address("0.0.0.0")
_WORDS = {Direction.OUTBOUND: "out", Direction.INBOUND: "in"}


class KernelSide:
    def __init__(self, programs: BpfPrograms) -> None:
        self.programs = programs

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._maps = BpfMaps(PinFolder(self.programs.maps_dir.parent))
            undo.callback(self._maps.close)
            self._listeners = undo.enter_context(open_listeners(self.programs))
            self._filters = {
                (direction, what): self._open(undo, f"{word}_{what}")
                for direction, word in _WORDS.items()
                for what in ("allowed", "denied")
            }
            self._undo = undo.pop_all()
        self.programs.set_generation(self.programs.generation, frozenset())  # whatever addresses this machine has
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()

    def _open(self, undo: ExitStack, name: str) -> PinnedFilter:
        opened = PinnedFilter(self.programs.program_path(name))
        undo.callback(opened.close)
        return opened

    def add_image(self, image: Image, owner: Owner) -> None:
        """As at the exec. The owner is a process that runs it."""
        assert self._maps.images.write(image.exec_id, encode_image(image))
        assert self._maps.processes.write(owner.pid, ProcessEntry(owner.exec_id, owner.started_ns))

    def judge(self, flow: Flow, owner: Owner) -> Verdict | None:
        """What the kernel does by itself with the first packet of the flow. None: user space is asked.

        It tells of a denial of outbound TCP too, but there the packet of no socket is dropped in any case."""
        if flow.direction is Direction.INBOUND:
            self._listeners.write(ListenerKey(_ANY, flow.port, flow.protocol), Listener(1, owner, members=1))
        elif owner != KERNEL:
            self._maps.flows.write(key_of(flow), FlowEntry(cookie=0, owner=owner))
        packet = make_packet(flow)
        if self._filters[flow.direction, "allowed"].run(packet):
            return Verdict.ALLOW
        is_dropped = flow.protocol == TCP and flow.direction is Direction.OUTBOUND
        is_denied = not is_dropped and self._filters[flow.direction, "denied"].run(packet)
        return Verdict.DENY if is_denied else None

    def carry_out(self, commands: Iterable[cmd.Command]) -> None:
        """What of an engine's commands is for the cache."""
        for command in commands:
            match command:
                case cmd.RememberVerdict(key, verdict, generation, expires_s, inspection):
                    expires_ns = _nanoseconds(expires_s)
                    self.programs.remember_verdict(key, verdict, generation, expires_ns, watch=inspection)
                case cmd.RememberFlow(flow, verdict, generation, expires_s, inspection, exec_id, tied_to):
                    expires_ns = _nanoseconds(expires_s)
                    self.programs.remember_flow(
                        flow, verdict, generation, expires_ns, exec_id=exec_id, watch=inspection, tied_to=tied_to
                    )
                case cmd.ForgetVerdicts(keys):
                    self.programs.forget_verdicts(keys)
                case cmd.SetGeneration(generation):
                    self.programs.set_generation(generation)


def _nanoseconds(expires_s: float | None) -> int:
    """0 is never."""
    return 0 if expires_s is None else max(1, int(expires_s * 1e9))
