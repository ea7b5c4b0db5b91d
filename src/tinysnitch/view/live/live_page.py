"""The live page: takes what the daemon tells each second, and keys.

1. The rows are those of the last second until it is paused; then they stand still, and what comes is counted on.
2. A rule is first shown (list_page.py). The keys that choose how long it holds and what it covers are those of a
   question (view/keys.py), `y` and `n` change its verdict, and Enter writes it.
3. A row of several connections stands for the one that talked last. The rule of a program is for any remote, that of a
   remote with several ports for any port; narrower ones with the keys.
"""

import copy
from typing import ClassVar

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.protocol.messages import (
    AddRule,
    ConnectionsEnded,
    EndConnections,
    Explain,
    Explanation,
    FromDaemon,
    ListRules,
    Request,
    RuleEntry,
    RuleWritten,
)
from tinysnitch.view.answer_notice import name_lifetime
from tinysnitch.view.keys import KEYS, Act, Forever, find_key
from tinysnitch.view.line_edit import LineEdit
from tinysnitch.view.live.connection import connection_of
from tinysnitch.view.live.filter import parse_filter
from tinysnitch.view.live.seen import TrafficSeen
from tinysnitch.view.live.traffic import Meter, Traffic
from tinysnitch.view.live.tree import Level, Node, Sort, grow
from tinysnitch.view.pages.list_page import ListPage, PageKey, Requests, Waiting
from tinysnitch.view.pages.tabs import PageName
from tinysnitch.view.prompt_state import next_scope
from tinysnitch.view.prompt_view import KeyHint
from tinysnitch.view.recent_decisions import find_hindrance

SORT_KEY = "sort "  # how the name of the key begins that a click on a column's title presses
_LIFETIMES = (Lifetime.ONE_MINUTE, Lifetime.THREE_MINUTES, Lifetime.NINE_MINUTES, Lifetime.DAY, Lifetime.FOREVER)
_TCP = "tcp"
_CHOSEN = (Verdict.ALLOW, Verdict.DENY, Act.CYCLE_REMOTE, Act.TOGGLE_PORT, Act.EDIT)


class Told(msgspec.Struct, frozen=True):
    """What the daemon said of a row."""

    row: str  # its key
    explanation: Explanation
    note: str = ""  # behind the rule that decides


