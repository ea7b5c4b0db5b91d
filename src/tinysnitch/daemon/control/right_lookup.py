"""Looks up the right of a new client in a thread: user and group databases may need the network, and so our verdicts.

There is one look-up a user (uid and gid) at a time. Root, and others whose right is known, never wait for one.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.user_share import share_of
from tinysnitch.daemon.control.permissions import Permissions, Right
from tinysnitch.daemon.scheduling.offload import do_beside

MAX_LOOKUPS = 16  # threads
MAX_OF_ONE = 4  # threads for one user, who may have many gids; all users of containers count as one (subuid(5))
MAX_WAITING = 16  # clients that wait for one look-up

_FAILED_HINT = "try again in a moment; the log of tinysnitchd tells why"

Found = Callable[[Right | SnitchError | None], None]  # None: there is none; an error: that cannot be told


class RightLookup:
    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions
        self._waiting: dict[tuple[int, int], list[Found]] = {}  # by uid and gid

    def find(self, uid: int, gid: int, found: Found) -> None:
        """Call `found` with the right, at once if it is known, else later. Raises SnitchError when too many wait."""
        if self._permissions.is_known(uid):
            found(self._permissions.find(uid, gid))
            return
        waiting = self._waiting.get((uid, gid), [])
        if len(waiting) >= MAX_WAITING:
            raise _too_many(f"{MAX_WAITING} clients of user {uid}")
        if not waiting:
            self._begin(uid, gid)
            self._waiting[uid, gid] = waiting
        waiting.append(found)

    def _begin(self, uid: int, gid: int) -> None:
        if len(self._waiting) >= MAX_LOOKUPS:
            raise _too_many(f"{MAX_LOOKUPS} users")
        if sum(share_of(other) == share_of(uid) for other, _gid in self._waiting) >= MAX_OF_ONE:
            raise _too_many(f"{MAX_OF_ONE} others of user {uid}, or of containers,")
        try:
            do_beside(lambda: (self._permissions.find(uid, gid),), partial(self._tell, uid, gid))
        except RuntimeError:
            raise _too_many("others") from None

    def _tell(self, uid: int, gid: int, result: tuple[Right | None] | None) -> None:
        right = (
            SnitchError(f"the groups of user {uid} cannot be looked up", _FAILED_HINT) if result is None else result[0]
        )
        for found in self._waiting.pop((uid, gid)):
            asyncio.get_running_loop().call_soon(found, right)  # if one raises, the others are told all the same


def _too_many(who: str) -> SnitchError:
    return SnitchError(f"{who} wait to be let in already", "try again in a moment")
