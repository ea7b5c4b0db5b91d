"""Names of users, from the system's user database."""

import pwd
from functools import lru_cache


@lru_cache(maxsize=256)
def find_user(uid: int) -> str | None:
    """A user's name; None for a uid that nobody has."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return None
