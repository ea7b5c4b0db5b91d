"""Stays attached to the daemon, also through its restarts, in Qt's own loop, without polling while it is connected."""

import math
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from PySide6.QtCore import QSocketNotifier, QTimer

from tinysnitch.client.connection_error import (
    check_welcome,
    error_of_end,
    error_of_greeting,
    error_of_malformed,
    error_of_refusal,
    error_of_silence,
)
from tinysnitch.client.knock import AGAIN_S, TIMEOUT_S, connecting, encode_request, knock
from tinysnitch.client.user_names import find_user
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.errors import Busy, DaemonNotRunning, Malformed, SnitchError
from tinysnitch.protocol.framing import MAX_REPLY, FrameDecoder, FrameReader
from tinysnitch.protocol.messages import (
    Attach,
    Done,
    Explanation,
    FromDaemon,
    GiveAnswer,
    Hello,
    ListEntry,
    Notice,
    PromptClosed,
    PromptShown,
    Refused,
    RuleEntry,
    RuleWritten,
    Status,
    Welcome,
)
from tinysnitch.view.prompt_events import Answer, Answers, DaemonGreeted, Event
from tinysnitch.view.push_event import event_of_end, event_of_push, events_of_replies

RETRY_MS = 1000
KNOCK_AGAIN_MS = round(AGAIN_S * 1000)
_CHUNK = 65536
_Kind = QSocketNotifier.Type
_decoder: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)


@dataclass(slots=True)
class _Sent:
    """The answers that one key gave, and the replies to them so far."""

    given: Answers
    waiting: int  # answers without a reply
    taken: RuleWritten | None = None  # the last reply to an answer that was taken
    refused: list[tuple[Answer, SnitchError]] = field(default_factory=list)


