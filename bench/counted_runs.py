"""kernel.bpf_stats_enabled (admin-guide/sysctl/kernel.rst): whether the kernel counts what BPF programs take.

It then reads the clock twice around each run. On a virtual machine that is more than some of our programs take.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SWITCH = Path("/proc/sys/kernel/bpf_stats_enabled")


@contextmanager
def counted_runs(*, are_counted: bool) -> Iterator[None]:
    """Switch it on for the whole machine, and back afterwards."""
    before = _SWITCH.read_text()
    _SWITCH.write_text(str(int(are_counted)))
    try:
        yield
    finally:
        _SWITCH.write_text(before)
