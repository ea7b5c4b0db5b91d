"""How many descriptors may be open (getrlimit(2), RLIMIT_NOFILE).

We have one for each client, and one for each program that an answer holds for until it quits.
"""

import resource
from contextlib import suppress

from tinysnitch.core.errors import SnitchError

Limits = tuple[int, int]  # soft and hard

_LEAST = 256  # loading the programs takes 130 at once; what is there then and a full house of clients some 140


def raise_limit() -> Limits:
    """As far as it goes. Returns what it was, for the programs that we start: select(2) takes none above 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    set_limits((hard, hard))
    count, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if count < _LEAST:  # else whatever step comes to it fails, or BPF does, and the weaker mode has to do
        hint = "raise the limit: `ulimit -n` in a shell, LimitNOFILE= in a unit of systemd"
        raise SnitchError(f"{count} open files are too few: tinysnitchd needs {_LEAST}", hint)
    return soft, hard


def set_limits(limits: Limits) -> None:
    """Left as they are where `fs.nr_open` is lower than the hard one by now: do_prlimit() refuses any change then."""
    with suppress(ValueError):  # EPERM
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
