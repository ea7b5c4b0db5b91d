"""Reads the rules file and the facts behind its words, and says as events what is new."""

from collections.abc import Iterable

from tinysnitch.core.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.events import DataLost, Event, FactsChanged, RulesLoaded
from tinysnitch.core.facts import Facts
from tinysnitch.core.mentions import Mentions, mentions_of
from tinysnitch.core.rule import Rule
from tinysnitch.daemon.fact_source import FactSource
from tinysnitch.store.rules_file import RulesFile

MAX_ERRORS = 100  # of a file


class RuleLoader:
    def __init__(self, rules_file: RulesFile, source: FactSource) -> None:
        self.errors: tuple[RuleSyntaxError, ...] = ()
        self.is_waiting = False  # new rules hold once the lists and users that they name are known
        self.is_unreadable = False  # the file is there, and no change of it might tell when it can be read
        self.facts = Facts()
        self._file = rules_file
        self._source = source
        self.lists = source.lists
        self._known_problems: dict[str, int] = {}

    def read_rules(self, in_force: Iterable[Rule]) -> list[Event]:
        """The file as it is now. With errors the rules in force stay, and what their words stand for is still followed.

        The same errors again are no news: an editor that saves once may change the file twice. Whatever it raises, it
        has changed nothing, and can be called again.
        """
        rules, errors = self._read_file()
        said, coming = mentions_of(in_force), mentions_of(rules)
        is_waiting = not errors and self._source.is_awaited(coming)
        # Facts come first, and what waits is decided by them and the old rules once more: these must mean the same.
        events = self._read_facts(said if errors or is_waiting else said | coming)
        if not is_waiting and (not errors or errors != self.errors):
            events.append(RulesLoaded(rules, errors, is_edited=self._file.take_edit()))
        self.errors, self.is_waiting = errors, is_waiting
        return events

    def _read_file(self) -> tuple[tuple[Rule, ...], tuple[RuleSyntaxError, ...]]:
        """A file that cannot be read is one that has an error. Beside its rules hold those that it could not take."""
        self.is_unreadable = False
        try:
            loaded = self._file.read()
        except SnitchError as error:
            self.is_unreadable = True
            path = str(self._file.path)
            problem = str(error).removeprefix(f"{path}: ")
            return (), (RuleSyntaxError(path, 1, 1, problem, error.hint or "it must be a file that can be read"),)
        return (*loaded.rules, *self._file.unsaved), _first_of(loaded.errors)

    def is_awaited(self, rule: Rule) -> bool:
        """Whether a list or user that it names is on its way."""
        return self._source.is_awaited(mentions_of((rule,)))

    def read_facts(self, rules: Iterable[Rule]) -> list[Event]:
        """Addresses, resolvers and the like, when they are others now; and what is newly wrong with lists.

        For these rules: all that are in force must be among them, since one whose words mean nothing matches nothing.
        """
        return self._read_facts(mentions_of(rules))

    def _read_facts(self, said: Mentions) -> list[Event]:
        facts = self._source.read(said)
        problems, known = self._source.problems, self._known_problems
        events: list[Event] = [DataLost(what, count) for what, count in problems.items() if known.get(what) != count]
        self._known_problems = problems
        if facts != self.facts:
            self.facts = facts
            events.append(FactsChanged(facts))
        return events

    def has_other_addresses(self) -> bool:
        """Whether this machine, or its link, has others than the facts say."""
        return self._source.has_other_addresses(self.facts)

    def forget_facts(self) -> None:
        """Whoever was told of them may not have taken them: they are news again."""
        self.facts = Facts()


def _first_of(errors: tuple[RuleSyntaxError, ...]) -> tuple[RuleSyntaxError, ...]:
    """What is told in one piece has a bound: of a file that holds anything but rules each line is an error."""
    if len(errors) <= MAX_ERRORS:
        return errors
    next_one = errors[MAX_ERRORS]
    problem = f"{len(errors) - MAX_ERRORS} further lines are wrong"
    hint = "is this a file of rules at all? `tinysnitch rules check` tells each line"
    more = RuleSyntaxError(next_one.source, next_one.line, next_one.column, problem, hint)
    return (*errors[:MAX_ERRORS], more)
