"""DNS, mDNS and LLMNR between programs and resolvers: questions on their way out, answers before they are delivered.

Messages are taken out of packets (over UDP one each, over TCP see stream.py). names.py learns from those of
resolvers, link_names.py from those of the link. Messages that should not be there are counted, and reported once a day;
so are questions to servers that are not trusted, where it matters (untrusted.py).
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import chain

import msgspec

from tinysnitch.core.dns.belief import NO_NAME, NameFacts
from tinysnitch.core.dns.link_names import LINK_PORTS, LinkNames, parse_link_answer, parse_link_questions
from tinysnitch.core.dns.message import parse_answer, parse_question
from tinysnitch.core.dns.names import HasEnded, Learned, Names, nobody_has_ended
from tinysnitch.core.dns.questions import SUSPICIOUS, Asked, Refusal
from tinysnitch.core.dns.stream import DnsStreams
from tinysnitch.core.dns.untrusted import RESOLVER_PORTS, UntrustedQueries
from tinysnitch.core.dns.wire import NoLookup
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.domain import is_within
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import DNS_PORT, Direction, Flow, format_address
from tinysnitch.core.model.process import KERNEL_EXEC_ID, UNKNOWN, UNKNOWN_EXEC_ID, exec_id_of, user_of
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.tables import TableStatistics
from tinysnitch.core.packets.packet import Payload, Segment
from tinysnitch.core.policy.facts import Facts

MAX_TOLD = 16  # machines reported in a day for each refusal: a recursive resolver talks to thousands
TOLD_AGAIN_S = 24 * 3600.0
_UNREADABLE = b""  # in place of a message that cannot be read; parsing it raises Malformed


class DnsHeard(msgspec.Struct, frozen=True):
    """What follows from questions."""

    names: tuple[str, ...] = ()  # that are looked up
    losses: tuple[str, ...] = ()  # as of DnsUpdate


class DnsUpdate(msgspec.Struct, frozen=True):
    """What follows from an answer."""

    addresses: tuple[bytes, ...] = ()  # packed; the name that decides for these has changed
    losses: tuple[str, ...] = ()  # to be reported, each once a day


class DnsTracker:
    def __init__(self, settings: Settings, facts: Facts, has_ended: HasEnded = nobody_has_ended) -> None:
        self.names = Names(settings, facts, has_ended)
        self.streams = DnsStreams(settings.max_dns_streams)
        self.link = LinkNames(self.names, settings.max_questions)
        self._untrusted = UntrustedQueries()
        self.is_told = False  # a resolver of this machine tells what it answered, just after it did
        self._told: dict[Refusal, dict[bytes, float]] = {refusal: {} for refusal in SUSPICIOUS}  # machine → when

    def names_of(self, flow: Flow, exec_id: int, now_s: float) -> NameFacts:
        """The names of the remote, as the process means them.

        A trusted resolver that is asked has none: nobody looks up its name first, and any domain may point to its
        address.
        """
        return self.names_at(flow.remote, flow.remote_port, exec_id, now_s)

    def names_at(self, remote: bytes, remote_port: int, exec_id: int, now_s: float) -> NameFacts:
        """The same, where no more is known of the flow."""
        is_question = remote_port in RESOLVER_PORTS and self.names.is_trusted(remote)
        return NO_NAME if is_question else self.names.find(remote, now_s, exec_id)

    def common_until_s(self, flow: Flow, now_s: float) -> float:
        """Until when `names_of` has the same for all programs, unless a further name comes up; 0: it has not now. A
        resolver that tells what it answered does so a moment after the program may have connected."""
        if flow.remote_port in RESOLVER_PORTS and self.names.is_trusted(flow.remote):
            return math.inf
        if self.is_told and flow.direction is Direction.OUTBOUND:
            return 0.0
        return self.names.common_until_s(flow.remote, now_s)

    def note_connection(self, connection: Connection, now_s: float) -> tuple[str, ...]:
        """Note a new connection to a resolver of this machine. What is to be reported, if an untrusted resolver may
        have led to it."""
        flow = connection.flow
        if flow.direction is Direction.INBOUND:
            exec_id = exec_id_of(connection.attribution)
            if flow.local_port == DNS_PORT and exec_id != UNKNOWN_EXEC_ID:
                self._untrusted.note_server(exec_id)
            return ()
        queries = self._untrusted.find(connection) if self._untrusted.has_any else None
        if queries is None or self.names.is_own(flow.remote):
            return ()
        self._untrusted.forget(exec_id_of(connection.attribution))
        self.names.refuse(Refusal.NOT_TRUSTED, queries.count)
        each = (self._report(asked, "question to", [Refusal.NOT_TRUSTED], now_s) for asked in queries.flows.values())
        return tuple(chain.from_iterable(each))

    def is_early(self, flow: Flow, exec_id: int, now_s: float) -> bool:
        """Whether more may be known of the remote in a moment.

        It may turn out to be a resolver of a network that the machine has just joined; or a resolver that tells what it
        answers may be about to say which name the process asked for.
        """
        if flow.direction is Direction.INBOUND:
            return False
        if flow.remote_port in RESOLVER_PORTS:
            return not (self.names.is_trusted(flow.remote) or self._untrusted.is_server(exec_id))
        is_meant = self.is_told and exec_id != KERNEL_EXEC_ID
        return is_meant and self.names.may_ask_unseen(flow.remote, now_s, exec_id)

    def ask(self, flow: Flow, payload: Payload, exec_id: int, now_s: float, *, user: int = 0) -> DnsHeard:
        """Note the questions in a packet. `user`: the uid that asks."""
        read = partial(self.streams.read_questions, user=user)
        messages = self._read(read, flow, payload, now_s) if isinstance(payload, Segment) else [payload]
        asked = [self._ask(flow, message, exec_id, now_s, user=user) for message in messages]
        names = tuple(name for each in asked if isinstance(each, tuple) for name in each)
        refusals = [each for each in asked if isinstance(each, Refusal)]
        return DnsHeard(names, self._report(flow, "question to", refusals, now_s) if refusals else ())

    def learn(self, flow: Flow, payload: Payload, now_s: float) -> DnsUpdate:
        """Learn from the answers in a packet. `flow`: that of the questions."""
        read = self.streams.read_answers
        messages = self._read(read, flow, payload, now_s) if isinstance(payload, Segment) else [payload]
        learned = [one for message in messages for one in self._learn(flow, message, now_s)]
        addresses = [address for one in learned for address in one.addresses]
        refusals = [one.refusal for one in learned if one.refusal]
        return DnsUpdate(tuple(addresses), self._report(flow, "answer of", refusals, now_s) if refusals else ())

    def believe(self, message: bytes, now_s: float) -> tuple[bytes, ...]:
        """Learn from a message with which a trusted resolver answered some program, perhaps from its cache; returns the
        addresses (packed) for which another name decides now.

        Names of the link are skipped: the resolver may have asked there, and link_names.py reads those answers. A label
        that a search domain completed only renews a name that is known: a machine of the link may have answered it.
        """
        try:
            answer = parse_answer(message, may_be_completed=True)
        except Malformed as error:
            self._refuse(error)
            return ()
        name, addresses = answer.name, answer.addresses
        if "." not in name.strip(".") or is_within(name, "local"):
            return ()
        if answer.is_completed:
            addresses = tuple(one for one in addresses if self.names.knows(name, one[0], now_s))
        number = self.names.questions.next_number()
        asked = Asked(name, answer.type, UNKNOWN_EXEC_ID, number, now_s, user=user_of(UNKNOWN))
        return self.names.believe(asked, addresses, now_s, answer.cnames).addresses

    def tables(self) -> dict[str, TableStatistics]:
        names = self.names.statistics()
        return {
            "addresses with names": names.addresses,
            "DNS questions": names.questions,
            "DNS connections": self.streams.statistics(),
            "mDNS and LLMNR questions": self.link.statistics(),
        }

    def refusals(self) -> dict[str, int]:
        """How many messages were refused that should not have been there, by counter."""
        counted = self.names.statistics().refusals
        return {f"DNS messages not learned, {refusal.value}": counted.get(refusal, 0) for refusal in SUSPICIOUS}

    def evictions(self) -> dict[str, int]:
        """How many entries had to make room, by table; names are counted too, since an address has several."""
        evicted = {table: each.evicted for table, each in self.tables().items()}
        return {"names": self.names.statistics().evicted_names, **evicted}

    def _read(
        self, read: Callable[[Flow, Segment, float], list[bytes]], flow: Flow, segment: Segment, now_s: float
    ) -> list[bytes]:
        """The messages that a segment of TCP completes."""
        if not (self.names.is_trusted(flow.remote) or self.streams.follows(flow)):
            return [_UNREADABLE] if segment.payload else []
        try:
            return read(flow, segment, now_s)
        except Malformed:
            return [_UNREADABLE]

    def _ask(self, flow: Flow, message: bytes, exec_id: int, now_s: float, *, user: int) -> tuple[str, ...] | Refusal:
        """The names that are asked for, or why that is not learned."""
        try:
            if source := LINK_PORTS.get(flow.remote_port):
                questions = parse_link_questions(message)
                for question in questions:
                    self.link.ask(source, question, exec_id, now_s, user=user)
                return tuple(question.name for question in questions)
            if self.names.is_trusted(flow.remote):
                question = parse_question(message)
                self.names.ask(flow, question, exec_id, now_s, user=user)
                return (question.name,)
            if exec_id == UNKNOWN_EXEC_ID:  # no later connection could be told to be of the same program
                return self.names.refuse(Refusal.NOT_TRUSTED).refusal or ()
            self._untrusted.add(flow, exec_id)
        except Malformed as error:
            return self._refuse(error).refusal or ()
        return ()

    def _learn(self, flow: Flow, message: bytes, now_s: float) -> list[Learned]:
        try:
            if source := LINK_PORTS.get(flow.remote_port):
                if self.names.is_own(flow.remote):
                    return []  # any program may send it, and answer its own question with another machine's address
                return list(self.link.learn(source, parse_link_answer(message), now_s))
            if not self.names.heeds(flow, int.from_bytes(message[:2])):
                return []  # that this server was asked is reported already
            return [self.names.learn(flow, parse_answer(message), now_s)]
        except Malformed as error:
            return [self._refuse(error)]

    def _refuse(self, error: Malformed) -> Learned:
        return self.names.refuse(Refusal.NO_LOOKUP if isinstance(error, NoLookup) else Refusal.MALFORMED)

    def _report(self, flow: Flow, what: str, refusals: list[Refusal], now_s: float) -> tuple[str, ...]:
        """Reports of refusals that should not happen: of each one a day for each of at most MAX_TOLD machines."""
        reports: list[str] = []
        for refusal in refusals:
            machines = self._told.get(refusal)
            if machines is None:
                continue
            _forget_old(machines, now_s)
            if flow.remote in machines or len(machines) >= MAX_TOLD:
                continue
            machines[flow.remote] = now_s
            reports.append(f"DNS {what} {format_address(flow.remote)} not learned: {refusal.value}")
        return tuple(reports)


def _forget_old(told: dict[bytes, float], now_s: float) -> None:
    for machine in [each for each, told_s in told.items() if now_s - told_s >= TOLD_AGAIN_S]:
        del told[machine]
