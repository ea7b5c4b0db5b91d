"""Requests out of the engine. The driver carries them out in order, before it takes the next event."""

import msgspec

from tinysnitch.core.engine.records import Record
from tinysnitch.core.model.asking_mode import AskingMode
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import Asker, ProcessKey
from tinysnitch.core.model.verdict import Inspection, Verdict, VerdictKey
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.rule import Rule


class IssueVerdict(msgspec.Struct, frozen=True):
    """Let a held packet go, or refuse it."""

    packet_id: int
    verdict: Verdict  # ALLOW or DENY
    follows: bool = False  # a packet before it began the conversation that lets it pass: no verdict is looked up


class DropPacket(msgspec.Struct, frozen=True):
    """Drop a held packet silently: one too many of a held flow, or one that nobody waits for any more."""

    packet_id: int


class PassMessage(msgspec.Struct, frozen=True):
    """Let a DNS message go on; it was only looked at."""

    packet_id: int


class InspectMore(msgspec.Struct, frozen=True):
    """Let a packet that was read go on, and show what its connection sends next."""

    packet_id: int


class EndInspection(msgspec.Struct, frozen=True):
    """The reading of a connection is over: let it and the held packet go on, or refuse both."""

    packet_id: int
    flow: Flow
    cookie: int
    verdict: Verdict  # ALLOW or DENY


class SkipInspection(msgspec.Struct, frozen=True):
    """Let a UDP flow go on unread: its first datagram, which is held right now, says no name."""

    flow: Flow
    cookie: int


class RememberVerdict(msgspec.Struct, frozen=True):
    """Write a verdict into the kernel's cache, before the packet is let go."""

    key: VerdictKey
    verdict: Verdict
    generation: int
    expires_s: float | None  # boot-time seconds, None: never
    inspection: Inspection = Inspection.NONE
    rule: Rule | None = None  # that made it, whose uses are counted


class RememberFlow(msgspec.Struct, frozen=True):
    """Write a verdict for this one flow into the kernel, before the packet is let go."""

    flow: Flow
    verdict: Verdict
    generation: int
    expires_s: float | None
    inspection: Inspection = Inspection.NONE
    exec_id: int = 0  # of the program that it holds for, since another may use the flow by now; 0: unknown
    tied_to: int = 0  # index of the only interface by which allowed packets may leave; 0: any
    rule: Rule | None = None


class ForgetVerdicts(msgspec.Struct, frozen=True):
    keys: tuple[VerdictKey, ...]


class SetGeneration(msgspec.Struct, frozen=True):
    """Make every verdict of another generation stale at once."""

    generation: int
    own_addresses: frozenset[bytes] | None = None  # the addresses of this machine from now on; None: as before


class ShowPrompt(msgspec.Struct, frozen=True):
    """Open a question with every prompt client, or update its count."""

    prompt: Prompt


class ClosePrompt(msgspec.Struct, frozen=True):
    """Take a question away: answered, timed out, or decided by a rule."""

    prompt_id: int
    reason: str
    by_uid: int | None
    uid: int | None = None  # of the program that asked


class AppendRule(msgspec.Struct, frozen=True):
    """Add one line to the rules file."""

    rule: Rule
    by_uid: int  # of the user whose answer it is


class KeepTemporaryRules(msgspec.Struct, frozen=True):
    """Store these temporary rules, and no others, for the next daemon."""

    rules: tuple[Rule, ...]


class ChangeMode(msgspec.Struct, frozen=True):
    """Store this mode for the next daemon of this boot, and tell all prompts."""

    mode: AskingMode


class WatchProcess(msgspec.Struct, frozen=True):
    """Send ProcessExited when this process ends, at once if it has ended already."""

    process: ProcessKey


class Report(msgspec.Struct, frozen=True):
    """Tell the log, the history and those who follow (`--follow`)."""

    record: Record


class NoteNames(msgspec.Struct, frozen=True):
    """Count that a program asks for these names."""

    asker: Asker
    names: tuple[str, ...]
    wall_s: float


# What becomes of held packets and flows, in the kernel.
VerdictCommand = (
    RememberVerdict
    | IssueVerdict
    | RememberFlow
    | PassMessage
    | InspectMore
    | EndInspection
    | SkipInspection
    | DropPacket
    | ForgetVerdicts
    | SetGeneration
)
_ForPeople = Report | NoteNames
Command = (
    VerdictCommand | _ForPeople | ShowPrompt | ClosePrompt | WatchProcess | AppendRule | KeepTemporaryRules | ChangeMode
)
