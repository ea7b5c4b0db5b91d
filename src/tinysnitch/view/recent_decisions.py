"""The decisions that were made last, for a prompt without a question, and the rules that a person makes of them.

1. Equal decisions are one row with a count: the same program, remote, port and verdict, by the same rule. The newest
   row is the first, and the oldest goes when there are MAX_KEPT.
2. No row is selected until a person moves there. Only then do keys make rules, so that a `y` for a question that has
   just gone means nothing here. What is selected is a row, wherever newer ones move it.
3. The rule of a row has the shape that a question proposes: the program, the name or else the address, the port, and
   arguments where these are the program. If those look like a secret, or no rule can say it, no key makes the rule.
"""

import msgspec

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.errors import Malformed, RuleSyntaxError
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Flow, parse_address
from tinysnitch.core.model.process import Attribution, AttributionSource, Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import WORDS, Facts, RemoteWords
from tinysnitch.core.policy.precedence import is_narrower
from tinysnitch.core.prompts.answer import holds_secret, rule_for_choice
from tinysnitch.core.prompts.catalogue import NO_CATALOGUE
from tinysnitch.core.prompts.proposal import choose_first_for_ever
from tinysnitch.core.rules.rule import ANY_REMOTE, Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.protocol.log_lines import ConnectionLine
from tinysnitch.view.line_edit import LineEdit
from tinysnitch.view.prompt_events import RuleChange

MAX_KEPT = 200
PAGE = 10  # rows that a page key moves by
PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}
_STEPS = {"down": 1, "up": -1, "pagedown": PAGE, "pageup": -PAGE, "wheel down": 1, "wheel up": -1}
_ENDS = {"home": -MAX_KEPT, "end": MAX_KEPT}
_ROW = "row "  # how the name of the key begins that a click on a row presses
_NOBODY = RemoteWords(Facts())  # a row's rule has no word of which a list or an address of ours could tell more

_Place = tuple[object, ...]


class Decided(msgspec.Struct, frozen=True):
    number: int  # of the row
    line: ConnectionLine  # the newest of these decisions
    count: int = 1

    @property
    def key(self) -> str:
        """The name of the key that a click on the row presses."""
        return f"{_ROW}{self.number}"


def _connection_of(line: ConnectionLine) -> Connection | None:
    """The connection, as far as the line tells of it."""
    try:
        flow = Flow(
            protocol=PROTOCOLS.get(line.protocol) or int(line.protocol),
            direction=line.direction,
            local=parse_address(line.local_address),
            local_port=line.local_port,
            remote=parse_address(line.remote_address),
            remote_port=line.remote_port,
        )
    except (Malformed, ValueError):
        return None
    process = None
    if line.attribution in (AttributionSource.BPF, AttributionSource.PROCFS):
        process = Process(
            exec_id=0,
            pid=line.pid or 0,
            started_ns=0,
            uid=line.uid or 0,
            executable=line.program,
            device=0,
            inode=0,
            program=line.program,
            args=line.args,
            parents=line.parents,
        )
    return Connection(flow=flow, attribution=Attribution(line.attribution, process), name=line.name)


def _parse(line: str | None) -> Rule | None:
    try:
        return parse_rule(line) if line else None
    except RuleSyntaxError:  # of another version
        return None


def _wins(decided: Rule, new: Rule) -> bool:
    """Whether the rule that has decided would decide the same again, beside the new one of the other verdict. It has
    matched, so a word in it (`lan`, a list) does cover the remote, whatever that is."""
    if decided.remote.kind in WORDS:
        decided = msgspec.structs.replace(decided, remote=ANY_REMOTE)
    if is_narrower(new, decided, _NOBODY):
        return False
    return is_narrower(decided, new, _NOBODY) or decided.verdict is Verdict.DENY


def find_hindrance(decided_by: str | None, line: str) -> str:
    """Why the rule in the line would change nothing for what that other one has decided; "" if it would."""
    decided, new = _parse(decided_by), parse_rule(line)
    if decided is None or decided.verdict is Verdict.ASK:
        return ""
    if decided.verdict is new.verdict:
        return "a rule does so already"
    return "its rule would win, take that back first" if _wins(decided, new) else ""


