"""What a client may ask of the daemon, and what the daemon says: tagged unions, one frame each.

1. The daemon speaks first: Welcome, or Refused and the end. Then the client says Hello, and asks.
   (If a client wrote first, it could lose the refusal: closing with unread bytes resets the connection, unix(7).)
2. A request is answered by any number of replies and then Done, or by Refused. Requests are answered in order.
3. Attach is answered with PromptShown for each open question, and the Notice that still stands, if there is one. From
   then on the daemon also sends PromptShown, PromptClosed and Notice as they come up; and Welcome once more when the
   settings of prompts, or the mode, have changed.
4. After a ReadLog with `follow` the daemon also sends log lines. These are sent as they are: their tag is "event", not
   "type".
5. After a WatchTraffic it sends, each second in which there is any, the rows of traffic that have changed, and then
   TrafficTold.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Annotated

import msgspec

from tinysnitch import __version__
from tinysnitch.core.model.asking_mode import ASKING, AskingMode
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.changes import Act, Change, ChangedRule, Place
from tinysnitch.core.rules.list_entries import BadLine
from tinysnitch.core.tidy.proposal import Kind
from tinysnitch.core.traffic.asked_names import AskedName, AskingProgram, NamesQuestion, NamesTotal
from tinysnitch.core.traffic.queries import TrafficLine, TrafficQuestion, TrafficTotal

PROTOCOL = 1  # goes up when a client of one version cannot speak with a daemon of another
VERSION_HINT = "after an upgrade restart tinysnitchd, and prompts that ran before; or use the commands of its version"
LEARNED_RULES = "learned.rules"  # file in the state folder: what observing or a pause let pass, as rules
LOG_LINE = b'{"event":'  # how the frame of a line of the log begins
MAX_PROGRAM = 8192  # characters, path and arguments: the daemon keeps those of the last thousands of requests

MAX_MODE_S = 86400.0  # of a pause: who wants more time says that there is no end
MAX_DELAY_S = 10.0  # with a longer delay, the time of a question could end before it takes keys

# JSON has no infinity. Later than any date that means something, and exact as a float.
_NEVER_S = float(2**62)


def _tag(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")


class Message(msgspec.Struct, frozen=True, tag_field="type", tag=_tag):
    """Any frame that is not a log line."""


class Theme(Enum):
    AUTO = "auto"  # as the terminal or the desktop has it
    LIGHT = "light"
    DARK = "dark"


class WindowSize(Enum):
    DIALOG = "dialog"  # as large as its text
    FULL = "full"  # the whole screen


class WindowPosition(Enum):
    MIDDLE = "middle"
    CORNER = "corner"


class PromptSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How prompts are to be, by the settings of the daemon. What the person at a prompt sets goes before."""

    lifetime: Lifetime | None = None  # that is proposed first; None: that of the question's proposal
    delay: Annotated[float, msgspec.Meta(ge=0, le=MAX_DELAY_S)] | None = None  # seconds; None: the prompt's own
    theme: Theme = Theme.AUTO
    window: WindowSize = WindowSize.DIALOG
    position: WindowPosition = WindowPosition.MIDDLE


# -- requests ---------------------------------------------------------------------------------------------------


class Hello(Message, frozen=True):
    protocol: int = PROTOCOL
    version: str = __version__


class ReadStatus(Message, frozen=True):
    pass


class ListRules(Message, frozen=True):
    is_used: bool = False  # with how often each rule decided, and when last


class ListLists(Message, frozen=True):
    pass


class AddRule(Message, frozen=True):
    line: str  # its comment becomes the note
    group: str | None = None  # None: the main rules file


class RemoveRule(Message, frozen=True):
    """By its line, or by its number."""

    line: str = ""
    number: int | None = None


class ListChanges(Message, frozen=True):
    pass


class TakeBack(Message, frozen=True):
    """Take a change of rules back: an answer, or what was done by hand."""

    number: int | None = None  # None: the last one of this user


class ListProposals(Message, frozen=True):
    """What would make the rules fewer. What is gone is what the client does not find: the daemon waits for no disk."""

    gone_paths: tuple[str, ...] = ()  # of programs and parents, as rules name them
    gone_users: tuple[str, ...] = ()
    gone_lists: tuple[str, ...] = ()


class TakeProposal(Message, frozen=True):
    """A proposal as it was listed. It is refused if the rules have changed so that it is none any more."""

    kind: Kind
    removed: tuple[str, ...]
    added: str | None = None


class ListLearned(Message, frozen=True):
    """What passed without a rule, as the fewest lines."""


