"""DNS packets as bytes: what is believed after them, and what is reported."""

from collections.abc import Callable

import dns.flags
import dns.message
import dns.opcode
import dns.rrset
import dns.update
import msgspec
import pytest

from tests.core.engine.transcript import CURL, SHOP, Transcript, flow_of, whose
from tinysnitch.core.dns.questions import Refusal
from tinysnitch.core.dns.tracker import MAX_TOLD, TOLD_AGAIN_S, DnsTracker, DnsUpdate
from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.engine import events as ev
from tinysnitch.core.model.connection import Connection, NameSource
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import UNKNOWN_EXEC_ID, Attribution, Grains, asker_of
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.verdict import Verdict, VerdictKey, verdict_key_of
from tinysnitch.core.packets.packet import Payload, Segment
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.network import parse_network

RESOLVER, ROGUE, PRINTER = "10.0.0.53", "198.51.100.66", "10.0.0.9"
FACTS = Facts(
    resolvers=frozenset({parse_address(RESOLVER)}),
    hosts={parse_address("10.0.0.7"): ("nas", "files")},
    lan=(parse_network("10.0.0.0/24"),),
)
SYN, ACK = 0x02, 0x10
CURL_ID = 7
LOOPBACK = parse_address("127.0.0.1")


def question(name: str = "shop.test", identifier: int = 7) -> dns.message.Message:
    return dns.message.make_query(name, "A", id=identifier)


def answer(name: str = "shop.test", identifier: int = 7, address: str = SHOP) -> bytes:
    message = dns.message.make_response(question(name, identifier))
    message.answer.append(dns.rrset.from_text(f"{name}.", 600, "IN", "A", address))
    return message.to_wire()


def udp(remote: str = RESOLVER, port: int = 53) -> Flow:
    return flow_of(50000, remote, port, UDP)


def tcp(remote: str = RESOLVER) -> Flow:
    return flow_of(50000, remote, 53, TCP)


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


class Talk:
    def __init__(self) -> None:
        self.dns = DnsTracker(Settings(), FACTS)

    def ask(self, flow: Flow, payload: Payload, now_s: float = 10.0) -> tuple[str, ...]:
        return self.dns.ask(flow, payload, CURL_ID, now_s).losses

    def ask_rogue(self, rogue: str = ROGUE, now_s: float = 10.0) -> tuple[str, ...]:
        """Ask a server that is not trusted, and connect to what it answered."""
        assert self.ask(udp(rogue), question().to_wire(), now_s) == ()
        return self.use(now_s=now_s)

    def use(self, flow: Flow | None = None, who: Attribution = CURL, now_s: float = 10.0) -> tuple[str, ...]:
        return self.dns.note_connection(Connection(flow=flow or flow_of(), attribution=who), now_s)

    def hear(self, flow: Flow, payload: Payload, now_s: float = 10.0) -> DnsUpdate:
        return self.dns.learn(flow, payload, now_s)

    def connect(self, flow: Flow) -> None:
        self.ask(flow, Segment(99, 0, SYN))
        self.hear(flow, Segment(199, 100, SYN | ACK))

    def name_of(self, address: str) -> str | None:
        return self.dns.names.find(parse_address(address), 10.0).name

    def refusals(self) -> dict[Refusal, int]:
        return dict(self.dns.names.statistics().refusals)


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_an_answer_over_udp(talk: Talk) -> None:
    assert talk.ask(udp(), question().to_wire()) == ()
    assert talk.hear(udp(), answer()) == DnsUpdate((parse_address(SHOP),))
    assert talk.name_of(SHOP) == "shop.test"


def test_an_answer_over_tcp_is_learned_with_its_last_segment(talk: Talk) -> None:
    talk.connect(tcp())
    talk.ask(tcp(), Segment(100, 200, ACK, framed(question().to_wire())))
    stream = framed(answer())
    assert talk.hear(tcp(), Segment(200, 0, ACK, stream[:-1])) == DnsUpdate()
    assert talk.hear(tcp(), Segment(200 + len(stream) - 1, 0, ACK, stream[-1:])) == DnsUpdate((parse_address(SHOP),))


