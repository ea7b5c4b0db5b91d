"""Reads the rules file and the facts that its rules refer to, and returns what changed as events."""

from collections.abc import Iterable

from tinysnitch.core.engine.events import DataLost, Event, FactsChanged, RulesLoaded
from tinysnitch.core.model.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.references import Mentions, mentions_of
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_file import MAX_ERRORS
from tinysnitch.daemon.rules.facts import FactSource
from tinysnitch.store.rules_file import RulesFile


class RuleLoader:
    def __init__(self, rules_file: RulesFile, source: FactSource) -> None:
        self.errors: tuple[RuleSyntaxError, ...] = ()
        self.is_waiting = False  # new rules were read, and hold once the lists and users that they name are known
        self.is_unreadable = False  # the file could not be read: perhaps no change of it tells when it can be
        self.facts = Facts()
        self._file = rules_file
        self._source = source
        self.lists = source.lists
        self._known_problems: dict[str, int] = {}
        self._is_edited = False  # by others, and that is not told yet

    def read_rules(self, in_force: Iterable[Rule]) -> list[Event]:
        """Read the file, and the facts for its rules. If it has errors the facts are those for the rules in force.

        The same errors again are not reported: an editor that saves once may change the file twice. If this raises,
        nothing has changed, and it can be called again.
        """
        self._is_edited |= self._file.take_edit()  # before: what is written after that may not be read this time
        rules, errors = self._read_file()
        old, new = mentions_of(in_force), mentions_of(rules)
        is_waiting = not errors and self._source.is_awaited(new)
        # The event with the facts comes first, and has waiting packets decided by the old rules once more: so the facts
        # must cover the words of the old rules too.
        events = self._read_facts(old if errors or is_waiting else old | new)
        if not is_waiting and (not errors or errors != self.errors):
            events.append(RulesLoaded(rules, errors, is_edited=self._is_edited))
            self._is_edited = False
        self.errors, self.is_waiting = errors, is_waiting
        return events

    def _read_file(self) -> tuple[tuple[Rule, ...], tuple[RuleSyntaxError, ...]]:
        """The rules of the file, and those that could not be written to it. A file that cannot be read is an error."""
        self.is_unreadable = False
        try:
            loaded = self._file.read()
        except SnitchError as error:
            self.is_unreadable = True
            path = str(self._file.path)
            problem = str(error).removeprefix(f"{path}: ")
            return (), (RuleSyntaxError(path, 1, 1, problem, error.hint or "it must be a file that can be read"),)
        return loaded.rules + self._file.unsaved, _first_of(loaded.errors)

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
        """Return the facts as an event once more at the next reading: the engine may not have got them."""
        self.facts = Facts()


def _first_of(errors: tuple[RuleSyntaxError, ...]) -> tuple[RuleSyntaxError, ...]:
    """The first MAX_ERRORS errors, and where the others begin. A message to clients has a bound."""
    if len(errors) <= MAX_ERRORS:
        return errors
    next_one = errors[MAX_ERRORS]
    hint = "is this a file of rules at all? `tinysnitch rules check` tells each line"
    more = RuleSyntaxError(next_one.source, next_one.line, next_one.column, "further lines are wrong", hint)
    return (*errors[:MAX_ERRORS], more)
