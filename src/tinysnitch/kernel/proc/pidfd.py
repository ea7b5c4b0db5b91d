"""Notice of a process's end: pidfd_open(2). The descriptor becomes readable when the process is gone."""

import os

from tinysnitch.kernel.proc.procfs import is_same_start, read_stat


def open_pidfd(pid: int, started_ns: int) -> int | None:
    """A descriptor for the process that started then; None when it is gone already or the pid is another's now.

    Raises OSError where there is no descriptor to be had.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    # The descriptor pins whoever has the pid now; only then is it safe to ask whether that is still the same one.
    try:
        stat = read_stat(pid)
    except OSError:
        os.close(descriptor)
        raise
    if stat is None or not is_same_start(started_ns, stat.started_ns):
        os.close(descriptor)
        return None
    return descriptor