class QtDaemonLink:
    """`tell` is called with each event; `fail` with an error that connecting again cannot help, as NotPermitted."""

    def __init__(self, path: str | Path, tell: Callable[[Event], None], fail: Callable[[SnitchError], None]) -> None:
        self._path = path
        self._tell = tell
        self._fail = fail
        self._socket: socket.socket | None = None
        self._notifiers: dict[_Kind, QSocketNotifier] = {}
        self._give_up_s = math.inf  # when we say that the daemon's queue stays full
        self._is_welcome = False
        self._is_told = False  # it was printed that there is no daemon
        self._unsent = bytearray()  # what the socket had no room for
        self._reader = FrameReader(MAX_REPLY)
        # Requests without a reply, in order: the answer that it gives; None for Attach.
        self._asked: deque[tuple[Answer, _Sent] | None] = deque()
        self._retry = QTimer()
        self._retry.setSingleShot(True)
        self._retry.timeout.connect(self.start)

    def start(self) -> None:
        """Connect, and connect again whenever the connection ends."""
        try:
            self._socket = self._connect()
        except SnitchError as error:
            self._end(error)
            return
        if self._socket is None:
            self._knock_again()
            return
        self._give_up_s = math.inf
        for kind, act in ((_Kind.Read, self._read), (_Kind.Write, self._write)):
            self._notifiers[kind] = QSocketNotifier(self._socket.fileno(), kind)
            self._notifiers[kind].activated.connect(act)
        self._notifiers[_Kind.Write].setEnabled(False)

    def _connect(self) -> socket.socket | None:
        """A connected socket; None if the daemon's queue is full just now. Does not wait: a Unix socket connects or
        fails at once (unix(7))."""
        with connecting(self._path, socket.SOCK_NONBLOCK) as connection:
            if knock(connection, self._path):
                return connection
        connection.close()
        return None

    def _knock_again(self) -> None:
        """Try again soon; after TIMEOUT_S in vain, say so, and try less often."""
        now = time.monotonic()
        self._give_up_s = min(self._give_up_s, now + TIMEOUT_S)
        if now < self._give_up_s:
            self._retry.start(KNOCK_AGAIN_MS)
        else:
            self._end(error_of_silence(self._path))

    def close(self) -> None:
        self._retry.stop()
        self._give_up_s = math.inf
        for notifier in self._notifiers.values():
            notifier.setEnabled(False)
        self._notifiers.clear()
        if self._socket:
            self._socket.close()
            self._socket = None
        self._is_welcome = False
        self._reader = FrameReader(MAX_REPLY)
        self._asked.clear()
        self._unsent.clear()

    def answer(self, given: Answers) -> None:
        """Send the answers. Once all have their reply, `tell` is called with what became of them."""
        sent = _Sent(given, len(given.answers))
        for answer in given.answers:
            try:
                self._send(GiveAnswer(answer.prompt_id, answer.choice, answer.rule), (answer, sent))
            except SnitchError as error:
                self._note_outcome(answer, sent, error)

    def _send(self, request: Hello | Attach | GiveAnswer, answer: tuple[Answer, _Sent] | None = None) -> None:
        if self._socket is None:
            return  # the question is gone with the daemon
        self._unsent += encode_request(request)
        if not isinstance(request, Hello):  # Hello is the only request without a reply
            self._asked.append(answer)
        self._write()

    def _write(self) -> None:
        """Send what the socket takes, and the rest once it has room: one key may answer hundreds of questions."""
        if self._socket is None:
            return
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(error_of_end(self._path))
            return
        del self._unsent[:sent]
        self._notifiers[_Kind.Write].setEnabled(bool(self._unsent))

    def _read(self) -> None:
        try:
            for frame in self._reader.feed(self._receive()):
                self._hear(_decoder.decode(frame))
                if self._socket is None:
                    return  # a send failed meanwhile, and closed the connection: the other frames are of the past
        except Malformed as error:
            self._end(error_of_malformed(error))
        except SnitchError as error:
            self._end(error)

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(_CHUNK) if self._socket else b""
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            raise error_of_end(self._path)
        return data

    def _end(self, error: SnitchError) -> None:
        self.close()
        if isinstance(error, Busy | DaemonNotRunning):
            self._retry.start(RETRY_MS)
            self._tell_once(error)
            self._tell(event_of_end(error))
        else:
            self._fail(error)

    def _tell_once(self, error: SnitchError) -> None:
        """Print the error, once: with no question open there is no window that could show it, and a wrong --socket
        would never be noticed."""
        if not self._is_told:
            self._is_told = True
            print_note(f"{error}; trying again each second")

    def _hear(self, message: FromDaemon) -> None:
        match message:
            case PromptShown() | PromptClosed() | Notice():
                self._tell(event_of_push(message, find_user, time.clock_gettime(time.CLOCK_BOOTTIME)))
            case Welcome():
                check_welcome(message)
                self._is_welcome = True
                self._is_told = False
                self._tell(DaemonGreeted(is_for_user=not message.sees_all))
                self._send(Hello())
                self._send(Attach())
            case Done() | Refused() | RuleWritten():
                self._hear_reply(message)
            case Status() | RuleEntry() | ListEntry() | Explanation():
                pass  # replies to requests that we never send
            case _:
                assert_never(message)

    def _hear_reply(self, reply: Done | Refused | RuleWritten) -> None:
        if isinstance(reply, RuleWritten):
            if self._asked and (asked := self._asked[0]):
                asked[1].taken = reply
            return
        if isinstance(reply, Refused) and not self._is_welcome:
            raise error_of_greeting(reply)
        asked = self._asked.popleft() if self._asked else None
        if asked is None:
            if isinstance(reply, Refused):
                raise error_of_refusal(reply)
            return
        self._note_outcome(*asked, error_of_refusal(reply) if isinstance(reply, Refused) else None)

    def _note_outcome(self, answer: Answer, sent: _Sent, refusal: SnitchError | None) -> None:
        """One answer was taken, or refused; once that is known of all that the key gave, it is told."""
        sent.waiting -= 1
        if refusal:
            sent.refused.append((answer, refusal))
        if not sent.waiting:
            for event in events_of_replies(sent.given, sent.taken, sent.refused):
                self._tell(event)
