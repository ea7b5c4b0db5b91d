"""What connections without a name say of themselves, held against the rules.

A name that a program says opens nothing: it may say what it likes. A rule that denies the name ends the connection.
"""

from collections.abc import Iterator

import msgspec

from tinysnitch.core.active_rules import ActiveRules
from tinysnitch.core.clock import Instant
from tinysnitch.core.commands import Command, EndWatch, Report, ShowMore
from tinysnitch.core.connection import Connection
from tinysnitch.core.decision import Decision
from tinysnitch.core.events import DataSent
from tinysnitch.core.records import ConnectionDecided, NameSaid
from tinysnitch.core.said_names import SaidNames
from tinysnitch.core.settlement import Settlement
from tinysnitch.core.table import TableStatistics
from tinysnitch.core.verdict import Verdict
from tinysnitch.core.watch import Watch, can_say_name

SAID = "by the name that the program itself says"


class Watcher:
    def __init__(self, rules: ActiveRules, settlement: Settlement, said: SaidNames) -> None:
        self._rules = rules
        self._settlement = settlement
        self._said = said

    def watch_for(self, connection: Connection, decision: Decision, *, says_nothing: bool = False) -> Watch:
        """How closely what is sent is read. `says_nothing`: the first datagram of this one is known to say no name."""
        if decision.verdict is not Verdict.ALLOW or not can_say_name(connection, self._rules.remote_words):
            return Watch.NONE
        if self._rules.denies_names:
            return Watch.GUARDED
        return Watch.NONE if says_nothing else Watch.NOTED

    def read(self, event: DataSent, connection: Connection, now: Instant) -> Iterator[Command]:
        """`connection`: as it is known without what it says."""
        said = self._said.read(event.flow, event.cookie, event.payload)
        if said is None:
            yield ShowMore(event.packet_id)
            return
        if not self._rules.denies_names:
            yield from self._settlement.end_watch(connection, self._rules.generation, now)
        if said.name is None:
            yield EndWatch(event.packet_id, event.flow, event.cookie, Verdict.ALLOW)
        else:
            yield from self._judge(event, connection, said.name, now)

    def tables(self) -> dict[str, TableStatistics]:
        return self._said.tables()

    def _judge(self, event: DataSent, unsaid: Connection, name: str, now: Instant) -> Iterator[Command]:
        connection = msgspec.structs.replace(unsaid, name=name, other_names=())
        before, decision = self._rules.decide(unsaid, now), self._rules.decide(connection, now)
        if decision.verdict is Verdict.DENY and before.verdict is not Verdict.DENY:
            decision = msgspec.structs.replace(decision, reason=f"{decision.reason}, {SAID}")
            yield EndWatch(event.packet_id, event.flow, event.cookie, Verdict.DENY)
            yield Report(ConnectionDecided(connection, decision, False, now.wall_s))
        else:
            said = Decision(verdict=Verdict.ALLOW, reason=SAID, rule=before.rule)
            yield EndWatch(event.packet_id, event.flow, event.cookie, Verdict.ALLOW)
            yield Report(NameSaid(connection, said, now.wall_s))
