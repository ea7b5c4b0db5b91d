"""Open prompts: which flows are held for each, until when, and which prompts were closed lately.

Rules: (1) connections with equal keys (core/prompts/prompt.py) are one prompt with a count; (2) a flow is held for at
most one prompt; (3) numbers are never used twice, so that a late answer answers nothing; (4) both the prompts and the
packets held for them have a quota, and what is turned away is counted.

Quotas are shared so that no flood of prompts can push out the rest. All inbound connections together may take half of
one, and so may any one program of one user; all programs of a user but root three quarters, since a user can run a
program under any number of names. The remotes that connect to one port of one program may have a limit of their own: on
the internet there is any number of them, each makes a prompt, and nobody answers hundreds of these. So may the number
of a user's programs that have prompts: otherwise the prompts of others would end unanswered before people got through
these.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from tinysnitch.core.engine.commands import ClosePrompt, Command, DropPacket, Report, ShowPrompt
from tinysnitch.core.engine.records import ConnectionDecided, PromptAnswered
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import TCP, Direction, Flow, is_v4
from tinysnitch.core.model.past import Past
from tinysnitch.core.model.process import UNKNOWN_EXEC_ID, AttributionSource, share_of
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.prompts.prompt import Prompt, PromptKey, prompt_key_of
from tinysnitch.core.prompts.proposal import Proposal, propose
from tinysnitch.core.rules.changes import ChangedRule, Place, place_of
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule

_Program = tuple[AttributionSource, str, int | None]
_Service = tuple[_Program, str, int]
_ProgramsOf = tuple[str, int]  # "programs", and the share of a user
_Share = Direction | int | _Program | _Service | _ProgramsOf


class Quota:
    def __init__(self, limit: int, per_port: int | None = None, programs: int | None = None) -> None:
        """`per_port`: how much the remotes that connect to one port may take. `programs`: how many programs of any one
        user but root may take anything."""
        self._limit = limit
        self._half, self._three_quarters = (limit * 2 + 3) // 4, (limit * 3 + 3) // 4
        self._per_port = limit if per_port is None else per_port
        self._programs = limit if programs is None else programs
        self.used = 0
        self._used_by: Counter[_Share] = Counter()

    def has_room(self, key: PromptKey) -> bool:
        """Whether one more connection with this key fits in."""
        shares = self._shares_of(key)
        if key.uid and (key.source, key.program, key.uid) not in self._used_by:
            shares["programs", share_of(key.uid)] = self._programs
        return self.used < self._limit and all(self._used_by[share] < most for share, most in shares.items())

    def change(self, key: PromptKey, count: int) -> None:
        """Take as much for connections with this key, or give it back (negative)."""
        self.used += count
        program = key.source, key.program, key.uid
        was_in = program in self._used_by
        changes = dict.fromkeys(self._shares_of(key), count)
        if key.uid and was_in != (self._used_by[program] + count > 0):
            changes["programs", share_of(key.uid)] = -1 if was_in else 1  # in this one each program counts once
        for share, change in changes.items():
            self._used_by[share] += change
            if not self._used_by[share]:  # a share of which nothing is used takes no memory
                del self._used_by[share]

    def _shares_of(self, key: PromptKey) -> dict[_Share, int]:
        """The shares that a connection with this key counts in, each with the most that may be used of it."""
        program = key.source, key.program, key.uid
        # Each prompt about `unknown` may be about another program, so it counts as one.
        most = self._programs if key.source is AttributionSource.UNKNOWN else self._limit
        shares: dict[_Share, int] = {program: min(self._half, most)}
        if key.uid:  # not for root, whose services all others need, nor where the user is not known
            shares[share_of(key.uid)] = self._three_quarters
        if key.direction is Direction.INBOUND:
            shares[Direction.INBOUND] = self._half
            # A remote may send any of the protocols without ports, so these share one limit.
            protocol = key.protocol if key.port else ""
            shares[program, protocol, key.port] = self._per_port
        return shares


Propose = Callable[[Connection, Decision, Instant], Proposal]

_CLOSED_KEPT = 256
LONGEST_S = 600.0  # since it opened, that people at a question can keep it open
_FOLLOWED = 16  # prompts whose proposals are made anew at a change of the rules: some milliseconds each at most
_GAVE_UP = "the program gave up"  # another socket or program has the ports of its connection by now


class ClosedPrompt(msgspec.Struct, frozen=True):
    reason: str  # why it is no longer open
    uid: int | None  # of the program that asked


@dataclass(slots=True)
class HeldFlow:
    """A flow whose packets are held."""

    connection: Connection
    cookie: int
    packet_ids: list[int]
    says_nothing: bool = False  # its first datagram cannot say a name
    interface_index: int = 0
    is_tied: bool = False  # a rule with iface= took part: on another interface it might not have been asked about

    @property
    def is_talk(self) -> bool:
        """Whether its first packet begins what further ones pass in; of TCP each SYN is judged."""
        flow = self.connection.flow
        return flow.protocol != TCP and flow.direction is Direction.OUTBOUND

    def is_sender_of(self, cookie: int, exec_id: int) -> bool:
        """Whether a further packet of the flow is from the same socket, and the same program as far as is known."""
        process = self.connection.attribution.process
        return self.cookie == cookie and (process is None or exec_id in (UNKNOWN_EXEC_ID, process.exec_id))

    def is_of_process_of(self, other: "HeldFlow") -> bool:
        process = self.connection.attribution.process
        return process is not None and process == other.connection.attribution.process


@dataclass(slots=True)
class OpenPrompt:
    prompt_id: int
    key: PromptKey
    decision: Decision  # whose verdict is ASK
    opened: Instant
    deadline_s: float  # boot-time seconds
    proposal: Proposal
    held: dict[Flow, HeldFlow] = field(default_factory=dict)
    past: Past | None = None

    def value(self, now: Instant) -> Prompt:
        """The prompt as it is shown to people."""
        first = next(iter(self.held.values()))
        return Prompt(
            prompt_id=self.prompt_id,
            connection=first.connection,
            count=len(self.held),
            reason=self.decision.reason,
            rule=self.decision.rule,
            opened_s=self.opened.wall_s,
            age_s=now.boot_s - self.opened.boot_s,
            deadline_s=self.deadline_s,
            remaining_s=max(0.0, self.deadline_s - now.boot_s),
            proposal=self.proposal.choice,
            widened=self.proposal.widened,
            alone=self.proposal.alone,
            past=self.past,
        )

    def report_answer(
        self,
        rule: Rule,
        by_uid: int,
        now: Instant,
        *,
        is_once: bool = False,
        quit_pid: int | None = None,
        is_new: bool = True,
    ) -> Report:
        line, uid = format_rule(rule), self.key.uid
        changed = ChangedRule(line, Place.ONCE if is_once else place_of(rule), is_new, rule.exec_id)
        return Report(PromptAnswered(self.prompt_id, line, by_uid, now.wall_s, uid, is_once, quit_pid, changed))

    def find_attempt(self) -> dict[Flow, HeldFlow]:
        """The flows that are one connection for people: the first that waits, and the first of the same process in the
        other address family.

        A program that has addresses of both families tries both at once and takes the first that works (RFC 8305).
        """
        (first_flow, first), *others = self.held.items()
        attempt = {first_flow: first}
        for flow, held in others:
            is_other_family = is_v4(flow.remote) != is_v4(first_flow.remote)
            if is_other_family and held.is_of_process_of(first):
                return attempt | {flow: held}
        return attempt


def _propose_alone(connection: Connection, _decision: Decision, _now: Instant) -> Proposal:
    return propose(connection)


class Prompts:
    def __init__(self, settings: Settings, propose: Propose = _propose_alone) -> None:
        self.timeout_s = settings.timeout_s  # of prompts that are opened from now on
        self._settings = settings
        self._propose = propose
        self._open: dict[int, OpenPrompt] = {}
        self._by_key: dict[PromptKey, OpenPrompt] = {}
        self._by_flow: dict[Flow, OpenPrompt] = {}
        self._next_s: float | None = None  # when the first of them ends; None: not known, or none is open
        self._closed: BoundedTable[int, ClosedPrompt] = BoundedTable(_CLOSED_KEPT)
        self._last_id = settings.first_prompt_id - 1
        self.prompt_quota = Quota(settings.max_prompts, settings.max_prompts_per_port, settings.max_programs_per_user)
        self.packet_quota = Quota(settings.max_held_packets, settings.max_held_per_port)
        self.turned_away = 0  # connections that were denied for want of room
        self.dropped = 0  # further packets of held flows, for which there was no room

    def hold(self, held: HeldFlow, decision: Decision, now: Instant) -> OpenPrompt | None:
        """Let a flow wait in the prompt for its key, which is opened if there is none; None: there is no room."""
        key = prompt_key_of(held.connection)
        prompt = self._by_key.get(key)
        has_room = (prompt or self.prompt_quota.has_room(key)) and self.packet_quota.has_room(key)
        if not has_room:
            self.turned_away += 1
            return None
        prompt = prompt or self._open_prompt(key, decision, held.connection, now)
        prompt.held[held.connection.flow] = held
        self._by_flow[held.connection.flow] = prompt
        self.packet_quota.change(key, len(held.packet_ids))
        return prompt

    def hold_further(self, held: HeldFlow, packet_id: int) -> bool:
        """Hold a further packet of a flow that waits; False: there is no room."""
        prompt = self._by_flow[held.connection.flow]
        is_full = len(held.packet_ids) >= self._settings.max_held_per_flow
        if is_full or not self.packet_quota.has_room(prompt.key):
            self.dropped += 1
            return False
        held.packet_ids.append(packet_id)
        self.packet_quota.change(prompt.key, 1)
        return True

    def find_held(self, flow: Flow) -> HeldFlow | None:
        prompt = self._by_flow.get(flow)
        return prompt.held[flow] if prompt else None

    def release(self, flow: Flow) -> tuple[OpenPrompt, HeldFlow]:
        """Take a flow out of its prompt; call `close_or_update` afterwards. KeyError if the flow does not wait."""
        prompt = self._by_flow.pop(flow)
        held = prompt.held.pop(flow)
        self.packet_quota.change(prompt.key, -len(held.packet_ids))
        return prompt, held

    def abandon(self, flow: Flow, now: Instant) -> Iterator[Command]:
        """Drop a flow that its program gave up: a reset would end whoever has its ports now, so it is denied without
        one, and nothing is remembered. KeyError if the flow does not wait."""
        prompt, held = self.release(flow)
        for packet_id in held.packet_ids:
            yield DropPacket(packet_id)
        denial = Decision(verdict=Verdict.DENY, reason=_GAVE_UP, rule=prompt.decision.rule)
        yield Report(ConnectionDecided(held.connection, denial, False, now.wall_s))
        yield self.close_or_update(prompt, _GAVE_UP, now)

    def close_or_update(self, prompt: OpenPrompt, reason: str, now: Instant, by_uid: int | None = None) -> Command:
        """Close the prompt if no flow waits in it any more, else show it with its new count.

        The reason is told to clients, and to people who answer too late.
        """
        if prompt.held:
            return ShowPrompt(prompt.value(now))
        del self._open[prompt.prompt_id]
        self._next_s = None
        del self._by_key[prompt.key]
        self.prompt_quota.change(prompt.key, -1)
        self._closed.put(prompt.prompt_id, ClosedPrompt(reason, prompt.key.uid))
        return ClosePrompt(prompt.prompt_id, reason, by_uid, prompt.key.uid)

    def propose_again(self, now: Instant) -> Iterator[OpenPrompt]:
        """Make the proposals of the oldest prompts anew, since the rules have changed; those that are others now."""
        for prompt in islice(self, _FOLLOWED):
            connection = next(iter(prompt.held.values())).connection
            proposal = self._propose(connection, prompt.decision, now)
            if proposal != prompt.proposal:
                prompt.proposal = proposal
                yield prompt

    def find(self, prompt_id: int) -> OpenPrompt | None:
        return self._open.get(prompt_id)

    def find_closed(self, prompt_id: int) -> ClosedPrompt | None:
        """Why a prompt was closed; None: it was never open, or closed long ago."""
        return self._closed.find(prompt_id)

    def find_expired(self, now_s: float) -> list[OpenPrompt]:
        return [prompt for prompt in self._open.values() if prompt.deadline_s <= now_s]

    def next_deadline(self) -> float | None:
        """Boot-time seconds."""
        if self._next_s is None and self._open:
            self._next_s = min(prompt.deadline_s for prompt in self._open.values())
        return self._next_s

    def renew(self, prompt: OpenPrompt, now: Instant) -> bool:
        """Let the prompt's time begin anew, up to LONGEST_S in all. False: its end stays what it was."""
        deadline_s = min(now.boot_s + self.timeout_s, prompt.opened.boot_s + LONGEST_S)
        if deadline_s < prompt.deadline_s + 1:  # a second more is not worth telling all clients
            return False
        prompt.deadline_s, self._next_s = deadline_s, None
        return True

    def _open_prompt(self, key: PromptKey, decision: Decision, connection: Connection, now: Instant) -> OpenPrompt:
        self._last_id += 1
        deadline_s = now.boot_s + self.timeout_s
        prompt = OpenPrompt(self._last_id, key, decision, now, deadline_s, self._propose(connection, decision, now))
        self._open[prompt.prompt_id] = prompt
        self._by_key[key] = prompt
        self._next_s = None
        self.prompt_quota.change(key, 1)
        return prompt

    def __iter__(self) -> Iterator[OpenPrompt]:
        """The open prompts, oldest first. Others may be opened or closed meanwhile."""
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)
