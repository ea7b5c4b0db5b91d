"""Names of users, from the system's user database."""

import pwd
import time
from functools import lru_cache

LIFE_S = 60.0  # a prompt runs for months, and users come and go


def find_user(uid: int) -> str | None:
    """A user's name; None for a uid that nobody has."""
    return _find_user(uid, time.monotonic() // LIFE_S)


@lru_cache(maxsize=256)
def _find_user(uid: int, _period: float) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return None
