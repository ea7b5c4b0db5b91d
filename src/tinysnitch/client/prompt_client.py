"""The client of a prompt, without a socket or a clock: bytes in, events out. A loop connects, reads, writes and waits.

1. The daemon speaks first (protocol/messages.py). We greet it and attach. From then on we send answers, that the person
   is at a question, and changes of rules.
2. Replies come in the order of the requests. What became of the answers of one key is an event once all have a reply.
3. A connection that ends is made anew after RETRY_S, unless that cannot help: not permitted, say, or another version.
"""

import math
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from tinysnitch.client.connection_error import (
    error_of_end,
    error_of_malformed,
    error_of_refusal,
    error_of_silence,
    read_welcome,
)
from tinysnitch.client.knock import AGAIN_S, TIMEOUT_S, encode_request
from tinysnitch.client.push_event import (
    event_of_change,
    event_of_end,
    event_of_mode,
    event_of_push,
    event_of_undo,
    events_of_replies,
)
from tinysnitch.core.model.asking_mode import ASKING
from tinysnitch.core.model.errors import Busy, DaemonNotRunning, Malformed, SnitchError
from tinysnitch.protocol.framing import MAX_REPLY, FrameDecoder, FrameReader
from tinysnitch.protocol.messages import (
    AddRule,
    Attach,
    ChangeEntry,
    ConnectionsEnded,
    Done,
    Explanation,
    FromDaemon,
    GiveAnswer,
    GroupSwitched,
    Hello,
    HistoryEntry,
    HistoryTotal,
    KeepOpen,
    LearnedEntry,
    ListEntry,
    ModeState,
    NamesAsked,
    NamesProgram,
    NamesSum,
    Notice,
    PromptClosed,
    PromptSettings,
    PromptShown,
    ProposalEntry,
    Refused,
    RemoveRule,
    RuleEntry,
    RuleWritten,
    Status,
    TakeBack,
    TrafficEntry,
    TrafficTold,
    Undone,
    Welcome,
    Working,
)
from tinysnitch.view.lookup import FindUser
from tinysnitch.view.prompt_events import (
    Answer,
    Answers,
    DaemonGreeted,
    Event,
    KeepQuestions,
    RuleChange,
    SettingsGiven,
    ToDaemon,
    UndoLast,
)

RETRY_S = 1.0  # between the end of a connection and the next attempt
_decoder: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)


@dataclass(slots=True)
class _Sent:
    """The answers that one key gave, and the replies to them so far."""

    given: Answers
    waiting: int  # answers without a reply
    taken: RuleWritten | None = None  # the last reply to an answer that was taken
    refused: list[tuple[Answer, SnitchError]] = field(default_factory=list)


@dataclass(slots=True)
class _Changing:
    wanted: RuleChange
    written: RuleWritten | None = None


@dataclass(slots=True)
class _Undoing:
    undone: Undone | None = None


_Asked = tuple[Answer, _Sent] | _Changing | _Undoing | KeepQuestions


