"""The last changes that people made to the rules, by an answer or by hand, and what taking one back does.

1. A change has a number that no other one ever gets. All answers of one key are one change, and are taken back whole.
2. Taking a change back removes the rules that it wrote, and puts those back that it removed, each in its group. It
   touches no other rule, and none that was edited or removed since: that is told instead. If what a change wrote in the
   place of other rules was edited, those are not put back: that edit counts.
3. A rule stays if another change that still stands wrote the same one, or if it was there before: what two people did
   stays apart. Then the rule belongs to who is left.
4. To write rules that were there already is no change, unless somebody else wrote one of them: then it belongs to both.
5. MAX_KEPT changes are kept, the newest ones, with those that were taken back.

Time is an argument: wall-clock seconds.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum

import msgspec

from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule

MAX_KEPT = 20
MAX_SIZE = 128 * 1024  # characters of the lines of one change; what one key answers beyond that is a change of its own
THERE_BEFORE = "it was there before"
GONE = "it is not there any more"
OVER = "its time is over"
THERE_AGAIN = "it is there again"
OF_A_PROCESS = "it was for a process alone"
REPLACED = "what took its place is not there any more"


class Act(Enum):
    """What a person did."""

    YES = "yes"
    NO = "no"
    ADD = "add"
    REMOVE = "remove"
    MOVE = "move"  # to another file of rules
    TIDY = "tidy"  # take a proposal of `rules tidy`


class Deed(msgspec.Struct, frozen=True):
    """What a person does with one key."""

    act: Act
    together: int = 0  # the same for all its parts, if it may have several; of no other deed


class Place(Enum):
    """Where a rule is kept."""

    FILE = "file"
    TEMPORARY = "temporary"
    QUIT = "quit"  # until its process ends
    ONCE = "once"  # nowhere: the answer held once


class ChangedRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule that was written or removed."""

    line: str
    place: Place = Place.FILE
    is_new: bool = True  # False: it was there before it was written
    exec_id: int | None = None  # of the process image that it is bound to
    group: str = ""  # that it is in; "": the main rules file, or no file at all
    note: str = ""  # the comment behind it
    is_removed: bool = False


class TakenBack(msgspec.Struct, frozen=True):
    uid: int
    wall_s: float


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    number: int
    wall_s: float
    uid: int  # who made it
    act: Act
    rules: tuple[ChangedRule, ...]
    together: int = 0  # the same for all answers that one key gave; 0: it gave one
    taken_back: TakenBack | None = None

    @property
    def written(self) -> tuple[ChangedRule, ...]:
        return tuple(rule for rule in self.rules if not rule.is_removed)

    @property
    def removed(self) -> tuple[ChangedRule, ...]:
        return tuple(rule for rule in self.rules if rule.is_removed)


class Plan(msgspec.Struct, frozen=True):
    """What taking a change back does."""

    removed: tuple[ChangedRule, ...] = ()
    put_back: tuple[ChangedRule, ...] = ()
    forgotten: tuple[ChangedRule, ...] = ()  # answers that held once: only the verdicts are taken back
    shared: tuple[tuple[str, str], ...] = ()  # lines that stay for whom else wrote them, and who that is
    kept: tuple[tuple[str, str], ...] = ()  # lines that are left as they are, and why

    @property
    def does_something(self) -> bool:
        return bool(self.removed or self.put_back or self.forgotten or self.shared)


def place_of(rule: Rule) -> Place:
    """Where a rule is kept that an answer makes."""
    if rule.exec_id is not None:
        return Place.QUIT
    return Place.FILE if rule.until_s is None else Place.TEMPORARY


