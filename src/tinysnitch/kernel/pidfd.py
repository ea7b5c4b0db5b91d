"""Notice of a process's end: pidfd_open(2). The descriptor becomes readable when the process is gone."""

import os
from collections.abc import Callable


def open_pidfd(pid: int, started_ns: int, find_start: Callable[[int], int | None]) -> int | None:
    """A descriptor for the process that started then; None when it is gone already or the pid is another's now."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    # The descriptor pins whoever has the pid now; only then is it safe to ask whether that is still the same one.
    if find_start(pid) != started_ns:
        os.close(descriptor)
        return None
    return descriptor
