"""Which users may use the control socket, and how far their right goes.

1. Root, the daemon's own user, the user for whom the daemon shows the window, and those named by `--admin`: everything.
2. Members of the group `tinysnitch` and users named by `--user`: what concerns their own processes.
3. Nobody else gets in. A client keeps the right that it had at connect() until it leaves.

The right of a new client is looked up in a thread: user and group databases may need the network, and so our verdicts.
There is one look-up a user (uid and gid) at a time. Root, and others whose right is known, never wait for one.
"""

import asyncio
import grp
import os
import pwd
import socket
import struct
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.qualifiers import LAST_UID
from tinysnitch.kernel.system.offload import NoThread, Offload
from tinysnitch.kernel.system.users import find_uid, read_groups

GROUP = "tinysnitch"
_UCRED = struct.Struct("iII")  # struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)


def read_peer(sock: socket.socket) -> tuple[int, int]:
    """The client's uid and gid as the kernel noted them at connect(): nothing that the client sends can change them."""
    _pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return uid, gid


class Right(msgspec.Struct, frozen=True):
    """What a client may see, answer and change."""

    uid: int
    sees_all: bool  # False: only what concerns processes of this uid

    def covers(self, uid: int | None) -> bool:
        """Whether it covers what concerns a process of this uid (None: of no known user, or no process at all)."""
        return self.sees_all or uid == self.uid


class Permissions:
    """`users` and `admins` are names, uids, or `%GROUP` (as in sudoers(5)). Raises SnitchError when one is unknown."""

    def __init__(self, users: Iterable[str] = (), admins: Iterable[str] = ()) -> None:
        self.change(users, admins)
        self._invited: set[int] = set()
        for who in (*users, *admins):
            check_name(who)

    def change(self, users: Iterable[str], admins: Iterable[str]) -> None:
        """Name others from now on, each one known (`check_name`). Who is connected keeps their right."""
        self._users = (f"%{GROUP}", *users)
        self._admins = tuple(admins)

    def invite(self, uid: int) -> None:
        """Give this user the right to everything: root had the daemon show the prompt to them."""
        self._invited.add(uid)

    def is_known(self, uid: int) -> bool:
        """Whether `find` can tell without the user and group databases, which may be slow."""
        return uid in (0, os.geteuid()) or uid in self._invited

    def find(self, uid: int, gid: int) -> Right | None:
        """The right of a client, None when it has none. The databases are asked, so that a user who was just added to a
        group need not log in again. Raises OSError when descriptors or memory are short."""
        if self.is_known(uid) or _is_among(uid, gid, self._admins):
            return Right(uid, sees_all=True)
        return Right(uid, sees_all=False) if _is_among(uid, gid, self._users) else None


def _is_among(uid: int, gid: int, names: Iterable[str]) -> bool:
    return any(_is_member(uid, gid, who[1:]) if who[:1] == "%" else uid == _find_uid(who) for who in names)


def _is_member(uid: int, gid: int, name: str) -> bool:
    try:
        group = grp.getgrnam(name).gr_gid
        if gid == group:  # also of a uid that has no name
            return True
        user = pwd.getpwuid(uid)
    except KeyError:
        return False
    return group in read_groups(user.pw_name, user.pw_gid)


def _find_uid(name: str) -> int | None:
    if name.isascii() and name.isdigit():
        return int(name) if len(name) <= 10 and int(name) <= LAST_UID else None
    return find_uid(name)


def check_name(who: str) -> None:
    """Raise SnitchError for an unknown name: it is a slip. A uid may be unknown: users of containers have no entry.

    It may take long, since it asks the user and group databases."""
    if who[:1] == "%" and not _has_group(who[1:]):
        raise SnitchError(f"there is no group {who[1:]!r}", "`getent group` lists those there are")
    try:
        is_missing = who[:1] != "%" and _find_uid(who) is None
    except OSError as error:
        raise SnitchError(f"user {who!r} cannot be looked up: {error.strerror}") from None
    if is_missing:
        raise SnitchError(f"there is no user {who!r}", "write a name, a uid, or %GROUP")


def _has_group(name: str) -> bool:
    try:
        return bool(grp.getgrnam(name))
    except KeyError:
        return False


MAX_LOOKUPS = 16  # threads; a quarter of them for one user, who may have many gids
MAX_WAITING = 16  # clients that wait for one look-up

_FAILED_HINT = "try again in a moment; the log of tinysnitchd tells why"

Found = Callable[[Right | SnitchError | None], None]  # None: there is none; an error: that cannot be told


class RightLookup:
    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions
        self._offload = Offload(max_threads=MAX_LOOKUPS)
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
            try:
                self._offload.begin(lambda: (self._permissions.find(uid, gid),), partial(self._tell, uid, gid), uid)
            except NoThread:
                raise _too_many("too many users") from None
            self._waiting[uid, gid] = waiting
        waiting.append(found)

    def _tell(self, uid: int, gid: int, result: tuple[Right | None] | None) -> None:
        right = (
            SnitchError(f"the groups of user {uid} cannot be looked up", _FAILED_HINT) if result is None else result[0]
        )
        for found in self._waiting.pop((uid, gid)):
            asyncio.get_running_loop().call_soon(found, right)  # if one raises, the others are told all the same


def _too_many(who: str) -> SnitchError:
    return SnitchError(f"{who} wait to be let in already", "try again in a moment")