def test_answers_of_two_questions_in_one_segment(talk: Talk) -> None:
    talk.connect(tcp())
    questions = framed(question("a.test", 1).to_wire()) + framed(question("b.test", 2).to_wire())
    talk.ask(tcp(), Segment(100, 200, ACK, questions))
    answers = framed(answer("b.test", 2, "10.0.0.82")) + framed(answer("a.test", 1, "10.0.0.81"))
    assert len(talk.hear(tcp(), Segment(200, 0, ACK, answers)).addresses) == 2
    assert (talk.name_of("10.0.0.81"), talk.name_of("10.0.0.82")) == ("a.test", "b.test")


def test_a_question_over_udp_is_not_answered_over_tcp(talk: Talk) -> None:
    talk.ask(udp(), question().to_wire())
    talk.connect(tcp())
    assert talk.hear(tcp(), Segment(200, 0, ACK, framed(answer()))).addresses == ()
    assert talk.refusals() == {Refusal.UNSOLICITED: 1}


def test_what_should_not_happen_is_told_once_for_each_machine(talk: Talk) -> None:
    told = f"DNS answer of {RESOLVER} not learned: no question was asked"
    assert talk.hear(udp(), answer()).losses == (told,)
    assert talk.hear(udp(), answer()).losses == ()
    told = f"DNS question to {ROGUE} not learned: resolver not trusted"
    assert (talk.ask_rogue(), talk.ask_rogue()) == ((told,), ())
    assert talk.refusals() == {Refusal.UNSOLICITED: 2, Refusal.NOT_TRUSTED: 2}


def test_what_happens_every_day_is_not_told(talk: Talk) -> None:
    talk.ask(udp(), question().to_wire())
    assert talk.hear(udp(), dns.message.make_response(question()).to_wire()) == DnsUpdate()
    assert talk.refusals() == {Refusal.NO_ADDRESS: 1}


def chaos() -> dns.message.Message:
    return dns.message.make_query("version.bind", "TXT", "CH")


def notice() -> dns.message.Message:
    made = question()
    made.set_opcode(dns.opcode.NOTIFY)
    return made


def header() -> dns.message.Message:
    return dns.message.QueryMessage(7)


@pytest.mark.parametrize("make", [chaos, notice, header, lambda: dns.update.UpdateMessage("shop.test")])
def test_what_is_no_lookup_is_no_offence(talk: Talk, make: Callable[[], dns.message.Message]) -> None:
    """A program may register its own name (nsupdate, SSSD), or ask a server for its version."""
    message = make()
    assert talk.ask(udp(), message.to_wire()) == ()
    assert talk.hear(udp(), dns.message.make_response(message).to_wire()) == DnsUpdate()
    assert talk.refusals() == {Refusal.NO_LOOKUP: 2}


@pytest.mark.parametrize(("place", "value"), [(2, 0x78), (-1, 0xFE)])
def test_what_no_protocol_knows_is_malformed(talk: Talk, place: int, value: int) -> None:
    """An operation that does not exist, and a class that does not."""
    wire = bytearray(question().to_wire())
    wire[place] = value
    assert talk.ask(udp(), bytes(wire)) == (f"DNS question to {RESOLVER} not learned: malformed",)


def test_how_much_is_told_is_bounded(talk: Talk) -> None:
    told = [talk.ask_rogue(f"198.51.{number // 256}.{number % 256}") for number in range(MAX_TOLD + 9)]
    assert sum(map(len, told)) == MAX_TOLD
    assert talk.refusals() == {Refusal.NOT_TRUSTED: MAX_TOLD + 9}
    assert talk.hear(udp(), answer()).losses  # other kinds are still told


