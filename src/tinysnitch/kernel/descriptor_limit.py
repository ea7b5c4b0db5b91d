"""How many descriptors may be open (getrlimit(2), RLIMIT_NOFILE).

We have one for each client, and one for each program that an answer holds for until it quits.
"""

import resource
from contextlib import suppress

Limits = tuple[int, int]  # soft and hard


def raise_limit() -> Limits:
    """As far as it goes. Returns what it was, for the programs that we start: select(2) takes none above 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    set_limits((hard, hard))
    return soft, hard


def set_limits(limits: Limits) -> None:
    """Left as they are where `fs.nr_open` is lower than the hard one by now: do_prlimit() refuses any change then."""
    with suppress(ValueError):  # EPERM
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
