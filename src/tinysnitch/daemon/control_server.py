"""The control socket: lets clients in, hands their requests to the desk, and tells them what happens.

It hangs off the end of the daemon: nothing a client does can slow a verdict or grow without bound.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import assert_never

import msgspec

from tinysnitch.core.commands import ClosePrompt
from tinysnitch.core.errors import DaemonNotRunning, NotPermitted, SnitchError
from tinysnitch.core.process import uid_of
from tinysnitch.core.prompt import Prompt
from tinysnitch.core.records import MAX_LINES
from tinysnitch.daemon.control_peer import ControlPeer
from tinysnitch.daemon.control_permission import GROUP, Permissions, Right
from tinysnitch.daemon.control_socket import BACKLOG, ControlSocket
from tinysnitch.daemon.desk import Desk
from tinysnitch.daemon.right_lookup import RightLookup
from tinysnitch.daemon.turns import Turns
from tinysnitch.protocol import messages as msg
from tinysnitch.protocol.framing import encode_frame

MAX_CLIENTS = 64
MAX_OWN_CLIENTS = 32  # of those who see only their own: there is always room for those who see all
MAX_CLIENTS_OF_USER = 16
# And one more, in a turn of the loop: anyone may knock, and each knock takes 0.2 ms of all verdicts.
ACCEPTED_AT_ONCE = 3
CLOSE_S = 2.0  # for clients to be gone at the end

_log = logging.getLogger(__name__)
_DONE = encode_frame(msg.Done())
_TURNS_TO_ADMIT = 3  # of the loop: the task of the one accepted, connection_made(), and one to spare
_UNSAVED = "the rule holds but could not be saved"


class ControlStatistics(msgspec.Struct, frozen=True):
    clients: int
    prompt_clients: int
    followers: int
    refused: int  # not permitted
    crowded_out: int  # one too many: of all, of those who see only their own, or of one user
    malformed: int  # ended by a frame that is no message
    slow: int  # cut off because they did not read


class ControlServer:
    def __init__(self, desk: Desk, permissions: Permissions) -> None:
        self._desk = desk
        self.turns = Turns()
        self._rights = RightLookup(permissions)
        self._ids = itertools.count(1)
        self._comers: set[ControlPeer] = set()  # whose right is being looked up
        self._peers: dict[int, ControlPeer] = {}
        self._prompt_peers: dict[int, ControlPeer] = {}
        self._followers: dict[int, ControlPeer] = {}
        self._refused = self._crowded_out = self._malformed = self._slow = 0
        self._standing: tuple[msg.Notice, ...] = ()
        self._unsaved: SnitchError | None = None  # why a rule could not be saved just now
        self._socket: ControlSocket | None = None
        self._server: asyncio.Server | None = None
        self._is_closing = False

    async def start(self, path: Path | str) -> None:
        """Listen. Raises SnitchError when a living daemon has the socket or it cannot be made."""
        self._socket = ControlSocket(Path(path))
        await self._listen(self._socket)

    async def listen_anew(self) -> None:
        """At the place where somebody took the socket away. Whoever is in stays. Raises SnitchError."""
        assert self._server is not None
        assert self._socket is not None
        self._server.close()
        await self._listen(self._socket)

    async def _listen(self, place: ControlSocket) -> None:
        sock = place.listen()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._make_peer, sock=sock, backlog=ACCEPTED_AT_ONCE)
        sock.listen(BACKLOG)  # asyncio takes the one number for both

    async def close(self) -> None:
        """End every client and take the socket file away; safe when never started."""
        self._is_closing = True
        if self._server is not None:
            await _refuse_comers(self._server)
            self._server.close()
        if self._socket is not None:
            self._socket.remove()
        for comer in list(self._comers):
            self._let_in(comer, -1, None)  # nobody is let in any more, whoever it is
        for peer in list(self._peers.values()):
            peer.close()
        if self._server is not None:
            with suppress(TimeoutError):  # no client keeps the daemon from its end
                await asyncio.wait_for(self._server.wait_closed(), CLOSE_S)

    def statistics(self) -> ControlStatistics:
        return ControlStatistics(
            clients=len(self._peers),
            prompt_clients=len(self._prompt_peers),
            followers=len(self._followers),
            refused=self._refused,
            crowded_out=self._crowded_out,
            malformed=self._malformed,
            slow=self._slow,
        )

    # what the driver tells clients

    def push_record(self, line: bytes, uid: int | None) -> None:
        """One log line, without its newline, about a process of `uid`, to every follower who may see it."""
        if self._followers:
            _push(self._followers, line + b"\n", uid)

    def push_prompt(self, prompt: Prompt) -> None:
        """A question that is open, or whose count is another now."""
        self._push_message(msg.prompt_shown(prompt), uid_of(prompt.connection.attribution))

    def push_closed(self, closed: ClosePrompt) -> None:
        self._push_message(msg.PromptClosed(closed.prompt_id, closed.reason, closed.by_uid), closed.uid)

    def push_notice(self, text: str, hint: str = "") -> None:
        """Of the rules, which are not everybody's to see."""
        self._push_message(msg.Notice(text, hint), None)

    def hold_notice(self, text: str, hint: str = "") -> None:
        """Something that stays so until it is lifted: whoever attaches meanwhile is told. The same again is no news."""
        notice = msg.Notice(text, hint, stands=True)
        if self._standing != (notice,):
            self._standing = (notice,)
            self._push_message(notice, None)

    def lift_notice(self, text: str) -> None:
        """What was held is over, if anything was."""
        was_standing, self._standing = self._standing, ()
        if was_standing:
            self._push_message(msg.Notice(text, stands=False), None)

    def push_unsaved(self, error: SnitchError) -> None:
        """A rule holds but could not be saved. Whoever gives the answer that makes it reads that in the reply.

        All others once its question is closed, so that the end of the question is not the last that they read.
        """
        self._unsaved = error
        asyncio.get_running_loop().call_soon(self.push_notice, f"{_UNSAVED}: {error}", error.hint)

    def _push_message(self, push: msg.Push, uid: int | None) -> None:
        if self._prompt_peers:
            _push(self._prompt_peers, encode_frame(push), uid)

    # what peers ask

    def receive(self, peer: ControlPeer, uid: int, gid: int) -> None:
        """Have a peer welcomed or refused, as soon as it is known what it may do."""
        self._comers.add(peer)
        try:
            self._rights.find(uid, gid, partial(self._let_in, peer, uid))
        except SnitchError as error:
            self._comers.discard(peer)
            self._crowded_out += 1
            peer.refuse(error)

    def _let_in(self, peer: ControlPeer, uid: int, right: Right | None) -> None:
        if peer not in self._comers:  # gone meanwhile
            return
        self._comers.discard(peer)
        try:
            right = self._admit(uid, right)
        except SnitchError as error:
            peer.refuse(error)
        else:
            self._peers[peer.client_id] = peer
            peer.welcome(right)

    def _admit(self, uid: int, right: Right | None) -> Right:
        """The right of a peer that may stay. Raises SnitchError."""
        if self._is_closing:
            raise DaemonNotRunning("tinysnitchd is stopping", "try again once it is back")
        if right is None:
            self._refused += 1
            hint = f"run as root, or let root add you to the group {GROUP}"
            raise NotPermitted(f"user {uid} may not control tinysnitch", hint)
        limit = self._find_limit(right)
        if limit is not None:
            self._crowded_out += 1
            raise SnitchError(f"{limit} clients are connected already", "close one of them")
        return right

    def _find_limit(self, right: Right) -> int | None:
        """The limit that one client more of this right would pass."""
        rights = [peer.right for peer in self._peers.values()]
        if len(rights) >= MAX_CLIENTS:
            return MAX_CLIENTS
        if right.sees_all:
            return None
        if rights.count(right) >= MAX_CLIENTS_OF_USER:
            return MAX_CLIENTS_OF_USER
        is_full = sum(not one.sees_all for one in rights) >= MAX_OWN_CLIENTS
        return MAX_OWN_CLIENTS if is_full else None

    def forget(self, peer: ControlPeer) -> None:
        self._comers.discard(peer)
        self._peers.pop(peer.client_id, None)
        self._followers.pop(peer.client_id, None)
        if self._prompt_peers.pop(peer.client_id, None) is not None:
            self._desk.detach(peer.client_id)

    def count_malformed(self) -> None:
        self._malformed += 1

    def count_slow(self) -> None:
        self._slow += 1

    def answer(self, peer: ControlPeer, request: msg.Request) -> Iterator[bytes]:
        """The frames that answer a request. Nothing that goes wrong in there reaches the loop."""
        try:
            return self._frames(peer, request)
        except SnitchError as error:
            return iter((encode_frame(msg.Refused(str(error), error.hint, error.exit_code)),))
        except Exception:
            _log.exception("a request of uid %d failed: %s", peer.right.uid, type(request).__name__)
            refusal = msg.Refused("the daemon failed at this request", "its log tells more; please report it")
            return iter((encode_frame(refusal),))

    def _frames(self, peer: ControlPeer, request: msg.Request) -> Iterator[bytes]:
        match request:
            case msg.ReadLog():
                return self._log_frames(peer, request)
            case msg.Attach():
                self._prompt_peers[peer.client_id] = peer
                self._desk.attach(peer.client_id, peer.right)
                asks = map(msg.prompt_shown, self._desk.list_asks(peer.right))
                notices = self._standing if peer.right.covers(None) else ()
                return itertools.chain(map(encode_frame, asks), map(encode_frame, notices), (_DONE,))
            case _:
                values = self._values(request, peer.right)
                return itertools.chain(map(encode_frame, values), (_DONE,))

    def _log_frames(self, peer: ControlPeer, request: msg.ReadLog) -> Iterator[bytes]:
        limit = min(max(request.limit, 0), MAX_LINES)
        lines = (line + b"\n" for line in (self._desk.read_history(limit, peer.right) if limit else ()))
        if not request.follow:
            return itertools.chain(lines, (_DONE,))
        self._followers[peer.client_id] = peer
        return lines

    def _values(self, request: msg.Request, right: Right) -> Iterable[msg.Reply]:
        match request:
            case msg.ReadStatus():
                return (self._desk.status(right),)
            case msg.ListRules():
                return self._desk.list_rules(right)
            case msg.ListLists():
                return self._desk.list_lists(right)
            case msg.ListAsks():
                return map(msg.prompt_shown, self._desk.list_asks(right))
            case msg.Explain():
                return (self._desk.explain(request, right),)
            case msg.AddRule(line):
                return (msg.RuleWritten(self._desk.add_rule(line, right)),)
            case msg.RemoveRule(line):
                return (msg.RuleWritten(self._desk.remove_rule(line, right)),)
            case msg.GiveAnswer():
                return (self._give_answer(request, right),)
            case msg.Hello() | msg.ReadLog() | msg.Attach():
                raise AssertionError(f"{request} is answered elsewhere")
            case _:
                assert_never(request)

    def _give_answer(self, request: msg.GiveAnswer, right: Right) -> msg.RuleWritten:
        if (request.choice is None) == (request.rule is None):
            raise SnitchError("an answer is either a choice or a rule", "send exactly one of them")
        answer = request.rule if request.choice is None else request.choice
        assert answer is not None
        self._take_unsaved()  # of before
        rule = self._desk.answer(request.prompt_id, answer, right)
        error = self._take_unsaved()
        if error is None:
            return msg.RuleWritten(rule)
        if not right.sees_all:
            return msg.RuleWritten(rule, _UNSAVED, "root can see why: `tinysnitch log`")
        return msg.RuleWritten(rule, f"{_UNSAVED}: {error}", error.hint)

    def _take_unsaved(self) -> SnitchError | None:
        error, self._unsaved = self._unsaved, None
        return error

    def _make_peer(self) -> ControlPeer:
        return ControlPeer(self, next(self._ids))


async def _refuse_comers(server: asyncio.Server) -> None:
    """Accept no more, and let those come to receive() who were accepted a moment ago: Server.close() forgets them."""
    for sock in server.sockets:
        asyncio.get_running_loop().remove_reader(sock)
    for _ in range(_TURNS_TO_ADMIT):
        await asyncio.sleep(0)


def _push(peers: dict[int, ControlPeer], frame: bytes, uid: int | None) -> None:
    """To those who may see what is about a process of `uid`."""
    for peer in list(peers.values()):
        if peer.right.covers(uid):
            peer.push(frame)
