"""The rules in force: those of the file, temporary ones, and those that end with a process. Counts generations.

A generation is the number of a ruleset. The kernel's verdicts carry it, so that one new number makes all of them
stale at once. A rule that merely ran out needs no new number: verdicts that rest on it expire with it.

A temporary rule ends when the wall clock reaches the time in its line, or when the time that it had left at its start
has passed on the boot-time clock: whichever comes first. So setting the wall clock back does not prolong it. A decision
that rests on a rule with an end is made anew at least once a minute, so that the rule also ends soon after the wall
clock is set forward, as in a virtual machine that was stopped for days. The same holds for a decision in which an ended
rule of the file would take part: that rule is in force again once the wall clock is set back, as NTP does where the
hardware clock runs in local time.
"""

import math
from collections.abc import Iterable, Iterator

import msgspec

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.process import ProcessKey
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.policy.ruleset import Contest, Ruleset
from tinysnitch.core.rules.rule import Rule

LOOK_AGAIN_S = 60.0
MAX_LOOKED_AT = 512  # rules for one program: some milliseconds


class ActiveRules:
    def __init__(self, facts: Facts, generation: int = 1) -> None:
        self.generation = generation
        self.facts = facts
        self.remote_words = RemoteWords(facts)
        self._is_loaded = False
        self._from_file: dict[Rule, None] = {}  # a dict for its order
        self._temporary: dict[Rule, float] = {}  # the boot-time second when each ends
        self._awaited: dict[Rule, ProcessKey] = {}  # the process that each of these ends with
        # When the first temporary rule ends, by the wall clock and by the boot-time clock; None: to be computed.
        self._first_ends: tuple[float, float] | None = None
        self._ruleset = Ruleset((), facts)

    def replace_file_rules(self, rules: Iterable[Rule]) -> bool:
        """Put the rules of the file in force. True if they differ from those before, or are the first.

        If this raises, the old rules stay in force.
        """
        new = dict.fromkeys(rules)
        is_changed = not self._is_loaded or new.keys() != self._from_file.keys()
        if is_changed:
            self._ruleset = Ruleset((*new, *self._temporary), self.facts)
        self._from_file, self._is_loaded = new, True
        self.generation += is_changed
        return is_changed

    def begin_generation(self) -> None:
        """Make all verdicts stale though the rules are the same: what they do not cover is decided otherwise now."""
        self.generation += 1

    def add(self, rule: Rule, now: Instant, process: ProcessKey | None = None) -> None:
        """Put one more rule in force, without loading the others again. `process`: the rule ends when it does."""
        self._ruleset.add(rule)
        if rule.is_temporary:
            self._temporary[rule] = _wall_end(rule, now)
            self._first_ends = None
            if process is not None:
                self._awaited[rule] = process
        else:
            self._from_file[rule] = None
        self.generation += 1

    def remove_temporary(self, rules: Iterable[Rule]) -> bool:
        """Remove temporary rules before their time. True if any of them was in force."""
        gone = [rule for rule in rules if rule in self._temporary]
        for rule in gone:
            self._drop(rule)
        self.generation += bool(gone)
        return bool(gone)

    def has(self, rule: Rule, *, is_temporary: bool) -> bool:
        """Whether the rule is in force, as a temporary one or as one of the file."""
        return rule in (self._temporary if is_temporary else self._from_file)

    def drop_expired(self, now: Instant) -> bool:
        """Remove the temporary rules that ran out. True if there were any."""
        gone = [rule for rule in self._temporary if self._end_of(rule, now) <= now.boot_s]
        for rule in gone:
            self._drop(rule)
        return bool(gone)

    def bound_to(self, process: ProcessKey) -> list[Rule]:
        return [rule for rule, awaited in self._awaited.items() if awaited == process]

    def find_pid(self, rule: Rule) -> int | None:
        """The pid of the process that the rule ends with."""
        awaited = self._awaited.get(rule)
        return awaited.pid if awaited else None

    def set_facts(self, facts: Facts) -> None:
        self.facts = facts
        self.remote_words = RemoteWords(facts)
        self._ruleset.set_facts(facts)
        self.generation += 1

    def next_deadline(self, now: Instant) -> float | None:
        """Boot-time seconds when the next temporary rule runs out. Called after each batch of packets."""
        if self._first_ends is None:
            wall_ends = (rule.until_s for rule in self._temporary if rule.until_s is not None)
            self._first_ends = min(wall_ends, default=math.inf), min(self._temporary.values(), default=math.inf)
        wall_s, boot_s = self._first_ends
        end_s = min(now.boot_s + (wall_s - now.wall_s), boot_s)
        return None if end_s == math.inf else end_s

    def decide(self, connection: Connection, now: Instant) -> Decision:
        decision = self._ruleset.decide(connection, now.wall_s)
        is_lasting = decision.until_s is None and not decision.has_ended  # as most are
        return decision if is_lasting else self._ended_by_both(decision, now)

    def find_about(self, connection: Connection, now: Instant, *, any_program: bool = False) -> list[Rule] | None:
        """The rules for this program, wherever it connects to; None: too many to look at for a question.

        `any_program`: those for any program too, but for denials.
        """
        return self._ruleset.find_about(connection, now.wall_s, MAX_LOOKED_AT, any_program=any_program)

    def would_match(self, rule: Rule, connection: Connection, now: Instant) -> bool:
        """Whether the rule, in force or not, matches the connection."""
        return Ruleset((rule,), self.facts).decide(connection, now.wall_s).rule is not None

    def explain(self, connection: Connection, now: Instant) -> Contest:
        return self._ruleset.explain(connection, now.wall_s)

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

    def count_from_file(self) -> int:
        return len(self._from_file)

    def __iter__(self) -> Iterator[Rule]:
        yield from self._from_file
        yield from self._temporary

    def __len__(self) -> int:
        return len(self._from_file) + len(self._temporary)

    def _end_of(self, rule: Rule, now: Instant) -> float:
        """Boot-time seconds: the earlier of its ends by both clocks. A rule of the file ends by the wall clock."""
        return min(_wall_end(rule, now), self._temporary.get(rule, math.inf))

    def _ended_by_both(self, decision: Decision, now: Instant) -> Decision:
        if decision.until_s is None and not decision.has_ended:
            return decision
        left_s = min((self._end_of(rule, now) - now.boot_s for rule in decision.ending), default=math.inf)
        return msgspec.structs.replace(decision, until_s=now.wall_s + min(left_s, LOOK_AGAIN_S))

    def _drop(self, rule: Rule) -> None:
        del self._temporary[rule]
        self._awaited.pop(rule, None)
        self._first_ends = None
        if rule not in self._from_file:  # it may be both
            self._ruleset.remove(rule)


def _wall_end(rule: Rule, now: Instant) -> float:
    """Boot-time seconds when the rule ends if the wall clock goes on as it does now; never is infinite."""
    return math.inf if rule.until_s is None else now.boot_s + (rule.until_s - now.wall_s)