def test_on_another_day_it_is_told_again(talk: Talk) -> None:
    """A daemon runs for months: a report on its first day must not be the last one about a resolver."""
    rogues = [f"198.51.100.{number}" for number in range(MAX_TOLD)]
    assert all(talk.ask_rogue(rogue) for rogue in rogues)
    assert not talk.ask_rogue(now_s=10.0 + TOLD_AGAIN_S - 1)
    assert talk.ask_rogue(now_s=10.0 + TOLD_AGAIN_S)
    assert talk.ask_rogue(rogues[0], 10.0 + TOLD_AGAIN_S)


def test_nothing_is_read_of_a_talk_with_a_server_of_a_programs_own(talk: Talk) -> None:
    talk.ask(udp(ROGUE), b"a protocol of their own")
    talk.connect(tcp(ROGUE))
    talk.ask(tcp(ROGUE), Segment(100, 200, ACK, framed(question().to_wire())))
    for flow, payload in ((udp(ROGUE), answer()), (tcp(ROGUE), Segment(200, 0, ACK, framed(answer())))):
        assert talk.hear(flow, payload) == DnsUpdate()
    assert talk.dns.streams.statistics().used == 0
    assert len(talk.use()) == 1
    assert talk.refusals() == {Refusal.NOT_TRUSTED: 2}


def asked_here(protocol: int = UDP, port: int = 53) -> Flow:
    return Flow(protocol, Direction.INBOUND, LOOPBACK, port, LOOPBACK, 40000)


@pytest.mark.parametrize("protocol", [UDP, TCP])
@pytest.mark.parametrize("is_asked_first", [True, False])
def test_what_a_resolver_of_this_machine_asks_is_no_offence(talk: Talk, protocol: int, is_asked_first: bool) -> None:
    if not is_asked_first:
        talk.ask(udp(ROGUE), question().to_wire())
    talk.use(asked_here(protocol))
    assert talk.ask_rogue() == talk.ask(tcp(ROGUE), Segment(100, 200, ACK, framed(question().to_wire()))) == ()
    assert talk.refusals() == {}


@pytest.mark.parametrize("flow", [flow_of(port=53, protocol=UDP), asked_here(port=54), asked_here(port=5335)])
def test_a_program_that_is_asked_on_another_port_is_no_resolver(talk: Talk, flow: Flow) -> None:
    talk.use(flow)
    assert len(talk.ask_rogue()) == 1


@pytest.mark.parametrize("flow", [udp(ROGUE), flow_of(remote="127.0.0.1"), asked_here(port=5335)])
def test_a_program_that_connects_only_to_resolvers_does_nothing_wrong(talk: Talk, flow: Flow) -> None:
    """Such as a forwarding or recursive resolver, whatever port it listens on, or dig."""
    talk.ask(udp(ROGUE), question().to_wire())
    assert talk.use(flow) == ()
    assert talk.refusals() == {}
    assert len(talk.use()) == 1


def test_each_server_that_a_program_asked_is_told_once_and_each_question_counted(talk: Talk) -> None:
    for rogue in (ROGUE, "192.0.2.54", ROGUE):
        talk.ask(udp(rogue), question().to_wire())
    assert len(talk.use()) == 2
    assert talk.use() == ()
    assert talk.refusals() == {Refusal.NOT_TRUSTED: 3}


def test_the_question_of_an_unknown_program_is_told_at_once(talk: Talk) -> None:
    assert len(talk.dns.ask(udp(ROGUE), question().to_wire(), UNKNOWN_EXEC_ID, 10.0).losses) == 1


def test_a_resolver_of_the_network_that_was_left_may_answer_what_it_was_asked(talk: Talk) -> None:
    talk.ask(udp(), question().to_wire())
    talk.dns.names.set_facts(Facts(resolvers=frozenset({parse_address(ROGUE)})))
    assert talk.hear(udp(), answer()).addresses
    assert talk.hear(udp(), answer()) == DnsUpdate()


def test_it_may_answer_over_tcp_too(talk: Talk) -> None:
    talk.connect(tcp())
    talk.ask(tcp(), Segment(100, 200, ACK, framed(question().to_wire())))
    talk.dns.names.set_facts(Facts(resolvers=frozenset({parse_address(ROGUE)})))
    assert talk.hear(tcp(), Segment(200, 0, ACK, framed(answer()))) == DnsUpdate((parse_address(SHOP),))
    talk.connect(tcp("192.0.2.54"))
    assert talk.dns.streams.statistics().used == 1


