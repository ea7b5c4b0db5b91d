"""Who is connected, and who is told what: each client as far as its right goes.

What is told waits with each of them (control_peer.py): no client can slow a verdict, or have anything grow without
bound.
"""

import asyncio

import msgspec

from tinysnitch.core.commands import ClosePrompt
from tinysnitch.core.errors import SnitchError
from tinysnitch.core.process import uid_of
from tinysnitch.core.prompt import Prompt
from tinysnitch.daemon.control_peer import ControlPeer
from tinysnitch.daemon.control_permission import Right
from tinysnitch.protocol import messages as msg
from tinysnitch.protocol.framing import encode_frame

MAX_CLIENTS = 64
MAX_OWN_CLIENTS = 32  # of those who see only their own: there is always room for those who see all
MAX_CLIENTS_OF_USER = 16
UNSAVED = "the rule holds but could not be saved"


class ControlStatistics(msgspec.Struct, frozen=True):
    clients: int
    prompt_clients: int
    followers: int
    refused: int  # not permitted
    crowded_out: int  # one too many: of all, of those who see only their own, or of one user
    malformed: int  # ended by a frame that is no message
    slow: int  # cut off because they did not read


class ControlClients:
    def __init__(self) -> None:
        self.refused = self.crowded_out = self.malformed = self.slow = 0  # as in ControlStatistics
        self._peers: dict[int, ControlPeer] = {}
        self._prompt_peers: dict[int, ControlPeer] = {}
        self._followers: dict[int, ControlPeer] = {}
        self._standing: tuple[msg.Notice, ...] = ()
        self._unsaved: SnitchError | None = None  # why a rule could not be saved just now

    def statistics(self) -> ControlStatistics:
        return ControlStatistics(
            clients=len(self._peers),
            prompt_clients=len(self._prompt_peers),
            followers=len(self._followers),
            refused=self.refused,
            crowded_out=self.crowded_out,
            malformed=self.malformed,
            slow=self.slow,
        )

    # who is there

    def find_limit(self, right: Right) -> int | None:
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

    def add(self, peer: ControlPeer) -> None:
        self._peers[peer.client_id] = peer

    def add_follower(self, peer: ControlPeer) -> None:
        """It reads the log as it is written."""
        self._followers[peer.client_id] = peer

    def add_prompt(self, peer: ControlPeer) -> None:
        """It asks a person."""
        self._prompt_peers[peer.client_id] = peer

    def remove(self, peer: ControlPeer) -> bool:
        """Whether it was one that asks a person."""
        self._peers.pop(peer.client_id, None)
        self._followers.pop(peer.client_id, None)
        return self._prompt_peers.pop(peer.client_id, None) is not None

    def close(self) -> None:
        """End every one."""
        for peer in list(self._peers.values()):
            peer.close()

    # what they are told

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
        """Of the firewall as a whole, which is not everybody's to see."""
        self._push_message(msg.Notice(text, hint), None)

    def hold_notice(self, text: str, hint: str = "") -> None:
        """Something that stays so until it is lifted: whoever attaches meanwhile is told. The same again is no news."""
        notice = msg.Notice(text, hint, stands=True)
        if self._standing != (notice,):
            self._standing = (notice,)
            self._push_message(notice, None)

    def find_standing(self, right: Right) -> tuple[msg.Notice, ...]:
        """What is held now, for whoever attaches."""
        return self._standing if right.covers(None) else ()

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
        asyncio.get_running_loop().call_soon(self.push_notice, f"{UNSAVED}: {error}", error.hint)

    def take_unsaved(self) -> SnitchError | None:
        """Why a rule could not be saved since this was asked last."""
        error, self._unsaved = self._unsaved, None
        return error

    def _push_message(self, push: msg.Push, uid: int | None) -> None:
        if self._prompt_peers:
            _push(self._prompt_peers, encode_frame(push), uid)


def _push(peers: dict[int, ControlPeer], frame: bytes, uid: int | None) -> None:
    """To those who may see what is about a process of `uid`."""
    for peer in list(peers.values()):
        if peer.right.covers(uid):
            peer.push(frame)
