"""Checks the names that connections say themselves against the rules, where no name is known or it is a guess.

Such a name never makes a rule allow anything, since a program may say any. A rule that denies it ends the connection.
"""

from collections.abc import Iterator

import msgspec

from tinysnitch.core.dns.names import NAMES_PER_ADDRESS
from tinysnitch.core.engine.commands import Command, EndInspection, InspectMore, Report
from tinysnitch.core.engine.events import DataSent
from tinysnitch.core.engine.records import ConnectionDecided, ServerNameRead
from tinysnitch.core.engine.verdict_writer import VerdictWriter
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection, NameSource
from tinysnitch.core.model.flow import DNS_PORT, TCP, UDP, Direction
from tinysnitch.core.model.process import user_of
from tinysnitch.core.model.tables import TableStatistics
from tinysnitch.core.model.verdict import Inspection, Verdict
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.facts import RemoteWords
from tinysnitch.core.rules.rule import LOCALHOST
from tinysnitch.core.tls.server_names import ServerNameReader

_SAID = "by the name that the program itself says"


class ServerNameCheck:
    def __init__(self, rules: ActiveRules, verdict_writer: VerdictWriter, reader: ServerNameReader) -> None:
        self._rules = rules
        self._writer = verdict_writer
        self._reader = reader

    def inspection_for(
        self, connection: Connection, decision: Decision, now: Instant, *, says_nothing: bool = False
    ) -> Inspection:
        """How closely the connection is watched. `says_nothing`: its first datagram cannot say a name."""
        if decision.verdict is not Verdict.ALLOW:
            return Inspection.NONE
        if connection.name is not None and not connection.other_names:
            return Inspection.NONE  # it can mean no other
        if not can_say_name(connection, self._rules.remote_words):
            return Inspection.NONE
        if connection.name is not None:
            return Inspection.GUARDED if self._may_mean_denied(connection, now) else Inspection.NONE
        if self._rules.denies_names:
            return Inspection.GUARDED
        return Inspection.NONE if says_nothing else Inspection.NOTED

    def read(self, event: DataSent, connection: Connection, now: Instant) -> Iterator[Command]:
        """Read a packet. `connection`: what is known without it; its name, if it has one by now, is a guess."""
        said = self._reader.read(event.flow, event.cookie, event.payload, user=user_of(connection.attribution))
        if said is None:
            yield InspectMore(event.packet_id)
            return
        if not (self._rules.denies_names or connection.name):
            yield from self._writer.end_inspection(connection, now)
        if said.name is None:
            yield EndInspection(event.packet_id, event.flow, event.cookie, Verdict.ALLOW)
        else:
            yield from self._judge(event, connection, said.name, now)

    def tables(self) -> dict[str, TableStatistics]:
        return self._reader.tables()

    def _may_mean_denied(self, connection: Connection, now: Instant) -> bool:
        """Whether a rule denies another name of the remote, which the program may mean."""
        if len(connection.other_names) >= NAMES_PER_ADDRESS - 1 and self._rules.denies_names:
            return True  # no more are kept: the name that the program means may have been forgotten
        others = () if connection.is_name_sure else connection.other_names
        meant = (name for name in others if not self._is_alias(connection, name))
        named = (msgspec.structs.replace(connection, name=name) for name in meant)
        return any(self._rules.decide(one, now).verdict is Verdict.DENY for one in named)

    def _is_alias(self, connection: Connection, name: str) -> bool:
        """Whether /etc/hosts has the name for the same host: its first name of an address decides for the others."""
        hosts = self._rules.facts.hosts.get(connection.flow.remote, ())
        return connection.name_source is NameSource.HOSTS and name in hosts

    def _is_held_against(self, unsaid: Connection, name: str, now: Instant) -> bool:
        """Whether a denial of the name that was said counts.

        A rule that denies without any name counts only against a name that the program may mean: not where it says
        `git` after it asked for `git.lan`.
        """
        if self._is_alias(unsaid, name):
            return False
        nameless = msgspec.structs.replace(unsaid, name=None)
        is_meant = name in (unsaid.name, *unsaid.other_names)
        return is_meant or self._rules.decide(nameless, now).verdict is not Verdict.DENY

    def _judge(self, event: DataSent, unsaid: Connection, name: str, now: Instant) -> Iterator[Command]:
        connection = msgspec.structs.replace(unsaid, name=name, other_names=())
        before, decision = self._rules.decide(unsaid, now), self._rules.decide(connection, now)
        if decision.verdict is Verdict.DENY and self._is_held_against(unsaid, name, now):
            decision = msgspec.structs.replace(decision, reason=f"{decision.reason}, {_SAID}")
            yield EndInspection(event.packet_id, event.flow, event.cookie, Verdict.DENY)
            yield Report(ConnectionDecided(connection, decision, False, now.wall_s))
        else:
            said = Decision(verdict=Verdict.ALLOW, reason=_SAID, rule=before.rule)
            yield EndInspection(event.packet_id, event.flow, event.cookie, Verdict.ALLOW)
            yield Report(ServerNameRead(connection, said, now.wall_s))


def can_say_name(connection: Connection, words: RemoteWords) -> bool:
    """Whether the connection may say a name that is read here. To port 53 it is read as DNS."""
    flow = connection.flow
    return (
        flow.direction is Direction.OUTBOUND
        and flow.protocol in (TCP, UDP)
        and flow.remote_port != DNS_PORT
        and not words.takes(LOCALHOST, flow.remote, None)
    )