class TakeLearned(Message, frozen=True):
    """Add the rule to the rules file, and take these lines off the list."""

    lines: tuple[str, ...]
    rule: str | None = None  # None: the lines are only taken off


class MoveRule(Message, frozen=True):
    """By its line, or by its number."""

    line: str = ""
    group: str | None = None  # None: the main rules file
    number: int | None = None


class SwitchGroup(Message, frozen=True):
    """Put a group of rules in force, or out of it."""

    group: str
    is_on: bool


class ReadLog(Message, frozen=True):
    limit: int  # how many lines of the past, the newest ones
    follow: bool = False


class ListAsks(Message, frozen=True):
    pass


class GiveAnswer(Message, frozen=True):
    """Exactly one of `choice` and `rule` is set."""

    prompt_id: int
    choice: Choice | None = None
    rule: str | None = None  # the line of a rule, instead of one that a choice makes
    # The same for all answers of one key, and of no other one: they are taken back together. 0: there is one.
    together: Annotated[int, msgspec.Meta(ge=0)] = 0


class KeepOpen(Message, frozen=True):
    """A person is at the question: its time begins anew. There is no reply but Done."""

    prompt_id: int


class Explain(Message, frozen=True):
    program: Annotated[str, msgspec.Meta(max_length=MAX_PROGRAM)]  # as in a rule, perhaps with arguments behind it
    remote: str  # a name or an address
    port: int  # 0 where there are none
    protocol: str  # as in a rule's column: `tcp`, `udp-src`
    sha256: Annotated[str, msgspec.Meta(max_length=64)] | None = None  # of the program's file, as the client reads it
    is_sha256_told: bool = True  # False: the client cannot read it


class ReadHistory(Message, frozen=True):
    question: TrafficQuestion


class ReadNames(Message, frozen=True):
    question: NamesQuestion


class SetMode(Message, frozen=True):
    """Have what no rule covers decided in this way from now on: asked about, allowed, or denied."""

    mode: Verdict
    for_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_MODE_S)] | None = None  # None: without end


class Attach(Message, frozen=True):
    """From now on this client shows prompts."""


class EndConnections(Message, frozen=True, kw_only=True):
    """End what a program has now with this remote and port."""

    program: Annotated[str, msgspec.Meta(max_length=MAX_PROGRAM)]
    remote_address: str
    port: int  # that rules test: outbound theirs, inbound ours
    protocol: str
    direction: Direction


class WatchTraffic(Message, frozen=True):
    """From now on this client looks at who talks with whom. There is no Done."""


_Listing = ListRules | ListLists | ListAsks | ListChanges | ReadLog | ListProposals | ListLearned
_Edit = AddRule | RemoveRule | MoveRule | SwitchGroup | TakeProposal | TakeLearned | TakeBack | SetMode
Request = (
    Hello
    | ReadStatus
    | _Listing
    | _Edit
    | GiveAnswer
    | KeepOpen
    | Explain
    | ReadHistory
    | ReadNames
    | Attach
    | WatchTraffic
    | EndConnections
)

# -- replies and pushes -----------------------------------------------------------------------------------------


class Welcome(Message, frozen=True):
    protocol: int = PROTOCOL
    version: str = __version__
    sees_all: bool = True  # False: only what is about the client's own user, and its rules must have that user=
    prompt: PromptSettings | None = None  # None: the daemon is of a version that has none
    asking: AskingMode = ASKING


class Done(Message, frozen=True):
    """No more replies to this request follow."""


class Refused(Message, frozen=True):
    """The request failed. `exit_code` is the command's (docs/commands.md)."""

    message: str
    hint: str = ""
    exit_code: int = 1


class Mode(Enum):
    """How much the kernel helps the daemon."""

    BPF = "bpf"
    DEGRADED = "degraded"  # without BPF: attribution is weaker


class RuleGroup(msgspec.Struct, frozen=True):
    """A group of rules: a file in the folder of the settings."""

    group: str  # its name
    path: str
    is_on: bool
    rules: int = 0  # in force, from this file