class RecentDecisions:
    def __init__(self) -> None:
        self.catalogue = NO_CATALOGUE  # which a front end reads: it says of which programs the arguments stay
        self.is_for_user = False  # our rules are for our own user alone
        self._rows: dict[_Place, Decided] = {}  # the newest is last
        self._selected: _Place | None = None
        self._made = 0

    @property
    def rows(self) -> tuple[Decided, ...]:
        """The newest first."""
        return tuple(reversed(self._rows.values()))

    @property
    def selected(self) -> Decided | None:
        return self._rows.get(self._selected) if self._selected else None

    @property
    def position(self) -> int | None:
        """The index of the selected row among `rows`."""
        selected = self.selected
        return self.rows.index(selected) if selected else None

    def add(self, lines: tuple[ConnectionLine, ...], *, is_anew: bool = False) -> None:
        """Take what was decided. `is_anew`: these are all, and what stood here is told again."""
        if is_anew:
            self._rows.clear()
        for line in lines:
            place = _place_of(line)
            known = self._rows.pop(place, None)
            self._made += known is None
            self._rows[place] = Decided(*(known.number, line, known.count + 1) if known else (self._made, line))
        while len(self._rows) > MAX_KEPT:
            del self._rows[next(iter(self._rows))]

    def leave(self) -> None:
        """Select no row."""
        self._selected = None

    def move(self, name: str) -> bool:
        """Select another row by a key. False if the key moves nowhere, or there is no row."""
        places = list(reversed(self._rows))
        if not places:
            return False
        if name.startswith(_ROW):
            found = [place for place, row in self._rows.items() if row.key == name]
            self._selected = found[0] if found else self._selected
            return bool(found)
        step = _STEPS.get(name) or _ENDS.get(name)
        if step is None:
            return False
        at = self.position
        first = 0 if at is None else at + step
        self._selected = places[min(max(first, 0), len(places) - 1)]
        return True

    # what keys do with the row that is selected

    def propose(self, verdict: Verdict) -> str | None:
        """The line of the rule for it; None if none should be made but by hand."""
        connection = _connection_of(self.selected.line) if self.selected else None
        if connection is None:
            return None
        first = choose_first_for_ever(self.catalogue.describe(connection))
        choice = msgspec.structs.replace(first, verdict=verdict, is_for_user=self.is_for_user)
        if holds_secret(connection, choice):
            return None
        line = format_rule(rule_for_choice(connection, choice, 0.0))
        return line if _parse(line) else None  # the history may have names that no rule can say

    def find_hindrance(self, verdict: Verdict) -> str:
        """Why no rule with this verdict is made; "" if it may be."""
        line = self.propose(verdict)
        if line is None:
            return "a secret or an odd name in it, edit it"
        return find_hindrance(self.selected.line.rule if self.selected else None, line)

    def change_by(self, verdict: Verdict) -> RuleChange | None:
        """What `y` or `n` has the daemon do; None if the key does nothing."""
        line = None if self.find_hindrance(verdict) else self.propose(verdict)
        return RuleChange(line) if line else None

    def take_back(self) -> RuleChange | None:
        """What `x` has the daemon do: remove the rule that decided."""
        decided = self.selected
        return RuleChange(decided.line.rule, is_added=False) if decided and decided.line.rule else None

    def begin_edit(self) -> LineEdit:
        """The line that `e` begins with: the proposal with the verdict that was given."""
        decided = self.selected
        line = (self.propose(decided.line.verdict) or decided.line.rule or "") if decided else ""
        return LineEdit(line, len(line), decided.line.uid if decided and self.is_for_user else None)


def _place_of(line: ConnectionLine) -> _Place:
    remote = line.name or line.remote_address
    port = line.remote_port if line.direction.value == "outbound" else line.local_port
    return (line.verdict, line.program, line.uid, remote, port, line.protocol, line.direction, line.rule)