def test_garbage_in_a_stream_is_told(talk: Talk) -> None:
    talk.connect(tcp())
    assert talk.hear(tcp(), Segment(200, 0, ACK, b"\0\0")).losses == (
        f"DNS answer of {RESOLVER} not learned: malformed",
    )


def test_what_is_counted_has_names(talk: Talk) -> None:
    talk.connect(tcp())
    talk.hear(tcp(), Segment(200, 0, ACK, b"\0\0"))
    talk.ask_rogue()
    refusals = {what: count for what, count in talk.dns.refusals().items() if count}
    assert refusals == {
        "DNS messages not learned, malformed": 1,
        "DNS messages not learned, resolver not trusted": 1,
    }
    assert talk.dns.streams.given_up == 1
    assert talk.dns.evictions().keys() == {"names", *talk.dns.tables()}
    talk.ask(udp(), question().to_wire())
    assert talk.dns.tables()["DNS questions"].used == 1


def link_answer(name: str, address: str) -> bytes:
    message = dns.message.Message(id=0)
    message.flags = dns.flags.QR | dns.flags.AA
    message.answer.append(dns.rrset.from_text(f"{name}.", 120, "IN", "A", address))
    return message.to_wire()


def test_a_name_of_the_link(talk: Talk) -> None:
    talk.ask(udp("224.0.0.251", 5353), question("printer.local").to_wire())
    of_this_machine = udp("127.0.0.1", 5353)  # any program may send it
    assert talk.hear(of_this_machine, link_answer("printer.local", PRINTER)) == DnsUpdate()
    assert talk.hear(udp(PRINTER, 5353), link_answer("printer.local", PRINTER)).addresses
    assert talk.dns.names.find(parse_address(PRINTER), 10.0).source is NameSource.MDNS
    told = talk.hear(udp(PRINTER, 5353), link_answer("printer.local", "203.0.113.9")).losses
    assert told == (f"DNS answer of {PRINTER} not learned: address not on the link",)


def test_llmnr_has_a_port_of_its_own(talk: Talk) -> None:
    talk.ask(udp("224.0.0.252", 5355), question("printer").to_wire())
    assert talk.hear(udp(PRINTER, 5355), link_answer("printer", PRINTER)).addresses
    assert talk.dns.names.find(parse_address(PRINTER), 10.0).source is NameSource.LLMNR


def test_names_of_hosts_follow_the_facts(talk: Talk) -> None:
    assert talk.name_of("10.0.0.7") == "nas"
    talk.dns.names.set_facts(Facts())
    assert talk.name_of("10.0.0.7") is None


def test_whose_an_address_is_follows_the_facts(talk: Talk) -> None:
    for own, name in ((frozenset({parse_address(SHOP)}), None), (frozenset(), "shop.test")):
        talk.dns.names.set_facts(msgspec.structs.replace(FACTS, own_addresses=own))
        talk.ask(udp(), question().to_wire())
        talk.hear(udp(), answer())
        assert talk.name_of(SHOP) == name


@pytest.mark.parametrize(
    ("remote", "port", "name"),
    [(RESOLVER, 53, None), (RESOLVER, 853, None), (RESOLVER, 80, "shop.test"), (SHOP, 53, "shop.test")],
)
def test_where_questions_go_has_no_name(talk: Talk, remote: str, port: int, name: str | None) -> None:
    talk.ask(udp(), question().to_wire())
    assert talk.hear(udp(), answer(address=remote)).addresses
    assert talk.dns.names_of(udp(remote, port), 7, 10.0).name == name


def test_an_answer_is_delivered_after_what_the_kernel_remembers_of_it_is_gone() -> None:
    engine = Transcript("allow shop.test - -")
    engine.resolve("shop.test", SHOP)
    engine.queue(flow_of(1))
    assert engine.resolve("ads.test", SHOP)[1:] == ["forget 1", "pass 5"]