class Status(Message, frozen=True, kw_only=True):
    version: str = __version__
    pid: int
    mode: Mode
    mode_reason: str = ""  # why it is degraded
    not_enforcing: str = ""  # why the netfilter rules are not there, or not all of them
    cannot_restart: str = ""  # why no daemon could start once this one has ended
    is_crowded: bool = False  # more comes than can be judged: each sender has its share, and the rest is dropped
    netns: int  # inode of the network namespace, as /proc/PID/ns/net shows it
    cgroup: str  # whose programs BPF knows; a scoped daemon judges nothing else
    rules_file: str
    uptime_s: float
    is_learning: bool = False
    learned_rules: str = ""  # path of the file with what it let pass, as rules
    asking: Verdict = Verdict.ASK  # what becomes of connections that no rule covers
    asking_until: str | None = None  # as times in the log; None: no end
    asking_left_s: float | None = None  # until then
    rules: int  # from the files
    temporary_rules: int = 0
    groups: tuple[RuleGroup, ...] = ()  # for who sees all
    settings_file: str = ""
    setting_errors: tuple[str, ...] = ()  # FILE:LINE: problem (hint: ...); what is set there does not count
    settings_later: tuple[str, ...] = ()  # keys that were changed there, and count at the next start
    rule_errors: tuple[str, ...] = ()  # FILE:LINE:COLUMN: problem (hint: ...); of a file with any, the old rules hold
    prompts: int  # open
    clients: int  # on the control socket
    prompt_clients: int = 0
    queues: dict[str, int] = {}  # packets that wait, by where
    hits: int  # packets, most of them the first of a connection, decided in the kernel
    misses: int  # packets that came to the daemon, further ones of held flows too
    tables: dict[str, int] = {}  # entries in use, by table
    evicted: dict[str, int] = {}  # cache entries that made room for others, and are decided anew when needed
    losses: dict[str, int] = {}  # every counter of something lost


class RuleSource(Enum):
    FILE = "file"  # the main one, or a group
    TEMPORARY = "temporary"
    QUIT = "quit"  # bound to a process


class RuleEntry(Message, frozen=True):
    rule: str  # the line
    source: RuleSource
    until: float | None = None  # wall-clock seconds
    pid: int | None = None  # of the process that it is bound to
    group: str | None = None  # None: it is in no group
    note: str = ""  # the comment behind it
    count: int | None = None  # how often it decided; None: not asked for
    last: float | None = None  # wall-clock seconds, when last; None: never
    number: int | None = None  # that this line alone ever has; None: the daemon could not keep one


class ListState(Enum):
    LOADED = "loaded"
    LOADING = "loading"
    MISSING = "missing"


class ListEntry(Message, frozen=True, kw_only=True):
    """A list of remotes: a file in the folder, or a missing one that a rule names."""

    list: str  # its name
    path: str
    rules: int  # that name it
    state: ListState
    problem: str = ""  # why the file as it is now could not be read
    names: int = 0
    addresses: int = 0
    networks: int = 0  # of more than one address
    bad_lines: int = 0
    bad_examples: tuple[BadLine, ...] = ()  # of the first bad lines
    updated: float | None = None  # wall-clock seconds when the file was written last
    source: str | None = None  # from where `lists update` fetches it


class RuleWritten(Message, frozen=True):
    """The rule that a request added, found there already, or removed."""

    rule: str
    problem: str = ""  # why the rule is in force, but not saved
    hint: str = ""


class Working(Message, frozen=True):
    """Nothing yet: a long answer lets others have their turn."""


class ProposalEntry(Message, frozen=True):
    kind: Kind
    removed: tuple[str, ...]
    added: str | None
    why: str
    effect: str  # what the new rule decides that none of the old ones did; "": nothing changes


class LearnedLine(msgspec.Struct, frozen=True):
    rule: str
    since: str = ""  # why and since when it is listed, as `learn since 2026-12-02T12:20:03Z`; "": not known
    count: int = 0  # connections that it stands for since the daemon started


class WiderRule(msgspec.Struct, frozen=True):
    rule: str
    effect: str


class LearnedEntry(Message, frozen=True):
    kind: Kind
    lines: tuple[LearnedLine, ...]
    added: str | None  # None: the lines can go
    why: str
    effect: str
    wider: tuple[WiderRule, ...] = ()  # what may be added instead, the narrowest first


class GroupSwitched(Message, frozen=True):
    """The group as it is now."""

    group: RuleGroup


class ModeState(Message, frozen=True, kw_only=True):
    """How what no rule covers is decided now."""

    mode: Verdict
    was: Verdict  # before the request
    until: str | None = None  # as times in the log; None: no end
    left_s: float | None = None
    decided: int = 0  # questions that were open, and are decided by it
    learned_rules: str = ""  # path of the file with what passes, as rules


class ChangedLine(msgspec.Struct, frozen=True):
    rule: str
    place: Place
    group: str | None = None  # None: it is in no group


class ChangeEntry(Message, frozen=True, kw_only=True):
    """A change of rules: an answer, the answers of one key, or what was done by hand."""

    number: int  # that this change alone ever has
    time: float  # wall-clock seconds
    uid: int  # who made it
    act: Act
    written: tuple[ChangedLine, ...] = ()
    removed: tuple[ChangedLine, ...] = ()
    taken_back: float | None = None  # wall-clock seconds
    taken_back_by: int | None = None  # uid


