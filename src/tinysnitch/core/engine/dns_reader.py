"""DNS messages that are held on their way: what is learned from them is in force before they go on."""

from collections.abc import Iterator

from tinysnitch.core.dns.tracker import DnsTracker, DnsUpdate
from tinysnitch.core.engine.commands import Command, PassMessage, Report
from tinysnitch.core.engine.events import AnswerReceived, LookUpsTold, QuestionSent
from tinysnitch.core.engine.records import LossCounted
from tinysnitch.core.engine.verdict_writer import VerdictWriter
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.process import exec_id_of, user_of


class DnsReader:
    def __init__(self, dns: DnsTracker, verdict_writer: VerdictWriter) -> None:
        self._dns = dns
        self._writer = verdict_writer

    def read_question(self, event: QuestionSent, now: Instant) -> Iterator[Command]:
        exec_id, user = exec_id_of(event.attribution), user_of(event.attribution)
        heard = self._dns.ask(event.flow, event.payload, exec_id, now.boot_s, user=user)
        yield PassMessage(event.packet_id)
        yield from _tell(heard, now)

    def read_answer(self, event: AnswerReceived, now: Instant) -> Iterator[Command]:
        """Learn the names, take back the kernel's verdicts for their addresses, then deliver the answer."""
        heard = self._dns.learn(event.flow, event.payload, now.boot_s)
        yield from self._take_back(heard)
        yield PassMessage(event.packet_id)
        yield from _tell(heard, now)

    def note_connection(self, connection: Connection, now: Instant) -> Iterator[Command]:
        """Report what a new connection tells of questions before it (untrusted.py)."""
        return _tell(self._dns.note_connection(connection, now.boot_s), now)

    def read_told(self, event: LookUpsTold, now: Instant) -> Iterator[Command]:
        """Learn from what a resolver of this machine tells that it answered."""
        self._dns.is_told = not event.is_last
        for message in event.messages:
            yield from self._take_back(self._dns.believe(message, now.boot_s))

    def _take_back(self, heard: DnsUpdate) -> Iterator[Command]:
        for address in heard.addresses:
            yield from self._writer.forget_address(address)


def _tell(heard: DnsUpdate, now: Instant) -> Iterator[Command]:
    return (Report(LossCounted(what, 1, now.wall_s)) for what in heard.told)
