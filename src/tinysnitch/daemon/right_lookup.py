"""Looks up what a comer may do beside the loop: names of users and groups may come over the network, and the loop must
give the verdicts for that. One look-up a user at a time; root and the like never wait for one.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from tinysnitch.core.errors import SnitchError
from tinysnitch.daemon.control_permission import Permissions, Right

MAX_LOOKUPS = 16  # threads
MAX_WAITING = 16  # clients, for each of them

_log = logging.getLogger(__name__)
Found = Callable[[Right | None], None]


class RightLookup:
    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions
        self._waiting: dict[tuple[int, int], list[Found]] = {}  # by uid and gid

    def find(self, uid: int, gid: int, found: Found) -> None:
        """Have the right told, at once where it is known. Raises SnitchError when too many wait."""
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
        """In a thread that our end does not wait for, as it would for one of asyncio's own."""
        if len(self._waiting) >= MAX_LOOKUPS:
            raise _too_many(f"{MAX_LOOKUPS} users")
        thread = Thread(target=self._look_up, args=(asyncio.get_running_loop(), uid, gid), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there can be no more threads
            raise _too_many("others") from None

    def _look_up(self, loop: asyncio.AbstractEventLoop, uid: int, gid: int) -> None:
        right, failure = None, None
        try:
            right = self._permissions.find(uid, gid)
        except Exception as error:  # it is for the loop to log: who waits must be told all the same
            failure = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._tell, uid, gid, right, failure)

    def _tell(self, uid: int, gid: int, right: Right | None, failure: Exception | None) -> None:
        if failure:
            _log.error("failed: to look up user %d", uid, exc_info=failure)
        for found in self._waiting.pop((uid, gid)):
            found(right)


def _too_many(who: str) -> SnitchError:
    return SnitchError(f"{who} wait to be let in already", "try again in a moment")
