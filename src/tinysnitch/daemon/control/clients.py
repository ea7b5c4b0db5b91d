"""The connected clients, and what is pushed to each of them, as far as its right goes.

Pushes wait in a bounded queue of each client (control_peer.py): no client can slow a verdict or use unbounded memory.
"""

import asyncio

import msgspec

from tinysnitch.core.engine.commands import ClosePrompt
from tinysnitch.core.model.asking_mode import ASKING, AskingMode
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.process import uid_of
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.daemon.control.peer import ControlPeer
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.control.unseen_prompts import UnseenQuestions
from tinysnitch.protocol import messages as msg
from tinysnitch.protocol.framing import encode_frame

MAX_CLIENTS = 64
MAX_OWN_CLIENTS = 32  # clients that see only their own user's: some room is left for those that see all
MAX_CLIENTS_OF_USER = 16
UNSAVED = "the rule holds but could not be saved"


class ControlStatistics(msgspec.Struct, frozen=True):
    clients: int
    prompt_clients: int
    refused: int  # not permitted
    crowded_out: int  # turned away by a limit: on all clients, on those of one user, or on look-ups of rights
    malformed: int  # cut off after a frame that is no message
    slow: int  # cut off because they did not read their pushes


class ControlClients:
    def __init__(self, unseen: UnseenQuestions | None = None) -> None:
        self._unseen = unseen
        self.refused = self.crowded_out = self.malformed = self.slow = 0  # as in ControlStatistics
        self._peers: dict[int, ControlPeer] = {}
        self._prompt_peers: dict[int, ControlPeer] = {}
        self.followers: dict[int, ControlPeer] = {}  # who gets the lines of the log
        self.prompt_settings = msg.PromptSettings()
        self.mode = ASKING
        self._standing: tuple[msg.Notice, ...] = ()
        self._unsaved: SnitchError | None = None  # why a rule could not be saved just now

    def statistics(self) -> ControlStatistics:
        return ControlStatistics(
            clients=len(self._peers),
            prompt_clients=len(self._prompt_peers),
            refused=self.refused,
            crowded_out=self.crowded_out,
            malformed=self.malformed,
            slow=self.slow,
        )

    # Who is connected

    def find_limit(self, right: Right) -> int | None:
        """The limit that one more client with this right would exceed, or None."""
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
        """From now on this client gets the lines of the log as they are written."""
        self.followers[peer.client_id] = peer

    def add_prompt(self, peer: ControlPeer) -> None:
        """From now on this client is a prompt client: it gets questions and notices."""
        self._prompt_peers[peer.client_id] = peer
        if self._unseen:
            self._unseen.note_attached()

    def remove(self, peer: ControlPeer) -> bool:
        """Forget a client; whether it was a prompt client."""
        self._peers.pop(peer.client_id, None)
        self.followers.pop(peer.client_id, None)
        return self._prompt_peers.pop(peer.client_id, None) is not None

    def close(self) -> None:
        """End every client."""
        for peer in list(self._peers.values()):
            peer.close()

    # What they are told

    def push_record(self, line: bytes, uid: int | None) -> None:
        """Push a log line (without its newline) about a process of `uid` to every follower that may see it."""
        _push(self.followers, line + b"\n", uid)

    def push_prompt(self, prompt: Prompt) -> None:
        """Push a question that was opened, or whose count of waiting packets changed."""
        uid = uid_of(prompt.connection.attribution)
        self._push_message(msg.prompt_shown(prompt), uid)
        if self._unseen and not any(peer.right.covers(uid) for peer in self._prompt_peers.values()):
            self._unseen.note_unseen()

    def push_closed(self, closed: ClosePrompt) -> None:
        self._push_message(msg.PromptClosed(closed.prompt_id, closed.reason, closed.by_uid), closed.uid)

    def push_notice(self, text: str, hint: str = "") -> None:
        """Push a notice about the firewall as a whole, to clients that see everything."""
        self._push_message(msg.Notice(text, hint), None)

    def hold_notice(self, text: str, hint: str = "") -> None:
        """Push a notice that stands until it is lifted: whoever attaches meanwhile gets it too."""
        notice = msg.Notice(text, hint, stands=True)
        if self._standing != (notice,):  # the same once more is no news
            self._standing = (notice,)
            self._push_message(notice, None)

    def find_standing(self, right: Right) -> tuple[msg.Notice, ...]:
        """The notice that stands now, for a client that attaches."""
        return self._standing if right.covers(None) else ()

    def lift_notice(self, text: str) -> None:
        """End the notice that stands, if there is one, and push this text instead."""
        was_standing, self._standing = self._standing, ()
        if was_standing:
            self._push_message(msg.Notice(text, stands=False), None)

    def change_prompt_settings(self, settings: msg.PromptSettings) -> None:
        """Greet with these settings from now on, and tell them to those who are attached."""
        self.prompt_settings = settings
        self._welcome_again()

    def change_mode(self, mode: AskingMode) -> None:
        """Greet with this mode from now on, and tell it to those who are attached."""
        self.mode = mode
        self._welcome_again()

    def welcome(self, right: Right) -> msg.Welcome:
        return msg.Welcome(sees_all=right.sees_all, prompt=self.prompt_settings, asking=self.mode)

    def _welcome_again(self) -> None:
        for peer in list(self._prompt_peers.values()):
            peer.push(encode_frame(self.welcome(peer.right)))

    def push_unsaved(self, error: SnitchError) -> None:
        """Tell that a rule is in force but could not be saved.

        The client whose answer made the rule gets this in its reply (`take_unsaved`). The others get a notice in the
        next turn of the loop: it must come after the message that closes the question, to be the last that is shown.
        """
        self._unsaved = error
        asyncio.get_running_loop().call_soon(self.push_notice, f"{UNSAVED}: {error}", error.hint)

    def take_unsaved(self) -> SnitchError | None:
        """Return why a rule could not be saved since the last call, or None."""
        error, self._unsaved = self._unsaved, None
        return error

    def _push_message(self, push: msg.Push, uid: int | None) -> None:
        if self._prompt_peers:
            _push(self._prompt_peers, encode_frame(push), uid)


def _push(peers: dict[int, ControlPeer], frame: bytes, uid: int | None) -> None:
    """Send the frame to each of these clients that may see what concerns a process of `uid`."""
    for peer in list(peers.values()):
        if peer.right.covers(uid):
            peer.push(frame)