class Changes:
    def __init__(self, kept: Iterable[Change] = (), next_number: int = 1) -> None:
        self.next_number = next_number
        self._kept = list(kept)  # the newest is last

    def __iter__(self) -> Iterator[Change]:
        """The oldest first."""
        return iter(self._kept)

    def note(self, deed: Deed, rules: tuple[ChangedRule, ...], *, uid: int, wall_s: float) -> None:
        """Note what a person did. What the same key did before belongs to the same change."""
        for at, change in enumerate(self._kept):
            if deed.together and _may_join(change, deed, rules, uid):
                known = {(rule.is_removed, _key_of(rule)) for rule in change.rules}
                new = tuple(rule for rule in rules if (rule.is_removed, _key_of(rule)) not in known)
                self._kept[at] = msgspec.structs.replace(change, rules=(*change.rules, *new))
                return
        if self._is_idle(rules, uid):
            return
        number, self.next_number = self.next_number, self.next_number + 1
        made = Change(number=number, wall_s=wall_s, uid=uid, act=deed.act, rules=rules, together=deed.together)
        self._kept = [*self._kept, made][-MAX_KEPT:]

    def find(self, number: int) -> Change | None:
        return next((change for change in self._kept if change.number == number), None)

    def find_last(self, uid: int) -> Change | None:
        """The last change of this user that was not taken back."""
        theirs = (change for change in reversed(self._kept) if change.uid == uid and change.taken_back is None)
        return next((change for change in theirs if not self._is_idle(change.rules, uid)), None)

    def _is_idle(self, rules: tuple[ChangedRule, ...], uid: int) -> bool:
        """Whether all were there before this user wrote them, and not by anybody else whose change still stands."""
        others = [change for change in self._kept if change.uid != uid]
        return not any(rule.is_new or any(self._stands(other, rule) for other in others) for rule in rules)

    def plan(self, change: Change, is_there: Callable[[ChangedRule], bool], wall_s: float) -> Plan:
        """What taking this change back would do now."""
        once = tuple(rule for rule in change.written if rule.place is Place.ONCE)
        written = tuple(rule for rule in change.written if rule.place is not Place.ONCE)
        gone = {rule: self._why_gone(change, rule, is_there, wall_s) for rule in written}
        away = {rule: _why_not_put_back(rule, is_there, wall_s) for rule in change.removed}
        if any(gone.values()):
            away = {rule: why or REPLACED for rule, why in away.items()}
        shared = {rule: self._whose_too(change, rule) for rule, why in gone.items() if not why}
        kept = gone | {rule: "" if rule.is_new else THERE_BEFORE for rule, other in shared.items() if not other}
        removed = tuple(rule for rule, other in shared.items() if not other and not kept[rule])
        back = tuple(rule for rule, why in away.items() if not why)
        return Plan(removed, back, once, _lines_of(shared), _lines_of(kept | away))

    def _why_gone(
        self, change: Change, rule: ChangedRule, is_there: Callable[[ChangedRule], bool], wall_s: float
    ) -> str:
        """Why a rule that the change wrote is not its any more; "" if it is."""
        if is_there(rule) and self._stands(change, rule):
            return ""
        return OVER if _is_over(rule, wall_s) else GONE

    def _whose_too(self, change: Change, rule: ChangedRule) -> str:
        """Who else wrote the rule; "" if nobody did."""
        other = self._find_other(change, rule)
        return f"uid {other.uid} wrote it too, in change {other.number}" if other else ""

    def _find_other(self, change: Change, rule: ChangedRule) -> Change | None:
        """The first other change that wrote the same rule, and still stands."""
        return next((other for other in self._kept if other is not change and self._stands(other, rule)), None)

    def _stands(self, change: Change, rule: ChangedRule) -> bool:
        """Whether the change wrote the rule, and neither was it taken back nor the rule removed by a later one."""
        key = _key_of(rule)
        if change.taken_back or key not in map(_key_of, change.written):
            return False
        later = (each for each in self._kept if each.number > change.number and each.taken_back is None)
        return not any(key in map(_key_of, each.removed) for each in later)

    def take_back(self, change: Change, uid: int, wall_s: float) -> None:
        """Note that this user took the change back. What stays for another one is that one's from now on."""
        new = {_key_of(rule): self._find_other(change, rule) for rule in change.written if rule.is_new}
        heirs = {(other.number, key) for key, other in new.items() if other}
        self._kept = [
            msgspec.structs.replace(each, rules=tuple(_inherit(rule, each, heirs) for rule in each.rules))
            for each in self._kept
        ]
        at = next(index for index, each in enumerate(self._kept) if each.number == change.number)
        self._kept[at] = msgspec.structs.replace(self._kept[at], taken_back=TakenBack(uid, wall_s))


_Key = tuple[str, Place, int | None, str]


def _key_of(rule: ChangedRule) -> _Key:
    return rule.line, rule.place, rule.exec_id, rule.group


def _inherit(rule: ChangedRule, change: Change, heirs: set[tuple[int, _Key]]) -> ChangedRule:
    return msgspec.structs.replace(rule, is_new=True) if (change.number, _key_of(rule)) in heirs else rule


def _may_join(change: Change, deed: Deed, rules: tuple[ChangedRule, ...], uid: int) -> bool:
    size = sum(len(rule.line) for rule in (*change.rules, *rules))
    is_same = (change.together, change.uid, change.act) == (deed.together, uid, deed.act)
    return is_same and change.taken_back is None and size <= MAX_SIZE


def _why_not_put_back(rule: ChangedRule, is_there: Callable[[ChangedRule], bool], wall_s: float) -> str:
    """Why a rule that was removed is not put back; "" if it is."""
    if rule.place is Place.QUIT:
        return OF_A_PROCESS
    if is_there(rule):
        return THERE_AGAIN
    return OVER if _is_over(rule, wall_s) else ""


def _is_over(rule: ChangedRule, wall_s: float) -> bool:
    until_s = parse_rule(rule.line).until_s
    return until_s is not None and until_s <= wall_s


def _lines_of(reasons: dict[ChangedRule, str]) -> tuple[tuple[str, str], ...]:
    return tuple((rule.line, why) for rule, why in reasons.items() if why)
