"""Reads the rules files and the facts that their rules refer to, and returns what changed as events.

A file with errors changes nothing of its own: the rules that it had before stay, and those of all other files are
loaded. So the rules of each file are kept apart here, under the name of its group; "" is the main rules file.
"""

from collections.abc import Iterable
from itertools import chain

from tinysnitch.core.engine.events import DataLost, Event, FactsChanged, RulesLoaded
from tinysnitch.core.model.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.references import Mentions, mentions_of
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_file import MAX_ERRORS
from tinysnitch.daemon.rules.facts import FactSource
from tinysnitch.store.rule_groups import RuleGroups
from tinysnitch.store.rules_file import LoadedRules, RulesFile

_MAIN = ""


class RuleLoader:
    def __init__(self, rules_file: RulesFile, source: FactSource, groups: RuleGroups | None = None) -> None:
        self.errors: tuple[RuleSyntaxError, ...] = ()
        self.is_waiting = False  # new rules were read, and hold once the lists and users that they name are known
        self.is_unreadable = False  # a file could not be read: perhaps no change of it tells when it can be
        self.facts = Facts()
        self.groups = groups or RuleGroups()
        self._file = rules_file
        self._held: dict[str, tuple[Rule, ...]] = {}  # by group: the rules of the last state without errors
        self._loaded: tuple[Rule, ...] | None = None  # as told by the last event
        self._groups_of: dict[Rule, str] | None = None  # the rules of groups; None: not gathered yet
        self._source = source
        self.lists = source.lists
        self._known_problems: dict[str, int] = {}
        self._is_edited = False  # by others, and that is not told yet

    def read_rules(self, in_force: Iterable[Rule]) -> list[Event]:
        """Read the files, and the facts for their rules.

        The same errors again are not reported: an editor that saves once may change the file twice. If this raises,
        nothing has changed, and it can be called again.
        """
        in_force = tuple(in_force)
        unread = self._look_for_edits()
        held, wrong = self._read_files(in_force)
        rules = tuple(chain.from_iterable(held.values())) + self._file.unsaved
        errors = _first_of((*unread, *self.groups.errors, *wrong))
        old, new = mentions_of(in_force), mentions_of(rules)
        is_waiting = self._source.is_awaited(new)
        # The event with the facts comes first, and has waiting packets decided by the old rules once more: so the facts
        # must cover the words of the old rules too.
        events = self._read_facts(old if is_waiting else old | new)
        if not is_waiting:
            self._held, self._groups_of = held, None
            if not errors or errors != self.errors or rules != self._loaded:
                events.append(RulesLoaded(rules, errors, is_edited=self._is_edited))
                self._is_edited, self._loaded = False, rules
        self.errors, self.is_waiting = errors, is_waiting
        return events

    def _look_for_edits(self) -> tuple[RuleSyntaxError, ...]:
        """Note whether others have written a file, before it is read: what is written after that may not be read this
        time. Returns the error of a folder that cannot be read; the groups in it then stay."""
        self.is_unreadable = False
        self._is_edited |= self._file.take_edit()
        try:
            self._is_edited |= self.groups.look()
        except SnitchError as error:
            self.is_unreadable = True
            return (RuleSyntaxError(str(self.groups.folder), 0, 0, str(error), error.hint),)
        return ()

    def _read_files(self, in_force: tuple[Rule, ...]) -> tuple[dict[str, tuple[Rule, ...]], list[RuleSyntaxError]]:
        """The rules of each file, and all errors. A file with errors keeps its rules."""
        held, errors = dict[str, tuple[Rule, ...]](), list[RuleSyntaxError]()
        for name, file in ((_MAIN, self._file), *self.groups.on.items()):
            loaded = self._read_file(file)
            errors += loaded.errors
            if not loaded.errors:
                held[name] = loaded.rules
            elif name:
                held[name] = self._held.get(name, ())
            else:
                held[name] = self._main_in_force(in_force)
        return held, errors

    def _main_in_force(self, in_force: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """The rules of the main file that are in force: those that were loaded, and those of answers since."""
        answered = (rule for rule in in_force if not rule.is_temporary and self.find_group(rule) is None)
        known = (*self._held.get(_MAIN, ()), *answered)
        return tuple(dict.fromkeys(rule for rule in known if rule not in self._file.unsaved))

    def _read_file(self, file: RulesFile) -> LoadedRules:
        """A file that cannot be read is an error."""
        try:
            return file.read()
        except SnitchError as error:
            self.is_unreadable = True
            path = str(file.path)
            problem = str(error).removeprefix(f"{path}: ")
            hint = error.hint or "it must be a file that can be read"
            return LoadedRules((), (RuleSyntaxError(path, 1, 1, problem, hint),))

    def find_group(self, rule: Rule) -> str | None:
        """The group that the rule is of; None: it is of none."""
        return self._gather_groups().get(rule)

    def count_held(self, group: str) -> int:
        """How many rules of this group hold."""
        return len(self._held.get(group, ()))

    def count_in_groups(self) -> int:
        return len(self._gather_groups())

    def _gather_groups(self) -> dict[Rule, str]:
        if self._groups_of is None:
            named = ((name, rules) for name, rules in self._held.items() if name)
            self._groups_of = {rule: name for name, rules in named for rule in rules}
        return self._groups_of

    def lines(self) -> list[tuple[str | None, tuple[tuple[str, Rule], ...]]]:
        """The lines of each file, and the rule on each; None is the main file."""
        files = ((None, self._file), *self.groups.on.items())
        return [(name, file.lines()) for name, file in files]

    def errors_of(self, file: RulesFile) -> tuple[RuleSyntaxError, ...]:
        return tuple(error for error in self.errors if error.source == str(file.path))

    def find_broken(self, error: RuleSyntaxError) -> tuple[str, int]:
        """Which file has the error, in words, and how many rules of it hold meanwhile."""
        source = error.source
        names = [name for name, file in self.groups.on.items() if str(file.path) == source]
        name = next(iter(names), _MAIN)
        what = f"the group {name}" if names else "the rules file" if source == str(self._file.path) else source
        return what, len(self._held.get(name, ()))

    def is_awaited(self, rule: Rule) -> bool:
        """Whether a list or user that the rule names is still being looked up."""
        return self._source.is_awaited(mentions_of((rule,)))

    def read_facts(self, rules: Iterable[Rule]) -> list[Event]:
        """Read the facts for these rules; returns them as an event if they changed, and new problems with them.

        All rules in force must be among them: a rule whose words the facts do not know matches nothing.
        """
        return self._read_facts(mentions_of(rules))

    def _read_facts(self, mentions: Mentions) -> list[Event]:
        facts = self._source.read(mentions)
        problems, known = self._source.problems, self._known_problems
        events: list[Event] = [DataLost(what, count) for what, count in problems.items() if known.get(what) != count]
        self._known_problems = problems
        if facts != self.facts:
            self.facts = facts
            events.append(FactsChanged(facts))
        return events

    def has_other_addresses(self) -> bool:
        """Whether this machine's addresses and the lan differ from what the facts say."""
        return self._source.has_other_addresses(self.facts)

    def forget_facts(self) -> None:
        """Return facts and rules as events once more at the next reading: the engine may not have got them."""
        self.facts, self._loaded = Facts(), None


def _first_of(errors: tuple[RuleSyntaxError, ...]) -> tuple[RuleSyntaxError, ...]:
    """The first MAX_ERRORS errors, and where the others begin. A message to clients has a bound."""
    if len(errors) <= MAX_ERRORS:
        return errors
    next_one = errors[MAX_ERRORS]
    hint = "is this a file of rules at all? `tinysnitch rules check` tells each line"
    more = RuleSyntaxError(next_one.source, next_one.line, next_one.column, "further lines are wrong", hint)
    return (*errors[:MAX_ERRORS], more)
