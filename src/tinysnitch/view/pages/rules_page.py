"""The page of the rules: each one in force, how often and when last it decided; how to change, remove or add one, and
how to take the last change back.

A changed rule is added before the old one is removed, so that nothing between the two is decided by neither. A rule
that is removed, and a change that is taken back, go by their numbers: what others do meanwhile is left alone.
"""

import re
from collections.abc import Iterator
from typing import ClassVar

from tinysnitch.core.model.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.rules.changes import Act
from tinysnitch.core.rules.note import MAX_NOTE, note_of, with_note
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.protocol.messages import (
    AddRule,
    ChangeEntry,
    FromDaemon,
    ListChanges,
    ListRules,
    ReadStatus,
    RemoveRule,
    Request,
    RuleEntry,
    RuleGroup,
    RuleSource,
    RuleWritten,
    Status,
    TakeBack,
    Undone,
)
from tinysnitch.view.answer_notice import tell_undone
from tinysnitch.view.line_edit import LineEdit
from tinysnitch.view.pages.list_page import COMES_BACK, GOES, ListPage, PageKey, Requests, Waiting
from tinysnitch.view.pages.tabs import PageName
from tinysnitch.view.span import format_duration
from tinysnitch.view.tables.rule_columns import NEVER

_READ: Requests = (ListRules(is_used=True), ReadStatus(), ListChanges())
_BY = re.compile(r"by \S+ \d{4}-\d\d-\d\d ?")  # how a note begins
_NEW = "allow "  # what the line of a new rule begins with