def test_what_an_answer_should_not_be_is_told_behind_it() -> None:
    told = f"lost DNS answer of {RESOLVER} not learned: no question was asked 1"
    assert Transcript().say(ev.AnswerReceived(1, udp(), answer())) == ["pass 1", told]


def test_a_connection_knows_the_aliases_that_its_name_led_through() -> None:
    engine = Transcript()
    query = engine.ask("shop.test")
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text("shop.test.", 600, "IN", "CNAME", "edge.cdn.test."))
    reply.answer.append(dns.rrset.from_text("edge.cdn.test.", 600, "IN", "A", SHOP))
    engine.feed(ev.AnswerReceived(2, udp(), reply.to_wire()))
    connection = engine.engine.connection_of(flow_of(), CURL, "eth0", engine.now)
    assert (connection.name, connection.aliases) == ("shop.test", ("edge.cdn.test",))


def test_a_held_question_shows_what_it_asks_for() -> None:
    engine = Transcript()
    packet = ev.PacketQueued(1, udp(ROGUE), CURL, asked_name="secret.test")
    engine.feed(packet)
    engine.feed(ev.PacketQueued(2, flow_of(50001, ROGUE, 53, UDP), CURL, asked_name="other.test"))
    engine.feed(ev.PacketQueued(3, flow_of(50002, ROGUE, 53, UDP), whose(8, "/usr/bin/dig"), asked_name="third.test"))
    prompts = engine.engine.open_prompts(engine.now)
    assert [(prompt.connection.asked_name, prompt.count) for prompt in prompts] == [
        ("secret.test", 2),
        ("third.test", 1),
    ]


class SmallKernel:
    """Keeps verdicts for processes as the kernel does, and asks the engine only when it has none."""

    def __init__(self) -> None:
        self.engine = Transcript("allow shop.test - -", "deny ads.test - -")
        self.kept: dict[VerdictKey, Verdict] = {}
        self.asked = 0

    def take(self, commands: list[cmd.Command]) -> None:
        for command in commands:
            if isinstance(command, cmd.RememberVerdict):
                self.kept[command.key] = command.verdict
            elif isinstance(command, cmd.ForgetVerdicts):
                for key in command.keys:
                    del self.kept[key]

    def resolve(self, who: Attribution, name: str) -> None:
        self.asked += 1
        flow = flow_of(50000, RESOLVER, 53, UDP)
        self.take(self.engine.feed(ev.QuestionSent(1, flow, asker_of(who), question(name, self.asked).to_wire())))
        self.take(self.engine.feed(ev.AnswerReceived(2, flow, answer(name, self.asked))))

    def connect(self, who: Attribution, port: int) -> Verdict:
        flow = flow_of(port)
        if not self.verdicts_for(flow, who):
            self.take(self.engine.feed(ev.PacketQueued(3, flow, who, cookie=port)))
        (verdict,) = self.verdicts_for(flow, who)
        return verdict

    def verdicts_for(self, flow: Flow, who: Attribution) -> set[Verdict]:
        connection = Connection(flow=flow, attribution=who)
        return {verdict for key, verdict in self.kept.items() if verdict_key_of(connection, key.mask) == key}


GRAINS = Grains(file=11, args=12)


@pytest.mark.parametrize("turns", ["one program", "two execs", "two programs", "two programs that change names"])
def test_two_names_of_one_address_by_turns(turns: str) -> None:
    kernel = SmallKernel()
    others = {"one program": whose(7, grains=GRAINS), "two execs": whose(8, grains=GRAINS)}
    programs = [whose(7, grains=GRAINS), others.get(turns, whose(8, "/usr/bin/wget"))]
    for number in range(1000):
        who = programs[number % 2]
        name = ("shop.test", "ads.test")[(number // 2 if "change" in turns else number) % 2]
        kernel.resolve(who, name)
        assert kernel.connect(who, 20000 + number) is (Verdict.ALLOW if name == "shop.test" else Verdict.DENY)
