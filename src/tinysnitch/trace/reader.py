"""Makes lines of what the kernel traced.

It knows which image each process runs: at an exit the kernel's side has forgotten that already (process.bpf.c).
"""

from collections.abc import Iterator

from tinysnitch.core.model.flow import format_address, format_protocol
from tinysnitch.core.rules.secret_args import shorten_secrets
from tinysnitch.kernel.bpf.layout import (
    TRACE_EXEC,
    TRACE_EXIT,
    TRACE_FORK,
    TRACE_KIND_NAMES,
    TRACE_TRAFFIC,
    TraceEvent,
)
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.trace.line import TraceLine

_KINDS = dict(enumerate((name.removeprefix("TRACE_").lower() for name in TRACE_KIND_NAMES), TRACE_EXEC))
_NOWHERE = (TRACE_EXEC, TRACE_FORK, TRACE_EXIT)


class TraceReader:
    def __init__(self, programs: BpfPrograms, boot_wall_s: float) -> None:
        """Once all is traced: what comes later is in the events. `boot_wall_s`: when the machine booted."""
        self._programs = programs
        self._boot_wall_s = boot_wall_s
        self._running = programs.list_processes()

    def read(self) -> Iterator[TraceLine]:
        for event in self._programs.read_traces():
            if event.kind == TRACE_EXIT:
                exec_id = self._running.pop(event.owner.pid, None)
                if exec_id is not None:  # of a process with threads the last two may both tell (trace.bpf.c)
                    yield self._describe(event, exec_id)
            elif event.kind != TRACE_TRAFFIC:
                if event.kind in (TRACE_EXEC, TRACE_FORK):
                    self._running[event.owner.pid] = event.owner.exec_id
                yield self._describe(event, event.owner.exec_id)

    def _describe(self, event: TraceEvent, exec_id: int) -> TraceLine:
        image = self._programs.find_image(exec_id)
        is_somewhere = event.kind not in _NOWHERE
        status, ended_by = _split_status(event.detail) if event.kind == TRACE_EXIT else (None, None)
        return TraceLine(
            time=format_time(self._boot_wall_s + event.time_ns / 1e9),
            event=_KINDS[event.kind],
            protocol=format_protocol(event.protocol) if is_somewhere else None,
            address=format_address(event.address) if is_somewhere else None,
            port=event.port if is_somewhere else None,
            parent=event.detail if event.kind == TRACE_FORK else None,
            status=status,
            signal=ended_by,
            pid=event.owner.pid,
            uid=event.owner.uid,
            program=image.executable if image else None,
            args=tuple(shorten_secrets(image.args[1:])) if image else (),
        )


def _split_status(status: int) -> tuple[int | None, int | None]:
    """The exit status, or the signal that ended the process: wait(2)."""
    ended_by = status & 0x7F
    return (None, ended_by) if ended_by else (status >> 8 & 0xFF, None)