class RulesPage(ListPage):
    name = PageName.RULES
    again_s = 3.0
    keys: ClassVar[tuple[PageKey, ...]] = (
        PageKey("e", "e", "edit", "edit the rule by hand; Enter writes it, Esc leaves it as it was"),
        PageKey("x", "x", "remove", "remove the rule (also Delete); Enter does it"),
        PageKey("a", "a", "add", "write a new rule"),
        PageKey("z", "z", "undo", "take your last answer back, or what you last did to the rules; Enter does it"),
        PageKey("r", "r", "", "read the rules again"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, RuleEntry] = {}  # by the keys of their rows
        self.groups: tuple[RuleGroup, ...] = ()
        self.file_errors: tuple[str, ...] = ()
        self.changes: tuple[ChangeEntry, ...] = ()  # that can be taken back, the oldest first
        self.is_read = False
        self._changed: RuleEntry | None = None  # whose line is edited; None: a new one
        self._written = ""  # the rule that was just written, or came back, to be selected

    @property
    def entry(self) -> RuleEntry | None:
        """The one that is selected."""
        return self.entries.get(self.selected) if self.selected else None

    @property
    def shown(self) -> dict[str, RuleEntry]:
        """Those that the filter shows."""
        words = self.filter.text.lower().split()
        return {key: entry for key, entry in self.entries.items() if all(word in _text_of(entry) for word in words)}

    def row_keys(self) -> tuple[str, ...]:
        return tuple(self.shown)

    def open(self, _now: float) -> Requests:
        return _READ

    def act(self, name: str, now: float) -> Requests:
        entry = self.entry
        match name:
            case "r":
                return _READ
            case "a":
                self._changed = None
                self.edit = LineEdit(line := f"{_NEW}{self._own}", len(line), self.uid, is_answer=False)
            case "e" if entry:
                self._changed = entry
                self.edit = LineEdit(entry.rule, len(entry.rule), self.uid, _remark_of(entry), is_answer=False)
            case "x" | "delete" if entry:
                self._changed = None
                self.waiting = Waiting((_removal_of(entry),), "remove this rule", (entry.rule,), now)
            case "z":
                self._changed = None
                self._show_last_change(now)
        return ()

    def _show_last_change(self, now: float) -> None:
        """Show the last change of this person, for Enter to take back."""
        theirs = (each for each in reversed(self.changes) if each.uid == self.own_uid and each.taken_back is None)
        change = next(theirs, None)
        if change is None:
            self.notice = "there is nothing of yours to take back"
            return
        lines = tuple(_lines_back(change))
        ago = format_duration(max(0.0, now + self.wall_ahead_s - change.time))
        self.waiting = Waiting(
            (TakeBack(change.number),),
            f"take back what you did {ago} ago",
            tuple(line for line, _label in lines),
            now,
            labels=tuple(label for _line, label in lines),
        )

    @property
    def _own(self) -> str:
        return "" if self.uid is None else f"user={self.uid} "

    def accept(self, line: str) -> Requests:
        old = self._changed
        if old is None:
            return (AddRule(line),)
        if parse_rule(line) == parse_rule(old.rule):  # it would not be written again, and then removed
            self.notice = "the rule is the same; its comment is changed in its file"
            return ()
        kept = "" if note_of(line) else _BY.sub("", old.note)[:MAX_NOTE]  # by whom and when is written anew
        return AddRule(with_note(line, kept), old.group), _removal_of(old)

    def take(self, request: Request, replies: tuple[FromDaemon, ...]) -> Requests:
        match request:
            case ListRules():
                self._hold(tuple(reply for reply in replies if isinstance(reply, RuleEntry)))
            case ReadStatus():
                for status in (reply for reply in replies if isinstance(reply, Status)):
                    self.groups, self.file_errors = status.groups, status.rule_errors
            case AddRule() | RemoveRule():
                if written := next((reply for reply in replies if isinstance(reply, RuleWritten)), None):
                    self._tell(request, written)
                return _READ
            case ListChanges():
                self.changes = tuple(reply for reply in replies if isinstance(reply, ChangeEntry))
            case TakeBack():
                for undone in (reply for reply in replies if isinstance(reply, Undone)):
                    self.notice = tell_undone(undone, "you")
                    self._written = undone.put_back[0].rule if undone.put_back else ""
                return _READ
        return ()

    def _tell(self, request: AddRule | RemoveRule, written: RuleWritten) -> None:
        if isinstance(request, AddRule):
            self.notice, self._written = f"written: {written.rule}", written.rule
        elif self._changed is None or request != _removal_of(
            self._changed
        ):  # else it made room for the one just written
            self.notice = f"removed: {written.rule}"
        if written.problem:
            self.notice = f"{written.problem}: {written.rule}"

    def refuse(self, request: Request, error: SnitchError) -> Requests:
        super().refuse(request, error)
        return () if request in _READ else _READ

    def _hold(self, entries: tuple[RuleEntry, ...]) -> None:
        """The rules as they are now. If the one that is selected is gone, the one in its place is selected."""
        before, self.is_read = list(self.shown), True
        self.entries = {_key_of(entry): entry for entry in entries if _is_read(entry.rule)}
        if self.selected and self.selected not in self.entries:
            after = [key for key in before[before.index(self.selected) :] if key in self.entries] if before else []
            self.selected = next(iter(after), None)
        if self._written:
            self.selected = next(
                (key for key, each in self.entries.items() if each.rule == self._written), self.selected
            )
            self._written = ""


def _is_read(line: str) -> bool:
    try:
        parse_rule(line)
    except RuleSyntaxError:  # of a daemon of another version
        return False
    return True


def _removal_of(entry: RuleEntry) -> RemoveRule:
    return RemoveRule(entry.rule) if entry.number is None else RemoveRule(number=entry.number)


def _lines_back(change: ChangeEntry) -> Iterator[tuple[str, str]]:
    """The rules of a change, each with what becomes of it when the change is taken back."""
    for changed in filter(lambda each: _is_read(each.rule), change.written):
        yield changed.rule, "moves back" if change.act is Act.MOVE else GOES
    if change.act is not Act.MOVE:
        for changed in filter(lambda each: _is_read(each.rule), change.removed):
            yield changed.rule, COMES_BACK


def _key_of(entry: RuleEntry) -> str:
    return f"{entry.source.value} {entry.group or ''} {entry.rule}"


def _text_of(entry: RuleEntry) -> str:
    """What the filter looks at."""
    use = NEVER if entry.count == 0 else ""
    return f"{entry.rule} {entry.note} {entry.group or ''} {entry.source.value} {use}".lower()


def _remark_of(entry: RuleEntry) -> str:
    return "the line that you write stays when its process ends" if entry.source is RuleSource.QUIT else ""
