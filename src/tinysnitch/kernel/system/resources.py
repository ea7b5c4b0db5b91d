"""How many descriptors may be open (getrlimit(2), RLIMIT_NOFILE), and memory that is given back to the kernel.

The daemon has a descriptor for each client, and a pidfd for each process until whose end an answer holds.
"""

import ctypes
import resource
from contextlib import suppress

from tinysnitch.core.model.errors import SnitchError

Limits = tuple[int, int]  # soft and hard

_LEAST = 256  # loading the BPF programs takes 130 for a moment; a running daemon with all clients has some 155


def raise_limit() -> Limits:
    """To the hard limit. Returns the old ones, for the programs that we start: select(2) takes none above 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    set_limits((hard, hard))
    count, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if count < _LEAST:  # else any later step may fail; if it is BPF, the weaker mode would be used
        hint = "raise the limit: `ulimit -n` in a shell, LimitNOFILE= in a unit of systemd"
        raise SnitchError(f"{count} open files are too few: tinysnitchd needs {_LEAST}", hint)
    return soft, hard


def set_limits(limits: Limits) -> None:
    """Does nothing when `fs.nr_open` is lower than the hard limit by now: do_prlimit() refuses any change then."""
    with suppress(ValueError):  # EPERM
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def give_back_memory() -> None:
    """Return to the kernel what was freed (malloc_trim(3)); another C library than glibc has no such call."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
