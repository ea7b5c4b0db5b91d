"""The control socket: lets clients in, and makes frames of what the request handler answers.

A client that was let in is added to ControlClients, which pushes to it what happens.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from tinysnitch.core.engine.records import MAX_LINES
from tinysnitch.core.model.errors import (
    SHORTAGE_HINT,
    DaemonNotRunning,
    NotPermitted,
    SnitchError,
    is_shortage,
    words_of,
)
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.control.peer import ControlPeer, Pause, Turns
from tinysnitch.daemon.control.permissions import GROUP, Permissions, Right, RightLookup
from tinysnitch.daemon.control.socket import BACKLOG, ControlSocket
from tinysnitch.protocol import messages as msg
from tinysnitch.protocol.framing import encode_frame


class RequestHandler(Protocol):
    """What answers requests. Each method returns at once, returns only what the right covers, and raises SnitchError
    with a hint for the user."""

    def handle(self, request: msg.Request, right: Right) -> Iterable[msg.Reply | Pause]:
        """Answer any request but Hello, ReadLog, Attach and WatchTraffic."""
        ...

    def list_asks(self, right: Right) -> list[Prompt]: ...

    def read_history(self, limit: int, right: Right) -> Iterable[bytes]:
        """The newest log lines, the oldest of them first, without newlines. Rows are read while iterating."""
        ...

    def attach(self, client_id: int, right: Right) -> None:
        """A prompt client has attached: from now on somebody can answer."""
        ...

    def detach(self, client_id: int) -> None: ...

    def watch(self, peer: ControlPeer) -> None:
        """Push traffic to the client from now on, as far as its right goes."""
        ...

    def unwatch(self, client_id: int) -> None: ...


# In one turn of the loop asyncio accepts one more than this. Any user may connect, and each time takes 0.2 ms from the
# verdicts.
ACCEPTED_AT_ONCE = 3
CLOSE_S = 2.0  # how long we wait for clients to close at the end

_log = logging.getLogger(__name__)
_DONE = encode_frame(msg.Done())
_TURNS_TO_ADMIT = 3  # of the loop, after accept(): asyncio's task, then connection_made(), and one to spare


class ControlServer:
    def __init__(self, handler: RequestHandler, permissions: Permissions, clients: ControlClients) -> None:
        self.clients = clients
        self.turns = Turns()
        self._handler = handler
        self._rights = RightLookup(permissions)
        self._ids = itertools.count(1)
        self._newcomers: set[ControlPeer] = set()  # clients whose right is being looked up
        self._socket: ControlSocket | None = None
        self._server: asyncio.Server | None = None
        self._is_closing = False

    async def start(self, path: Path) -> None:
        """Listen. Raises SnitchError when a living daemon has the socket or it cannot be made."""
        self._socket = ControlSocket(path)
        await self._listen(self._socket)

    async def listen_anew(self) -> None:
        """Make the socket file again after it was removed. Connected clients stay. Raises SnitchError."""
        assert self._server is not None
        assert self._socket is not None
        self._server.close()
        await self._listen(self._socket)

    async def _listen(self, place: ControlSocket) -> None:
        sock = place.listen()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_unix_server(self._make_peer, sock=sock, backlog=ACCEPTED_AT_ONCE)
        except OSError as error:  # epoll_ctl(2). Without the file SocketWatch tries again
            sock.close()
            place.remove()
            raise place.error_of(error) from error
        sock.listen(BACKLOG)  # asyncio's `backlog` is also how many it accepts at once: it gave listen() that number

    async def close(self) -> None:
        """End every client and take the socket file away; safe when never started."""
        self._is_closing = True
        if self._server is not None:
            await _refuse_newcomers(self._server)
            self._server.close()
        if self._socket is not None:
            self._socket.remove()
        for newcomer in list(self._newcomers):
            self._let_in(newcomer, -1, None)  # refuses it, since we are closing
        self.clients.close()
        if self._server is not None:
            with suppress(TimeoutError):  # no client can hold up the daemon's end
                await asyncio.wait_for(self._server.wait_closed(), CLOSE_S)

    # Called by peers

    def receive(self, peer: ControlPeer, uid: int, gid: int) -> None:
        """Welcome or refuse a new client once its right is known."""
        self._newcomers.add(peer)
        try:
            self._rights.find(uid, gid, partial(self._let_in, peer, uid))
        except SnitchError as error:
            self._newcomers.discard(peer)
            self.clients.crowded_out += 1
            peer.refuse(error)

    def _let_in(self, peer: ControlPeer, uid: int, right: Right | SnitchError | None) -> None:
        if peer not in self._newcomers:  # it left meanwhile, or was refused
            return
        self._newcomers.discard(peer)
        try:
            right = self._admit(uid, right)
        except SnitchError as error:
            peer.refuse(error)
        else:
            self.clients.add(peer)
            peer.welcome(right)

    def _admit(self, uid: int, right: Right | SnitchError | None) -> Right:
        """Return the right of a client that may stay. Raises SnitchError for one that may not."""
        if self._is_closing:
            raise DaemonNotRunning("tinysnitchd is stopping", "try again once it is back")
        if isinstance(right, SnitchError):
            raise right
        if right is None:
            self.clients.refused += 1
            hint = f"run as root, or let root add you to the group {GROUP}"
            raise NotPermitted(f"user {uid} may not control tinysnitch", hint)
        limit = self.clients.find_limit(right)
        if limit is not None:
            self.clients.crowded_out += 1
            raise SnitchError(f"{limit} clients are connected already", "close one of them")
        return right

    def forget(self, peer: ControlPeer) -> None:
        self._newcomers.discard(peer)
        if self.clients.remove(peer):
            self._handler.detach(peer.client_id)
        self._handler.unwatch(peer.client_id)

    def answer(self, peer: ControlPeer, request: msg.Request) -> Iterator[bytes | Pause]:
        """The frames that answer a request. An error before the first frame becomes a Refused, and is not raised."""
        try:
            return self._frames(peer, request)
        except SnitchError as error:
            return iter((_refusal(error),))
        except Exception as error:
            return iter((encode_frame(self._fail(peer, request, error)),))

    def _fail(self, peer: ControlPeer, request: msg.Request, error: Exception) -> msg.Refused:
        what = f"a request of uid {peer.right.uid} failed: {type(request).__name__}"
        if is_shortage(error):
            _log.error("%s: %s", what, words_of(error))
            hint = SHORTAGE_HINT
        else:
            _log.error("%s", what, exc_info=error)
            hint = "its log tells more; please report it"
        return msg.Refused("the daemon failed at this request", hint)

    def _frames(self, peer: ControlPeer, request: msg.Request) -> Iterator[bytes | Pause]:
        match request:
            case msg.ReadLog():
                return self._log_frames(peer, request)
            case msg.Attach():
                self.clients.add_prompt(peer)
                self._handler.attach(peer.client_id, peer.right)
                asks = map(msg.prompt_shown, self._handler.list_asks(peer.right))
                notices = self.clients.find_standing(peer.right)
                return itertools.chain(map(encode_frame, asks), map(encode_frame, notices), (_DONE,))
            case msg.WatchTraffic():
                self._handler.watch(peer)
                return iter(())
            case _:
                values = self._handler.handle(request, peer.right)
                return _frames_of(map(_encode, values), (_DONE,))

    def _log_frames(self, peer: ControlPeer, request: msg.ReadLog) -> Iterator[bytes | Pause]:
        limit = min(max(request.limit, 0), MAX_LINES)
        lines = self._handler.read_history(limit, peer.right) if limit else ()
        if request.follow:
            self.clients.add_follower(peer)
        return _frames_of((line + b"\n" for line in lines), () if request.follow else (_DONE,))

    def _make_peer(self) -> ControlPeer:
        return ControlPeer(self, next(self._ids))


def _encode(value: msg.Reply | Pause) -> bytes | Pause:
    return value if isinstance(value, Pause) else encode_frame(value)


def _frames_of(frames: Iterable[bytes | Pause], end: Iterable[bytes]) -> Iterator[bytes | Pause]:
    """The frames, then `end`. They are made as they are sent; when that fails a Refused ends the reply."""
    try:
        yield from frames
    except SnitchError as error:
        yield _refusal(error)
    else:
        yield from end


def _refusal(error: SnitchError) -> bytes:
    return encode_frame(msg.Refused(str(error), error.hint, error.exit_code))


async def _refuse_newcomers(server: asyncio.Server) -> None:
    """Accept no more, and let the clients accepted a moment ago reach receive(): Server.close() would forget them."""
    for sock in server.sockets:
        asyncio.get_running_loop().remove_reader(sock)
    for _ in range(_TURNS_TO_ADMIT):
        await asyncio.sleep(0)
