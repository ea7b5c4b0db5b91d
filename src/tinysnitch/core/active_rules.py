"""The rules in force: those of the file, temporary ones, and those that end with a process. Counts generations.

A generation is the number of a ruleset. The kernel's verdicts carry it, so that one new number makes all of them
stale at once. Nothing is counted up for a rule that merely ran out: verdicts that rest on it expire with it.
"""

from collections.abc import Iterable, Iterator

from tinysnitch.core.clock import Instant
from tinysnitch.core.connection import Connection
from tinysnitch.core.decision import Decision
from tinysnitch.core.facts import Facts
from tinysnitch.core.remote_words import RemoteWords
from tinysnitch.core.rule import Rule
from tinysnitch.core.ruleset import Explanation, Ruleset


class ActiveRules:
    def __init__(self, facts: Facts, generation: int = 1) -> None:
        self.generation = generation
        self.facts = facts
        self._is_loaded = False
        self._from_file: dict[Rule, None] = {}  # a dict for its order
        self._temporary: dict[Rule, None] = {}
        self._ruleset = Ruleset((), facts)

    def replace_file_rules(self, rules: Iterable[Rule]) -> bool:
        """Take the rules of the file as they are now; whether anything changed, or it is the first time."""
        new = dict.fromkeys(rules)
        is_first, self._is_loaded = not self._is_loaded, True
        if new.keys() == self._from_file.keys() and not is_first:
            self._from_file = new
            return False
        self._from_file = new
        self._ruleset = Ruleset((*new, *self._temporary), self.facts)
        self.generation += 1
        return True

    def add(self, rule: Rule) -> None:
        """Put one more rule in force, without loading the others again."""
        table = self._temporary if rule.is_temporary else self._from_file
        if rule not in table:
            table[rule] = None
            self._ruleset.add(rule)
        self.generation += 1

    def remove_temporary(self, rules: Iterable[Rule]) -> bool:
        """Take temporary rules away before their time; whether there was one."""
        gone = [rule for rule in rules if rule in self._temporary]
        for rule in gone:
            self._drop(rule)
        self.generation += bool(gone)
        return bool(gone)

    def drop_expired(self, now: Instant) -> bool:
        """Let go of temporary rules that ran out; whether there was one."""
        gone = [r for r in self._temporary if r.until_s is not None and r.until_s <= now.wall_s]
        for rule in gone:
            self._drop(rule)
        return bool(gone)

    def bound_to(self, exec_id: int) -> list[Rule]:
        return [rule for rule in self._temporary if rule.exec_id == exec_id]

    def set_facts(self, facts: Facts) -> None:
        self.facts = facts
        self._ruleset.set_facts(facts)
        self.generation += 1

    def next_deadline(self, now: Instant) -> float | None:
        """Boot-time seconds when the next temporary rule runs out."""
        ends = [rule.until_s for rule in self._temporary if rule.until_s is not None]
        return now.boot_s + min(ends) - now.wall_s if ends else None

    def decide(self, connection: Connection, now: Instant) -> Decision:
        return self._ruleset.decide(connection, now.wall_s)

    def decide_everywhere(self, connection: Connection, now: Instant) -> Decision | None:
        """The decision for whatever remote; None: it may depend."""
        return self._ruleset.decide_everywhere(connection, now.wall_s)

    def would_match(self, rule: Rule, connection: Connection, now: Instant) -> bool:
        """Whether a rule, in force or not, speaks of the connection."""
        return Ruleset((rule,), self.facts).decide(connection, now.wall_s).rule is not None

    def explain(self, connection: Connection, now: Instant) -> Explanation:
        return self._ruleset.explain(connection, now.wall_s)

    @property
    def remote_words(self) -> RemoteWords:
        return self._ruleset.remote_words

    @property
    def denies_names(self) -> bool:
        """Whether a name could make some rule deny what is allowed without one."""
        return self._ruleset.denies_names

    def needs_sha256(self, program: str) -> bool:
        """Whether a rule demands the content of the file that this program is."""
        return self._ruleset.needs_sha256(program)

    def temporary(self) -> tuple[Rule, ...]:
        return tuple(self._temporary)

    def from_file(self) -> tuple[Rule, ...]:
        return tuple(self._from_file)

    def __iter__(self) -> Iterator[Rule]:
        yield from self._from_file
        yield from self._temporary

    def __len__(self) -> int:
        return len(self._from_file) + len(self._temporary)

    def _drop(self, rule: Rule) -> None:
        del self._temporary[rule]
        if rule not in self._from_file:
            self._ruleset.remove(rule)
