"""Takes changes of rules back, whoever may make them: answers, and what was added or removed by hand.

What a change was, and what taking it back does, is decided in core/rules/changes.py. Each change is on disk before the
reply to it leaves.
"""

from collections.abc import Callable

import msgspec

from tinysnitch.core.engine.events import AnswersTakenBack
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.changes import MAX_KEPT, Act, Change, ChangedRule, Deed, Place, Plan
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.loop.driver import Driver
from tinysnitch.daemon.requests.rule_permission import check_new_rule, check_owner, check_sees_all, may_see_rule
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.protocol.messages import RuleKept, Undone, change_entry, changed_lines
from tinysnitch.store.change_record import ChangeRecord
from tinysnitch.store.rules_file import RulesFile

_HINT = "`tinysnitch undo --list` shows the last changes, `tinysnitch rules` what is in force"


class RuleUndo:
    def __init__(
        self,
        driver: Driver,
        files: Callable[[], dict[str, RulesFile]],
        record: ChangeRecord,
        *,
        learn_words: Callable[[Rule, Right], None],
        reload: Callable[[Right, RulesFile], None],
    ) -> None:
        """`files`: those that count, by group, "" being the main one. `learn_words` has the facts know a rule before it
        is checked; `reload` loads a file that is changed."""
        self._driver = driver
        self._rules = driver.engine.rules
        self._files = files
        self._record = record
        self._learn_words = learn_words
        self._reload = reload
        self._changes = record.read()

    def note(self, deed: Deed, *rules: ChangedRule, uid: int) -> None:
        """Note what this user did."""
        self._changes.note(deed, rules, uid=uid, wall_s=read_instant().wall_s)
        self._record.write(self._changes)

    def list_changes(self, right: Right) -> list[Change]:
        """The oldest first."""
        return [change for change in self._changes if self._may_see(change, right)]

    def take_back(self, number: int | None, right: Right) -> Undone:
        """Take a change back; `number` is None for the last one of this user.

        Raises SnitchError, also if nothing of it is left.
        """
        change = self._get(number, right)
        self._check(change, right)
        # The files as they are now: their rules may not be in force yet.
        files = self._files()
        in_files = {group: frozenset((*file.read().rules, *file.unsaved)) for group, file in files.items()}
        plan = self._changes.plan(change, lambda rule: self._is_there(rule, in_files), read_instant().wall_s)
        if not plan.does_something:
            line, why = plan.kept[0]
            more = f", and {len(plan.kept) - 1} more rules" if len(plan.kept) > 1 else ""
            raise SnitchError(f"change {change.number} is left as it is: {why}: {line}{more}", _HINT)
        self._carry_out(change, plan, right, files)
        return Undone(
            change=change_entry(change),
            removed=changed_lines(plan.removed),
            put_back=changed_lines(plan.put_back),
            forgotten=changed_lines(plan.forgotten),
            kept=tuple(RuleKept(*each) for each in (*plan.shared, *plan.kept)),
        )

    def _may_see(self, change: Change, right: Right) -> bool:
        return all(may_see_rule(_rule_of(rule), right, self._rules) for rule in change.rules)

    def _get(self, number: int | None, right: Right) -> Change:
        """A change that the client may not see looks like one that is not there."""
        if number is None:
            last = self._changes.find_last(right.uid)
            if last is None:
                raise SnitchError("there is nothing of yours to take back", _HINT)
            return last
        change = self._changes.find(number)
        if change is None or not self._may_see(change, right):
            raise SnitchError(f"there is no change {number}, or no more: the last {MAX_KEPT} are kept", _HINT)
        if change.taken_back:
            raise SnitchError(f"change {number} was taken back already", _HINT)
        return change

    def _check(self, change: Change, right: Right) -> None:
        """Raise SnitchError when the client may not make the opposite change."""
        if change.act is Act.MOVE:
            check_sees_all(right, "put rules into groups")
        for changed in change.rules:
            rule = _rule_of(changed)
            if changed.is_removed or not right.sees_all:
                self._learn_words(rule, right)
            check = check_new_rule if changed.is_removed else check_owner
            check(rule, right, self._rules)

    def _is_there(self, changed: ChangedRule, in_files: dict[str, frozenset[Rule]]) -> bool:
        rule = _rule_of(changed)
        if changed.place is Place.FILE:
            return rule in in_files.get(changed.group, ())
        return self._rules.has(rule, is_temporary=True)

    def _carry_out(self, change: Change, plan: Plan, right: Right, files: dict[str, RulesFile]) -> None:
        """The files first: if one cannot be changed, the change stands. What comes back is written before the rest
        goes, so that at no moment less is decided."""
        new, gone = _by_group(plan.put_back), _by_group(plan.removed)
        off = next((group for group in (*new, *gone) if group not in files), None)
        if off is not None:
            raise SnitchError(f"the group {off!r} is off, or gone", f"`tinysnitch rules enable {off}` puts it in force")
        for group, rules in new.items():
            files[group].append_all({_rule_of(rule): rule.note for rule in rules})
        for group, rules in gone.items():
            if not files[group].remove(*(rule.line for rule in rules)):
                raise SnitchError(f"the rule is in force, but not in the file as it is now: {rules[0].line}", _HINT)
        self._changes.take_back(change, right.uid, read_instant().wall_s)
        self._record.write(self._changes)
        removed, back = (tuple(map(_rule_of, _of_engine(rules))) for rules in (plan.removed, plan.put_back))
        answered = tuple(map(_rule_of, (*plan.removed, *plan.forgotten)))
        self._driver.feed(AnswersTakenBack(removed, back, answered))
        for group in new | gone:
            self._reload(right, files[group])


def _rule_of(changed: ChangedRule) -> Rule:
    return msgspec.structs.replace(parse_rule(changed.line), exec_id=changed.exec_id)


def _by_group(rules: tuple[ChangedRule, ...]) -> dict[str, list[ChangedRule]]:
    """Those of files."""
    found: dict[str, list[ChangedRule]] = {}
    for rule in rules:
        if rule.place is Place.FILE:
            found.setdefault(rule.group, []).append(rule)
    return found


def _of_engine(rules: tuple[ChangedRule, ...]) -> tuple[ChangedRule, ...]:
    return tuple(rule for rule in rules if rule.place is not Place.FILE)