class PromptClient:
    """The loop connects, calls `receive` with what it reads, and sends `unsent`. What fails is handed to `end`."""

    def __init__(self, path: str | Path, find_user: FindUser) -> None:
        self._path = path
        self._find_user = find_user
        self._give_up_s = math.inf  # when we say that the daemon's queue of connections stays full
        self._together = random.getrandbits(50)  # of the last answers that one key gave; of no other client
        self._begin()

    def _begin(self) -> None:
        self.unsent = bytearray()  # the loop sends it, and removes what it has sent
        self._is_welcome = False
        self._reader = FrameReader(MAX_REPLY)
        self._asked: deque[_Asked] = deque()  # what has no reply yet, in order
        self._is_attaching = False  # Attach, the first request, has no reply yet
        self._mode = ASKING  # as told last

    @property
    def is_answering(self) -> bool:
        """Whether a reply to an answer is still to come."""
        return any(not isinstance(asked, KeepQuestions) for asked in self._asked)

    def wait_for_room(self, now: float) -> float:
        """The daemon's queue of connections is full: seconds until the next attempt. Raises Busy after TIMEOUT_S."""
        self._give_up_s = min(self._give_up_s, now + TIMEOUT_S)
        if now >= self._give_up_s:
            raise error_of_silence(self._path)
        return AGAIN_S

    def receive(self, data: bytes, boot_s: float) -> Iterator[Event]:
        """What the daemon says, at `boot_s` of the boot-time clock. No data: it has closed the connection.

        Raises SnitchError when the connection is over.
        """
        if not data:
            raise error_of_end(self._path)
        try:
            for frame in self._reader.feed(data):
                yield from self._take(_decoder.decode(frame), boot_s)
        except Malformed as error:
            raise error_of_malformed(error) from error

    def answer(self, given: ToDaemon) -> Iterator[Event]:
        """Send what a key gave. Events: what is known at once to be refused."""
        match given:
            case Answers():
                yield from self._answer(given)
            case RuleChange():
                yield from self._change(given)
            case KeepQuestions():
                self._keep(given)
            case UndoLast():
                yield from self._undo()
            case _:
                assert_never(given)

    def _answer(self, given: Answers) -> Iterator[Event]:
        """Send the answers, or refuse those that the daemon would not read. Without a daemon the questions are gone."""
        if not self._is_welcome:
            return
        sent = _Sent(given, len(given.answers))
        self._together += 1
        together = self._together if len(given.answers) > 1 else 0
        for answer in given.answers:
            try:
                self._send(GiveAnswer(answer.prompt_id, answer.choice, answer.rule, together))
                self._asked.append((answer, sent))
            except SnitchError as error:
                yield from _outcome(answer, sent, error)

    def _change(self, wanted: RuleChange) -> Iterator[Event]:
        """Have a rule added or removed."""
        try:
            if not self._is_welcome:
                raise DaemonNotRunning("tinysnitchd is not there")
            self._send(AddRule(wanted.line) if wanted.is_added else RemoveRule(wanted.line))
            self._asked.append(_Changing(wanted))
        except SnitchError as error:
            yield event_of_change(wanted, None, error)

    def _undo(self) -> Iterator[Event]:
        if self._is_welcome:
            self._send(TakeBack())
            self._asked.append(_Undoing())
        else:
            yield event_of_undo(None, DaemonNotRunning("tinysnitchd is not there"), self._find_user)

    def _keep(self, kept: KeepQuestions) -> None:
        """Say that the person is at these questions."""
        for prompt_id in kept.prompt_ids if self._is_welcome else ():
            self._send(KeepOpen(prompt_id))
            self._asked.append(kept)

    def end(self, error: SnitchError) -> Iterator[Event]:
        """The connection has ended, or none was made. Raises the error if connecting again cannot help."""
        asked = self._asked
        self._begin()
        self._give_up_s = math.inf
        for each in asked:
            yield from self._outcome_of(each, error)
        if not isinstance(error, Busy | DaemonNotRunning):
            raise error
        yield event_of_end(error)

    def _send(self, request: Hello | Attach | GiveAnswer | AddRule | RemoveRule | TakeBack | KeepOpen) -> None:
        self.unsent += encode_request(request)

    def _take(self, message: FromDaemon, boot_s: float) -> Iterator[Event]:
        if not self._is_welcome:
            yield self._greet(message)
            yield from self._take_mode(message, boot_s)
            return
        match message:
            case PromptShown() | PromptClosed() | Notice():
                yield event_of_push(message, self._find_user, boot_s)
            case RuleWritten() if self._asked and isinstance(self._asked[0], tuple):
                self._asked[0][1].taken = message
            case RuleWritten() if self._asked and isinstance(self._asked[0], _Changing):
                self._asked[0].written = message
            case Undone() if self._asked and isinstance(self._asked[0], _Undoing):
                self._asked[0].undone = message
            case Done() if self._is_attaching:
                self._is_attaching = False
            case Done() if self._asked:
                yield from self._outcome_of(self._asked.popleft(), None)
            case Refused() if self._asked and not self._is_attaching:
                yield from self._outcome_of(self._asked.popleft(), error_of_refusal(message))
            case Refused():
                raise error_of_refusal(message)
            case Welcome():
                yield SettingsGiven(message.prompt or PromptSettings())
                yield from self._take_mode(message, boot_s)
            case Done() | RuleWritten() | Undone() | Status() | Explanation() | GroupSwitched():
                pass  # no reply to what we send
            case RuleEntry() | ListEntry() | ChangeEntry():
                pass  # no reply to what we send
            case ModeState():
                pass  # no reply to what we send
            case Working() | ProposalEntry() | LearnedEntry() | HistoryEntry() | HistoryTotal():
                pass  # no reply to what we send
            case NamesProgram() | NamesAsked() | NamesSum():
                pass  # no reply to what we send
            case TrafficEntry() | TrafficTold() | ConnectionsEnded():
                pass  # no reply to what we send
            case _:
                assert_never(message)

    def _take_mode(self, message: FromDaemon, boot_s: float) -> Iterator[Event]:
        if isinstance(message, Welcome) and message.asking != self._mode:
            self._mode = message.asking
            yield event_of_mode(message, boot_s)

    def _greet(self, message: FromDaemon) -> Event:
        """The first message is the daemon's welcome, or says why it takes us not."""
        welcome = read_welcome(message, self._path)
        self._is_welcome = self._is_attaching = True
        self._give_up_s = math.inf
        self._send(Hello())
        self._send(Attach())
        return DaemonGreeted(is_for_user=not welcome.sees_all, settings=welcome.prompt or PromptSettings())

    def _outcome_of(self, asked: _Asked, refusal: SnitchError | None) -> Iterator[Event]:
        match asked:
            case _Changing(wanted, written):
                yield event_of_change(wanted, written, refusal)
            case _Undoing(undone):
                yield event_of_undo(undone, refusal, self._find_user)
            case KeepQuestions():
                pass  # a question that is closed by now: that is told by itself
            case (answer, sent):
                yield from _outcome(answer, sent, refusal)
            case _:
                assert_never(asked)


def _outcome(answer: Answer, sent: _Sent, refusal: SnitchError | None) -> Iterator[Event]:
    """One answer was taken, or refused: events once that is known of all that the key gave."""
    sent.waiting -= 1
    if refusal:
        sent.refused.append((answer, refusal))
    if not sent.waiting:
        yield from events_of_replies(sent.given, sent.taken, sent.refused)
