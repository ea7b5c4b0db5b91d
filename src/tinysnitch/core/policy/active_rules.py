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
from contextlib import ExitStack

import msgspec

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP, TCP, Direction, format_address
from tinysnitch.core.model.name_source import NameSource
from tinysnitch.core.model.process import AttributionSource, ProcessKey
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.file_rules import Edit, FileRules
from tinysnitch.core.policy.remote_words import RemoteWords
from tinysnitch.core.policy.ruleset import Contest, Ruleset
from tinysnitch.core.prompts.asking import asking_of
from tinysnitch.core.prompts.given_address import is_address_given
from tinysnitch.core.prompts.lan_traffic import is_from_lan, is_link_talk
from tinysnitch.core.rules.protocol_text import general_protocol
from tinysnitch.core.rules.rule import Rule

LOOK_AGAIN_S = 60.0


class ActiveRules:
    def __init__(self, facts: Facts, generation: int = 1) -> None:
        self.generation = generation
        self.facts = facts
        self._is_loaded = False
        self._from_file = FileRules()
        self._temporary: dict[Rule, float] = {}  # the boot-time second when each ends
        self._awaited: dict[Rule, ProcessKey] = {}  # the process that each of these ends with
        # When the first temporary rule ends, by the wall clock and by the boot-time clock; None: to be computed.
        self._first_ends: tuple[float, float] | None = None
        self._ruleset = Ruleset((), facts)

    def replace_file_rules(self, rules: Iterable[Rule]) -> bool:
        """Put the rules of the file in force. True if they differ from those before, or are the first.

        Where most of them are the same objects as before, only the others take time. If this raises, the old rules
        stay in force.
        """
        new = tuple(rules)
        edit = self._from_file.find_edit(new, self._is_from_file) if self._is_loaded else None
        is_changed = self._replace_some(edit) if edit else self._replace_all(new)
        self._is_loaded = True
        self.generation += is_changed
        return is_changed

    def _replace_all(self, new: tuple[Rule, ...]) -> bool:
        ruleset, times = Ruleset((), self.facts), dict[Rule, int]()
        for rule in new:
            if not ruleset.add(rule):
                times[rule] = times.get(rule, 1) + 1
        for rule in self._temporary:
            ruleset.add(rule)
        is_changed = not self._is_loaded or set(self._from_file.listed) != set(new)
        self._from_file, self._ruleset = FileRules(new, times), ruleset  # last: all before may fail for want of memory
        return is_changed

    def _replace_some(self, edit: Edit) -> bool:
        with ExitStack() as undo:
            for rule in edit.came:
                if rule not in self._ruleset:
                    undo.callback(self._ruleset.remove, rule)
                    self._ruleset.add(rule)
            for rule in edit.gone:
                if rule not in self._temporary:
                    undo.callback(self._ruleset.add, rule)
                    self._ruleset.remove(rule)
            undo.pop_all()
        self._from_file = edit.after
        return bool(edit.gone or edit.came)

    def add(self, rule: Rule, now: Instant, process: ProcessKey | None = None) -> None:
        """Put one more rule in force, without loading the others again. `process`: the rule ends when it does."""
        is_known = rule in self._ruleset
        self._ruleset.add(rule)
        if rule.is_temporary:
            self._temporary[rule] = _wall_end(rule, now)
            self._first_ends = None
            if process is not None:
                self._awaited[rule] = process
        elif not is_known:
            self._from_file = self._from_file.with_one_more(rule)
        self.generation += 1

    def remove_temporary(self, rules: Iterable[Rule]) -> bool:
        """Remove temporary rules before their time. True if any of them was in force."""
        gone = [rule for rule in rules if rule in self._temporary]
        for rule in gone:
            self._drop(rule)
        self.generation += bool(gone)
        return bool(gone)

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
        return self._ended_by_both(self._ruleset.decide(connection, now.wall_s), now)

    def decide_everywhere(self, connection: Connection, now: Instant) -> Decision | None:
        """The decision if it is the same for every remote; None: it may depend on the remote."""
        decision = self._ruleset.decide_everywhere(connection, now.wall_s)
        return None if decision is None else self._ended_by_both(decision, now)

    def would_match(self, rule: Rule, connection: Connection, now: Instant) -> bool:
        """Whether the rule, in force or not, matches the connection."""
        return Ruleset((rule,), self.facts).decide(connection, now.wall_s).rule is not None

    def note_asking(self, connection: Connection, decision: Decision) -> Connection:
        """The connection as people are asked about it: with what the rule of an answer has to test."""
        words = self.remote_words
        asking = asking_of(decision.asking, connection.name, words, _find_lasting_address(connection))
        asked = msgspec.structs.replace(connection, asking=asking)
        if decision.asking:
            return asked
        return msgspec.structs.replace(
            asked,
            is_link_talk=is_link_talk(asked, words),
            is_from_lan=is_from_lan(asked, words),
        )

    def explain(self, connection: Connection, now: Instant) -> Contest:
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
        return self._from_file.each_once

    @property
    def listed(self) -> tuple[Rule, ...]:
        """All rules. One that the file lists several times may be here as often: to leave it out would take longer."""
        return self._from_file.listed + self.temporary()

    def count_from_file(self) -> int:
        return len(self._from_file)

    def __iter__(self) -> Iterator[Rule]:
        yield from self._from_file.each_once
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
        is_from_file = self._is_from_file(rule)
        del self._temporary[rule]
        self._awaited.pop(rule, None)
        self._first_ends = None
        if not is_from_file:
            self._ruleset.remove(rule)

    def _is_from_file(self, rule: Rule) -> bool:
        """Whether the rule is in the file; it may be a temporary one as well. To search the file would take 8 ms for
        100,000 rules, and temporary ones may end by the hundred."""
        if rule not in self._temporary:
            return rule in self._ruleset
        return rule in self._from_file.ending


def _find_lasting_address(connection: Connection) -> str | None:
    """The remote's address, where the connection's name is soon gone; None where the name lasts.

    A name is soon gone if only another program asked for it lately. A rule for it would then no longer match, and
    people would be asked again. Outbound, the other program may have asked on behalf of this one, unless this one was
    given the address as an argument. Inbound over TCP, the program's own question does not count: servers look up the
    name of a client that is connected already (Postfix, MariaDB), and the next process of such a server has not asked.
    """
    address = format_address(connection.flow.remote)
    if connection.flow.direction is Direction.OUTBOUND:
        return address if is_address_given(connection) else None
    is_named_for_long = (
        (connection.is_name_sure and connection.flow.protocol != TCP)
        or connection.name_source is NameSource.HOSTS
        or _is_told_to_kernel(connection)
    )
    return None if is_named_for_long else address


def _is_told_to_kernel(connection: Connection) -> bool:
    """Whether it may be of a tunnel or a mount, whose other end somebody told the kernel (names.py, 4). No ping is."""
    is_kernels = connection.attribution.source is AttributionSource.KERNEL
    return is_kernels and general_protocol(connection.flow.protocol) != ICMP


def _wall_end(rule: Rule, now: Instant) -> float:
    """Boot-time seconds when the rule ends if the wall clock goes on as it does now; never is infinite."""
    return math.inf if rule.until_s is None else now.boot_s + (rule.until_s - now.wall_s)