class LivePage(ListPage):
    name = PageName.LIVE
    keys: ClassVar[tuple[PageKey, ...]] = (
        PageKey("→", "right", "", "show what is below the row; ← hides it again, + and - do so for all rows"),
        PageKey("Enter", "enter", "explain", "which rule decides about a remote, why, since when, and what it beats"),
        PageKey(
            "y", "y", "allow", "a rule that allows it, or with n denies it: it is shown first, and Enter writes it"
        ),
        PageKey("n", "n", "deny", ""),
        PageKey("e", "e", "edit", "write the rule by hand"),
        PageKey("x", "x", "end", "end the connections of the row, if they are tcp: Enter does it"),
        PageKey("s", "s", "sort", "sort by rate, total, connections, last, name (also a click on a title)"),
        PageKey("Space", "space", "pause", "stand still, and go on"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.traffic = Traffic()
        self.sort = Sort.RATE
        self.unfolded: frozenset[str] = frozenset()
        self.told: Told | None = None
        self._paused: tuple[Traffic, float] | None = None  # what is shown meanwhile, and of when it is
        self._draft: tuple[Meter, Choice] | None = None  # the rule that is shown, if a key made it
        self._nodes: list[Node] = []
        self._ended = 0  # connections, by the last `x`

    # what the daemon tells

    def see(self, seen: TrafficSeen) -> None:
        self.traffic.add(seen.entries, seen.until_s, seen.left_out)

    def open(self, _now: float) -> Requests:
        return ()

    @property
    def is_paused(self) -> bool:
        return self._paused is not None

    def nodes(self, now: float) -> list[Node]:
        """The rows as they are now."""
        traffic, now_s = self.shown(now)
        tests = parse_filter(self.filter.text)
        meters = [meter for meter in traffic.meters.values() if all(test(meter, now_s) for test in tests)]
        self._nodes = grow(meters, now_s, self.sort, self.unfolded)
        return self._nodes

    def shown(self, now: float) -> tuple[Traffic, float]:
        """The traffic that is shown, and the time that its rates are of."""
        return self._paused or (self.traffic, self.traffic.moment(now + self.wall_ahead_s))

    def row_keys(self) -> tuple[str, ...]:
        return tuple(node.key for node in self._nodes)

    @property
    def node(self) -> Node | None:
        """The row that is selected."""
        return next((node for node in self._nodes if node.key == self.selected), None)

    def point_to(self, program: str) -> None:
        """Select the row of a program, unfolded, whether it has talked yet or not."""
        self.selected = f"\0{program}"
        self.unfolded |= {self.selected}

    # keys

    def act(self, name: str, now: float) -> Requests:
        self.nodes(now)
        node = self.node
        if name.startswith(SORT_KEY):
            self.sort = Sort(name.removeprefix(SORT_KEY))
        elif name == "s":
            self.sort = list(Sort)[(list(Sort).index(self.sort) + 1) % len(Sort)]
        elif name in ("space", " "):
            self._pause(now)
        elif name in ("+", "plus", "-", "minus"):
            self.unfolded = frozenset(_all_keys(self._nodes)) if name in ("+", "plus") else frozenset()
        requests = self._act_on(node, name, now) if node else ()
        self.nodes(now)  # the key may have folded or sorted
        return requests

    def _pause(self, now: float) -> None:
        self._paused = None if self._paused else copy.deepcopy(self.shown(now))

    def _act_on(self, node: Node, name: str, now: float) -> Requests:
        match name:
            case "right":
                self.unfolded |= {node.key}
            case "left":
                self._fold(node)
            case "enter":
                return self._ask(node)
            case "y" | "Y" | "n" | "N":
                self._begin_rule(node, Verdict.ALLOW if name in "yY" else Verdict.DENY, now)
            case "x" | "delete":
                self._begin_end(node, now)
            case "e":
                self._begin_rule(node, node.newest.key.verdict, now)
                self._begin_edit()
        return ()

    def _fold(self, node: Node) -> None:
        """Fold the row, or if it is not unfolded the one above it, which is selected then."""
        if node.key not in self.unfolded and node.level is not Level.PROGRAM:
            self.selected = node.key.rpartition("\0")[0]
        self.unfolded -= {self.selected or ""}

    def _ask(self, node: Node) -> Requests:
        if node.level is Level.PROGRAM:
            self.notice = "it depends on the remote: → shows them"
            return ()
        key = node.newest.key
        program = quote_word(key.program) if key.program.startswith("/") else key.program
        protocol = f"{key.protocol}-src" if key.direction.value == "inbound" else key.protocol
        return Explain(program, quote_word(key.remote), key.port, protocol), ListRules()

    def _begin_rule(self, node: Node, verdict: Verdict, now: float) -> None:
        ports = {meter.key.port for meter in node.sum.meters}
        choice = Choice(
            verdict=verdict,
            lifetime=Lifetime.FOREVER,
            remote=RemoteScope.ANY if node.level is Level.PROGRAM else RemoteScope.NAME,
            any_port=len(ports) > 1,
            any_args=True,
            is_for_user=self.uid is not None,
        )
        self._show_rule(node.newest, choice, now)

    def _begin_end(self, node: Node, now: float) -> None:
        """Show what would be ended, for Enter to do it."""
        keys = [meter.key for meter in node.sum.meters if meter.key.verdict is Verdict.ALLOW]
        places = {(key.program, key.address, key.port, key.protocol, key.direction) for key in keys}
        ends = tuple(
            EndConnections(program=program, remote_address=address, port=port, protocol=protocol, direction=direction)
            for program, address, port, protocol, direction in sorted(places, key=str)
            if protocol == _TCP
        )
        self._draft, self._ended = None, 0
        if ends:
            self.waiting = Waiting(ends, "end its connections", (), now)
        else:
            self.notice = "only connections of tcp can be ended"

    def _show_rule(self, meter: Meter, choice: Choice, now: float) -> None:
        """Show the rule, for Enter to write."""
        connection = connection_of(meter.key)
        if connection is None:
            self.notice = "no rule can say this"
            return
        rule = rule_for_choice(connection, choice, now + self.wall_ahead_s)
        line = format_rule(rule)
        hindrance = find_hindrance(meter.key.rule, line) if choice.remote is not RemoteScope.ANY else ""
        verb = "allow" if choice.verdict is Verdict.ALLOW else "deny"
        holds = name_lifetime(connection, choice)
        self._draft = meter, choice
        self.waiting = Waiting((AddRule(line),), f"{verb} {holds}", (line,), now, hindrance)

    def choices(self) -> tuple[KeyHint, ...]:
        if self._draft is None:
            return ()
        choice = self._draft[1]
        return tuple(
            KeyHint(key.label, key.short, is_on=key.effect in (choice.lifetime, choice.verdict))
            for key in KEYS
            if key.effect in (*_CHOSEN, *_LIFETIMES)
        )

    def choose(self, name: str, now: float) -> Requests:
        """A key for the rule that is shown."""
        key = find_key(name)
        if self._draft is None or key is None:
            return ()
        meter, choice = self._draft
        match key.effect:
            case Verdict() | Forever() as given:
                choice = msgspec.structs.replace(choice, verdict=Verdict(given.value))
            case Lifetime() as lifetime if lifetime in _LIFETIMES:
                choice = msgspec.structs.replace(choice, lifetime=lifetime)
            case Act.CYCLE_REMOTE:
                choice = msgspec.structs.replace(choice, remote=next_scope(choice.remote))
            case Act.TOGGLE_PORT:
                choice = msgspec.structs.replace(choice, any_port=not choice.any_port)
            case Act.EDIT:
                self._begin_edit()
                return ()
            case _:
                return ()
        self._show_rule(meter, choice, now)
        return ()

    def _begin_edit(self) -> None:
        """Edit the rule that is shown."""
        if self.waiting:
            line = self.waiting.lines[0]
            self.waiting, self.edit = None, LineEdit(line, len(line), self.uid, is_answer=False)

    def accept(self, line: str) -> Requests:
        return (AddRule(line),)

    # what the daemon answers

    def take(self, request: Request, replies: tuple[FromDaemon, ...]) -> Requests:
        for reply in replies:
            if isinstance(reply, Explanation) and self.selected:
                self.told = Told(self.selected, reply)
            elif isinstance(reply, RuleEntry) and self.told and reply.rule == self.told.explanation.rule:
                self.told = msgspec.structs.replace(self.told, note=reply.note)
            elif isinstance(reply, ConnectionsEnded):
                self._ended += reply.count
                self.notice = f"ended: {self._ended}"
            elif isinstance(reply, RuleWritten):
                self.notice = f"{reply.problem or 'written'}: {reply.rule}"
        return ()


def _all_keys(nodes: list[Node]) -> set[str]:
    """Of all rows that can be unfolded, also of those that are not shown yet."""
    keys = {node.key for node in nodes}
    programs = [node for node in nodes if node.level is Level.PROGRAM]
    return keys | {f"{node.key}\0{meter.key.remote}" for node in programs for meter in node.sum.meters}