class RuleKept(msgspec.Struct, frozen=True):
    rule: str
    why: str  # one lower-case clause


class Undone(Message, frozen=True, kw_only=True):
    """What became of a change that was taken back."""

    change: ChangeEntry  # as it was
    removed: tuple[ChangedLine, ...] = ()
    put_back: tuple[ChangedLine, ...] = ()
    forgotten: tuple[ChangedLine, ...] = ()  # answers that held once
    kept: tuple[RuleKept, ...] = ()  # that are left as they are


class BeatenRule(msgspec.Struct, frozen=True):
    rule: str
    why: str  # one lower-case clause
    group: str | None = None
    number: int | None = None


class ConnectionsEnded(Message, frozen=True):
    count: int


class Explanation(Message, frozen=True, kw_only=True):
    verdict: Verdict
    reason: str
    rule: str | None = None  # the line that wins
    group: str | None = None  # that this line is in
    number: int | None = None  # of this line
    count: int = 0  # how often it decided
    last: float | None = None  # wall-clock seconds, when last
    beaten: tuple[BeatenRule, ...] = ()
    elsewhere: tuple[BeatenRule, ...] = ()  # rules that would decide on a certain network interface


class HistoryEntry(Message, frozen=True):
    line: TrafficLine


class NamesProgram(Message, frozen=True):
    program: AskingProgram


class NamesAsked(Message, frozen=True):
    asked: AskedName


class NamesSum(Message, frozen=True):
    """The last reply to ReadNames."""

    total: NamesTotal


class HistoryTotal(Message, frozen=True):
    """The last reply of a history."""

    total: TrafficTotal


class PromptShown(Message, frozen=True):
    """A question is open, or its count has changed."""

    prompt: Prompt


class PromptClosed(Message, frozen=True):
    prompt_id: int
    reason: str
    by_uid: int | None = None


class Notice(Message, frozen=True, omit_defaults=True):
    """News for people, such as that the rules did not load."""

    text: str
    hint: str = ""
    stands: bool | None = None  # true: until a notice has false, or another one has true; None: it is news only


class TrafficEntry(Message, frozen=True, kw_only=True):
    """What was counted of connections that are alike, since the last time."""

    program: str
    uid: int | None  # of the process; None: there is none
    remote_address: str
    name: str | None
    port: int  # that rules test: outbound theirs, inbound ours, 0 where there are none
    protocol: str
    direction: Direction
    verdict: Verdict
    rule: str | None  # that decided
    connections: int  # new ones
    bytes_in: int
    bytes_out: int
    first: float  # wall-clock seconds
    last: float


class TrafficTold(Message, frozen=True):
    """All rows of this second were sent."""

    until: float  # wall-clock seconds
    left_out: int = 0  # rows, of those that have the least


_Proposed = Working | ProposalEntry | LearnedEntry
_Entry = RuleEntry | ListEntry | ChangeEntry
_Outcome = RuleWritten | GroupSwitched | Undone
_History = HistoryEntry | HistoryTotal | NamesProgram | NamesAsked | NamesSum
Reply = (
    Done
    | Refused
    | Status
    | _Proposed
    | _Entry
    | _Outcome
    | ModeState
    | Explanation
    | _History
    | PromptShown
    | ConnectionsEnded
)
Push = PromptShown | PromptClosed | Notice
Traffic = TrafficEntry | TrafficTold
FromDaemon = Welcome | Reply | Push | Traffic


def change_entry(change: Change) -> ChangeEntry:
    back = change.taken_back
    return ChangeEntry(
        number=change.number,
        time=change.wall_s,
        uid=change.uid,
        act=change.act,
        written=changed_lines(change.written),
        removed=changed_lines(change.removed),
        taken_back=back.wall_s if back else None,
        taken_back_by=back.uid if back else None,
    )


def changed_lines(rules: Iterable[ChangedRule]) -> tuple[ChangedLine, ...]:
    return tuple(ChangedLine(rule.line, rule.place, rule.group or None) for rule in rules)


def prompt_shown(prompt: Prompt) -> PromptShown:
    """The message for a prompt, without infinity, which JSON does not have."""
    connection = prompt.connection
    if connection.name_expires_s > _NEVER_S:
        connection = msgspec.structs.replace(connection, name_expires_s=_NEVER_S)
        prompt = msgspec.structs.replace(prompt, connection=connection)
    return PromptShown(prompt)
