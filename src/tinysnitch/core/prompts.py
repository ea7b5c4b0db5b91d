"""Open questions: what waits for which, until when, and what was closed lately.

Rules: (1) equal questions (program with its arguments and user, remote, port, protocol, direction, and what the rules
that ask rest on: so an answer's rule speaks of all that wait) are one prompt with a count; (2) a flow waits in at most
one prompt; (3) numbers are never used twice, so that a late answer hits nothing; (4) both the prompts and the packets
held for them are bounded, and what is turned away is counted; (5) half of the room is out of reach for what comes in,
and for any one program of one user (so for any one question, which is of one program), and a quarter for any one user
but root, who may run a program under any number of names, so that no flood can silence the rest.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from tinysnitch.core.asking import Asking
from tinysnitch.core.clock import Instant
from tinysnitch.core.commands import ClosePrompt, Command, DropPacket, ShowPrompt
from tinysnitch.core.connection import Connection
from tinysnitch.core.decision import Decision
from tinysnitch.core.flow import Direction, Flow, format_address, format_protocol, is_v4
from tinysnitch.core.process import AttributionSource, OtherFile, other_file_of, program_of, uid_of
from tinysnitch.core.prompt import Prompt
from tinysnitch.core.settings import Settings
from tinysnitch.core.table import BoundedTable

_HALF, _THREE_QUARTERS = 2, 3  # quarters of the room


def _part(limit: int, quarters: int) -> int:
    return (limit * quarters + 3) // 4


class Question(msgspec.Struct, frozen=True):
    """What makes two questions equal."""

    source: AttributionSource
    program: str
    args: tuple[str, ...]
    uid: int | None
    other_file: OtherFile | None
    remote: str  # as the answer's rule has it: name, else address
    port: int
    protocol: str
    direction: Direction
    asking: Asking


def question_of(connection: Connection) -> Question:
    flow, process = connection.flow, connection.attribution.process
    name = None if connection.asking.is_by_address else connection.name
    return Question(
        source=connection.attribution.source,
        program=program_of(connection.attribution),
        args=process.args if process else (),
        uid=uid_of(connection.attribution),
        other_file=other_file_of(connection.attribution),
        remote=name or format_address(flow.remote),
        port=flow.port,
        protocol=format_protocol(flow.protocol),
        direction=flow.direction,
        asking=connection.asking,
    )


_Share = Direction | int | tuple[AttributionSource, str, int | None]


def _shares_of(question: Question) -> dict[_Share, int]:
    """Who may not take more than so many quarters of the room."""
    shares: dict[_Share, int] = {(question.source, question.program, question.uid): _HALF}
    if question.uid:  # neither root, who starts what all others need, nor of nobody
        shares[question.uid] = _THREE_QUARTERS
    if question.direction is Direction.INBOUND:
        shares[Direction.INBOUND] = _HALF
    return shares


def _is_flood(counts: Counter[_Share], question: Question, limit: int) -> bool:
    return any(counts[share] >= _part(limit, quarters) for share, quarters in _shares_of(question).items())


class ClosedPrompt(msgspec.Struct, frozen=True):
    reason: str  # why it is no longer open
    uid: int | None  # of the program that asked


@dataclass(slots=True)
class Waiter:
    """A flow whose packets are held."""

    connection: Connection
    cookie: int
    packet_ids: list[int]
    says_nothing: bool = False  # its first packet is known to say no name
    interface_index: int = 0
    is_tied: bool = False  # on another interface it might not have been asked about

    def is_sender_of(self, cookie: int, exec_id: int) -> bool:
        """Whether a further packet of the flow is from this socket, and from no other program that got hold of it."""
        process = self.connection.attribution.process
        return self.cookie == cookie and (process is None or exec_id in (0, process.exec_id))

    def is_of_process_of(self, other: "Waiter") -> bool:
        process = self.connection.attribution.process
        return process is not None and process == other.connection.attribution.process


@dataclass(slots=True)
class OpenPrompt:
    prompt_id: int
    question: Question
    decision: Decision  # to ask
    opened: Instant
    deadline_s: float  # boot-time seconds
    waiters: dict[Flow, Waiter] = field(default_factory=dict)

    def value(self, now: Instant) -> Prompt:
        first = next(iter(self.waiters.values()))
        return Prompt(
            prompt_id=self.prompt_id,
            connection=first.connection,
            count=len(self.waiters),
            reason=self.decision.reason,
            rule=self.decision.rule,
            opened_s=self.opened.wall_s,
            age_s=now.boot_s - self.opened.boot_s,
            deadline_s=self.deadline_s,
            remaining_s=max(0.0, self.deadline_s - now.boot_s),
        )

    def find_attempt(self) -> dict[Flow, Waiter]:
        """What is one connection for people: the first one that waits, and its process's first by the other family.

        Who is given addresses of both tries one beside the other, and takes what comes through first (RFC 8305).
        """
        (first_flow, first), *others = self.waiters.items()
        attempt = {first_flow: first}
        for flow, waiter in others:
            is_other_family = is_v4(flow.remote) != is_v4(first_flow.remote)
            if is_other_family and waiter.is_of_process_of(first):
                return attempt | {flow: waiter}
        return attempt


class Prompts:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[int, OpenPrompt] = {}
        self._by_question: dict[Question, OpenPrompt] = {}
        self._by_flow: dict[Flow, OpenPrompt] = {}
        self._closed: BoundedTable[int, ClosedPrompt] = BoundedTable(256)
        self._last_id = settings.first_prompt_id - 1
        self.held = 0  # packets that wait, in all prompts
        self._held_by: Counter[_Share] = Counter()  # likewise
        self._open_by: Counter[_Share] = Counter()  # prompts
        self.turned_away = 0  # connections denied since there was no room to hold them
        self.dropped = 0  # further packets of a held flow beyond its bound

    def hold(self, waiter: Waiter, decision: Decision, now: Instant) -> OpenPrompt | None:
        """Let a flow wait in the prompt for its question, opening one if there is none; None: no room."""
        question = question_of(waiter.connection)
        prompt = self._by_question.get(question)
        has_room = self._may_hold(question) if prompt else self._has_room_to_open(question)
        if not has_room:
            self.turned_away += 1
            return None
        prompt = prompt or self._open_prompt(question, decision, now)
        prompt.waiters[waiter.connection.flow] = waiter
        self._by_flow[waiter.connection.flow] = prompt
        self._count(question, len(waiter.packet_ids))
        return prompt

    def hold_packet(self, waiter: Waiter, packet_id: int) -> bool:
        """Hold a further packet of a flow that waits; False when it has enough of them."""
        prompt = self._by_flow[waiter.connection.flow]
        if len(waiter.packet_ids) >= self._settings.max_waiters_per_flow or not self._may_hold(prompt.question):
            self.dropped += 1
            return False
        waiter.packet_ids.append(packet_id)
        self._count(prompt.question, 1)
        return True

    def find_waiter(self, flow: Flow) -> Waiter | None:
        prompt = self._by_flow.get(flow)
        return prompt.waiters[flow] if prompt else None

    def release(self, flow: Flow) -> tuple[OpenPrompt, Waiter]:
        """Take a flow out of its prompt, which `close_or_update` has to follow. KeyError when it does not wait."""
        prompt = self._by_flow.pop(flow)
        waiter = prompt.waiters.pop(flow)
        self._count(prompt.question, -len(waiter.packet_ids))
        return prompt, waiter

    def abandon(self, flow: Flow, reason: str, now: Instant) -> Iterator[Command]:
        """Let go of a flow that nobody waits for any more, or that needs no answer. KeyError when it does not wait."""
        prompt, waiter = self.release(flow)
        for packet_id in waiter.packet_ids:
            yield DropPacket(packet_id)
        yield self.close_or_update(prompt, reason, now)

    def close_or_update(self, prompt: OpenPrompt, reason: str, now: Instant, by_uid: int | None = None) -> Command:
        """Close a prompt that nobody waits in any more, or show for whom it is still open.

        The reason is told to those who answer too late.
        """
        if prompt.waiters:
            return ShowPrompt(prompt.value(now))
        del self._open[prompt.prompt_id]
        del self._by_question[prompt.question]
        _add(self._open_by, prompt.question, -1)
        self._closed.put(prompt.prompt_id, ClosedPrompt(reason, prompt.question.uid))
        return ClosePrompt(prompt.prompt_id, reason, by_uid, prompt.question.uid)

    def find(self, prompt_id: int) -> OpenPrompt | None:
        return self._open.get(prompt_id)

    def find_closed(self, prompt_id: int) -> ClosedPrompt | None:
        """What became of a prompt; None when it never was open, or long ago."""
        return self._closed.find(prompt_id)

    def find_expired(self, now_s: float) -> list[OpenPrompt]:
        return [prompt for prompt in self._open.values() if prompt.deadline_s <= now_s]

    def next_deadline(self) -> float | None:
        """All prompts wait equally long, so the oldest is the first to give up."""
        first = next(iter(self._open.values()), None)
        return first.deadline_s if first else None

    def _open_prompt(self, question: Question, decision: Decision, now: Instant) -> OpenPrompt:
        self._last_id += 1
        prompt = OpenPrompt(self._last_id, question, decision, now, now.boot_s + self._settings.timeout_s)
        self._open[prompt.prompt_id] = prompt
        self._by_question[question] = prompt
        _add(self._open_by, question, 1)
        return prompt

    def _has_room_to_open(self, question: Question) -> bool:
        limit = self._settings.max_prompts
        has_room = len(self._open) < limit and not _is_flood(self._open_by, question, limit)
        return has_room and self._may_hold(question)

    def _may_hold(self, question: Question) -> bool:
        """Whether one more packet may wait for its answer."""
        limit = self._settings.max_waiters
        return self.held < limit and not _is_flood(self._held_by, question, limit)

    def _count(self, question: Question, packets: int) -> None:
        self.held += packets
        _add(self._held_by, question, packets)

    def __iter__(self) -> Iterator[OpenPrompt]:
        """Oldest first; a copy, so that prompts may be closed meanwhile."""
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)


def _add(counts: Counter[_Share], question: Question, number: int) -> None:
    """Whose count is zero takes no room."""
    for share in _shares_of(question):
        counts[share] += number
        if not counts[share]:
            del counts[share]
