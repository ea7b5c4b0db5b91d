"""Open prompts: which flows wait in each, until when, and which prompts were closed lately.

Rules: (1) equal questions (question.py) are one prompt with a count; (2) a flow waits in at most one prompt;
(3) numbers are never used twice, so that a late answer answers nothing; (4) both the prompts and the packets held for
them are bounded (room.py), and what is turned away is counted.

Room for what waits for people, shared so that no flood of questions can crowd out the rest.

All inbound connections together may take half of it, and so may any one program of one user; all programs of a user but
root three quarters, since a user can run a program under any number of names. The remotes that connect to one port of
one program may have a limit of their own: on the internet there is any number of them, each makes a question, and
nobody answers hundreds of these. So may the number of a user's programs that have questions: otherwise the questions of
others would end unanswered before people got through these.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from tinysnitch.core.engine.commands import ClosePrompt, Command, DropPacket, Report, ShowPrompt
from tinysnitch.core.engine.records import ConnectionDecided, PromptAnswered
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction, Flow, is_v4
from tinysnitch.core.model.process import UNKNOWN_EXEC_ID, AttributionSource, share_of
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.prompts.question import Prompt, Question, question_of
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.text import format_rule

_HALF, _THREE_QUARTERS = 2, 3  # quarters
_Program = tuple[AttributionSource, str, int | None]
_Service = tuple[_Program, str, int]
_ProgramsOf = tuple[str, int]
_Share = Direction | int | _Program | _Service | _ProgramsOf


class Room:
    def __init__(self, limit: int, visitors: int | None = None, programs: int | None = None) -> None:
        """`visitors`: how many places the remotes that connect to one port may take. `programs`: how many programs of
        any one user but root may have places."""
        self._limit = limit
        self._visitors = limit if visitors is None else visitors
        self._programs = limit if programs is None else programs
        self.used = 0
        self._used_by: Counter[_Share] = Counter()

    def has_place(self, question: Question) -> bool:
        """Whether there is a place for one more connection with this question."""
        shares = self._shares_of(question)
        if question.uid and _program_of(question) not in self._used_by:
            shares[_programs_of(question.uid)] = self._programs
        return self.used < self._limit and all(self._used_by[share] < most for share, most in shares.items())

    def take(self, question: Question, places: int = 1) -> None:
        self.used += places
        had_places = _program_of(question) in self._used_by
        for share in self._shares_of(question):
            self._add(share, places)
        if question.uid:
            self._add(_programs_of(question.uid), (_program_of(question) in self._used_by) - had_places)

    def give_back(self, question: Question, places: int = 1) -> None:
        self.take(question, -places)

    def _add(self, share: _Share, places: int) -> None:
        self._used_by[share] += places
        if not self._used_by[share]:  # a share without places takes no memory
            del self._used_by[share]

    def _part(self, quarters: int) -> int:
        return (self._limit * quarters + 3) // 4

    def _shares_of(self, question: Question) -> dict[_Share, int]:
        """The shares that a place for this question counts in, each with the most places that it may have."""
        program = _program_of(question)
        # Each question about `unknown` may be about another program, so it counts as one.
        most = self._programs if question.source is AttributionSource.UNKNOWN else self._limit
        shares: dict[_Share, int] = {program: min(self._part(_HALF), most)}
        if question.uid:  # not for root, whose services all others need, nor where the user is not known
            shares[share_of(question.uid)] = self._part(_THREE_QUARTERS)
        if question.direction is Direction.INBOUND:
            shares[Direction.INBOUND] = self._part(_HALF)
            # A remote may send any of the protocols without ports, so these share one limit.
            protocol = question.protocol if question.port else ""
            shares[program, protocol, question.port] = self._visitors
        return shares


def _program_of(question: Question) -> _Program:
    return question.source, question.program, question.uid


def _programs_of(uid: int) -> _ProgramsOf:
    """The share in which each program of a user counts once, however many places it has."""
    return "programs", share_of(uid)


_CLOSED_KEPT = 256
_GAVE_UP = "the program gave up"  # another socket or program has the ports of its connection by now


class ClosedPrompt(msgspec.Struct, frozen=True):
    reason: str  # why it is no longer open
    uid: int | None  # of the program that asked


@dataclass(slots=True)
class Waiter:
    """A flow whose packets are held."""

    connection: Connection
    cookie: int
    packet_ids: list[int]
    says_nothing: bool = False  # its first datagram cannot say a name
    interface_index: int = 0
    is_tied: bool = False  # a rule with iface= took part: on another interface it might not have been asked about

    def is_sender_of(self, cookie: int, exec_id: int) -> bool:
        """Whether a further packet of the flow is from the same socket, and the same program as far as is known."""
        process = self.connection.attribution.process
        return self.cookie == cookie and (process is None or exec_id in (UNKNOWN_EXEC_ID, process.exec_id))

    def is_of_process_of(self, other: "Waiter") -> bool:
        process = self.connection.attribution.process
        return process is not None and process == other.connection.attribution.process


@dataclass(slots=True)
class OpenPrompt:
    prompt_id: int
    question: Question
    decision: Decision  # whose verdict is ASK
    opened: Instant
    deadline_s: float  # boot-time seconds
    waiters: dict[Flow, Waiter] = field(default_factory=dict)

    def value(self, now: Instant) -> Prompt:
        """The prompt as it is shown to people."""
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

    def report_answer(
        self, rule: Rule, by_uid: int, now: Instant, *, is_once: bool = False, quit_pid: int | None = None
    ) -> Report:
        line, uid = format_rule(rule), self.question.uid
        return Report(PromptAnswered(self.prompt_id, line, by_uid, now.wall_s, uid, is_once, quit_pid))

    def find_attempt(self) -> dict[Flow, Waiter]:
        """The flows that are one connection for people: the first that waits, and the first of the same process in the
        other address family.

        A program that has addresses of both families tries both at once and takes the first that works (RFC 8305).
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
        self._closed: BoundedTable[int, ClosedPrompt] = BoundedTable(_CLOSED_KEPT)
        self._last_id = settings.first_prompt_id - 1
        self.prompt_room = Room(settings.max_prompts, settings.max_visitors, settings.max_programs)
        self.packet_room = Room(settings.max_waiters, settings.max_waiters_per_port)
        self.turned_away = 0  # connections that were denied for want of room
        self.dropped = 0  # further packets of held flows, for which there was no room

    def hold(self, waiter: Waiter, decision: Decision, now: Instant) -> OpenPrompt | None:
        """Let a flow wait in the prompt for its question, which is opened if there is none; None: there is no room."""
        question = question_of(waiter.connection)
        prompt = self._by_question.get(question)
        has_place = (prompt or self.prompt_room.has_place(question)) and self.packet_room.has_place(question)
        if not has_place:
            self.turned_away += 1
            return None
        prompt = prompt or self._open_prompt(question, decision, now)
        prompt.waiters[waiter.connection.flow] = waiter
        self._by_flow[waiter.connection.flow] = prompt
        self.packet_room.take(question, len(waiter.packet_ids))
        return prompt

    def hold_packet(self, waiter: Waiter, packet_id: int) -> bool:
        """Hold a further packet of a flow that waits; False: there is no room."""
        prompt = self._by_flow[waiter.connection.flow]
        is_full = len(waiter.packet_ids) >= self._settings.max_waiters_per_flow
        if is_full or not self.packet_room.has_place(prompt.question):
            self.dropped += 1
            return False
        waiter.packet_ids.append(packet_id)
        self.packet_room.take(prompt.question)
        return True

    def find_waiter(self, flow: Flow) -> Waiter | None:
        prompt = self._by_flow.get(flow)
        return prompt.waiters[flow] if prompt else None

    def release(self, flow: Flow) -> tuple[OpenPrompt, Waiter]:
        """Take a flow out of its prompt; call `close_or_update` afterwards. KeyError if the flow does not wait."""
        prompt = self._by_flow.pop(flow)
        waiter = prompt.waiters.pop(flow)
        self.packet_room.give_back(prompt.question, len(waiter.packet_ids))
        return prompt, waiter

    def abandon(self, flow: Flow, now: Instant) -> Iterator[Command]:
        """Drop a flow that its program gave up: a reset would end whoever has its ports now, so it is denied without
        one, and nothing is remembered. KeyError if the flow does not wait."""
        prompt, waiter = self.release(flow)
        for packet_id in waiter.packet_ids:
            yield DropPacket(packet_id)
        denial = Decision(verdict=Verdict.DENY, reason=_GAVE_UP, rule=prompt.decision.rule)
        yield Report(ConnectionDecided(waiter.connection, denial, False, now.wall_s))
        yield self.close_or_update(prompt, _GAVE_UP, now)

    def close_or_update(self, prompt: OpenPrompt, reason: str, now: Instant, by_uid: int | None = None) -> Command:
        """Close the prompt if no flow waits in it any more, else show it with its new count.

        The reason is told to clients, and to people who answer too late.
        """
        if prompt.waiters:
            return ShowPrompt(prompt.value(now))
        del self._open[prompt.prompt_id]
        del self._by_question[prompt.question]
        self.prompt_room.give_back(prompt.question)
        self._closed.put(prompt.prompt_id, ClosedPrompt(reason, prompt.question.uid))
        return ClosePrompt(prompt.prompt_id, reason, by_uid, prompt.question.uid)

    def find(self, prompt_id: int) -> OpenPrompt | None:
        return self._open.get(prompt_id)

    def find_closed(self, prompt_id: int) -> ClosedPrompt | None:
        """Why a prompt was closed; None: it was never open, or closed long ago."""
        return self._closed.find(prompt_id)

    def find_expired(self, now_s: float) -> list[OpenPrompt]:
        return [prompt for prompt in self._open.values() if prompt.deadline_s <= now_s]

    def next_deadline(self) -> float | None:
        """Boot-time seconds. All prompts have the same timeout, so the oldest ends first."""
        first = next(iter(self._open.values()), None)
        return first.deadline_s if first else None

    def _open_prompt(self, question: Question, decision: Decision, now: Instant) -> OpenPrompt:
        self._last_id += 1
        prompt = OpenPrompt(self._last_id, question, decision, now, now.boot_s + self._settings.timeout_s)
        self._open[prompt.prompt_id] = prompt
        self._by_question[question] = prompt
        self.prompt_room.take(question)
        return prompt

    def __iter__(self) -> Iterator[OpenPrompt]:
        """The open prompts, oldest first. Others may be opened or closed meanwhile."""
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)
