import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.dns.link_names import (
    LINK_QUESTION_LIFE_S,
    MAX_QUESTIONS,
    LinkNames,
    parse_link_answer,
    parse_link_questions,
)
from tinysnitch.core.dns.message import DnsQuestion
from tinysnitch.core.dns.names import Learned, Names
from tinysnitch.core.dns.questions import Refusal
from tinysnitch.core.dns.wire import AAAA, ANY, A, Record
from tinysnitch.core.model.connection import NameSource
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.network import parse_network

PRINTER, ELSEWHERE = parse_address("192.168.1.9"), parse_address("203.0.113.1")
AVAHI, OTHER = 70, 71  # exec ids
ALICE, MALLORY = 1000, 1001  # uids
MDNS, LLMNR = NameSource.MDNS, NameSource.LLMNR


def question(*names: str, kind: str = "A") -> bytes:
    message = dns.message.Message(id=0)
    message.flags = dns.flags.Flag(0)
    message.question = [dns.rrset.from_text(f"{name}.", 0, "IN", kind) for name in names]
    return message.to_wire()


def announcement(*records: str) -> bytes:
    message = dns.message.Message(id=0)
    message.flags = dns.flags.QR | dns.flags.AA
    for record in records:
        owner, kind, value = record.split()
        message.answer.append(dns.rrset.from_text(f"{owner}.", 120, "IN", kind, value))
    return message.to_wire()


class Link:
    def __init__(self, max_questions: int = 10) -> None:
        self.names = Names(Settings(), Facts(lan=(parse_network("192.168.1.0/24"),)))
        self.link = LinkNames(self.names, max_questions)
        self.now_s = 1000.0

    def ask(self, name: str, kind: int = A, source: NameSource = MDNS, *, who: int = AVAHI, user: int = 0) -> None:
        self.link.ask(source, DnsQuestion(0, name, kind), who, self.now_s, user=user)

    def hear(self, name: str, address: bytes = PRINTER, kind: int = A, source: NameSource = MDNS) -> list[Learned]:
        return list(self.link.learn(source, [Record(name, kind, 120, address)], self.now_s))


@pytest.fixture
def link() -> Link:
    return Link()


def test_all_questions_of_a_message_are_read() -> None:
    read = parse_link_questions(question("printer.local", "nas.local"))
    assert [one.name for one in read] == ["printer.local", "nas.local"]
    assert len(parse_link_questions(question(*(f"n{number}.local" for number in range(100))))) == MAX_QUESTIONS


def test_a_question_for_an_answer_to_us_alone() -> None:
    wire = question("printer.local")
    assert parse_link_questions(wire[:-2] + b"\x80\x01") == parse_link_questions(wire)
    assert parse_link_questions(wire[:-2] + b"\0\3") == []


def test_addresses_are_read_and_nothing_else() -> None:
    others = ("x.local CNAME printer.local.", "y.local TXT y")
    wire = announcement("printer.local A 192.168.1.9", *others, "nas.local AAAA fe80::9")
    assert parse_link_answer(wire) == [
        Record("printer.local", A, 120, PRINTER),
        Record("nas.local", AAAA, 120, parse_address("fe80::9")),
    ]


def test_the_question_may_stand_in_its_answer() -> None:
    message = dns.message.make_response(dns.message.make_query("printer", "A"))
    message.answer.append(dns.rrset.from_text("printer.", 30, "IN", "A", "192.168.1.9"))
    assert parse_link_answer(message.to_wire()) == [Record("printer", A, 30, PRINTER)]


def test_questions_and_answers_share_a_port() -> None:
    assert parse_link_answer(question("printer.local")) == []
    assert parse_link_questions(announcement("printer.local A 192.168.1.9")) == []


@given(st.binary(max_size=60), st.sampled_from([b"", bytes(4), b"\0\0\x84\0"]))
def test_random_bytes_are_a_message_or_malformed(tail: bytes, start: bytes) -> None:
    for parse in (parse_link_questions, parse_link_answer):
        try:
            parse(start + tail)
        except Malformed:
            continue


def test_a_name_is_learned_and_marked(link: Link) -> None:
    link.ask("printer.local")
    assert link.hear("printer.local") == [Learned((PRINTER,))]
    facts = link.names.find(PRINTER, link.now_s)
    assert (facts.name, facts.source) == ("printer.local", MDNS)


def test_several_machines_may_answer(link: Link) -> None:
    link.ask("printer.local")
    assert link.hear("printer.local") == [Learned((PRINTER,))]
    assert link.hear("printer.local") == [Learned(())]


def test_a_question_for_any_is_for_both(link: Link) -> None:
    link.ask("printer.local", ANY)
    assert link.hear("printer.local", kind=AAAA) == [Learned((PRINTER,))]


def test_what_nobody_asked_for_teaches_nothing(link: Link) -> None:
    assert link.hear("printer.local") == []
    link.ask("printer.local", AAAA)
    assert link.hear("printer.local") == []
    link.ask("printer.local")
    assert link.hear("printer.local", source=LLMNR) == []
    link.now_s += LINK_QUESTION_LIFE_S + 0.1
    assert link.hear("printer.local") == []
    assert link.names.find(PRINTER, link.now_s).name is None
    link.ask("printer.local")
    link.now_s += LINK_QUESTION_LIFE_S
    assert link.hear("printer.local") != []


@pytest.mark.parametrize(
    ("source", "name", "is_learned"),
    [
        (MDNS, "printer.local", True),
        (MDNS, "a.printer.local", True),
        (MDNS, "bank.test", False),
        (MDNS, "evillocal", False),
        (LLMNR, "printer", True),
        (LLMNR, "bank.test", False),
    ],
)
def test_no_name_of_the_dns_can_be_claimed(link: Link, source: NameSource, name: str, is_learned: bool) -> None:
    link.ask(name, source=source)
    assert bool(link.hear(name, source=source)) is is_learned


def test_no_address_elsewhere_can_be_claimed(link: Link) -> None:
    link.ask("printer.local")
    assert link.hear("printer.local", ELSEWHERE) == [Learned((), Refusal.NOT_ON_LINK)]
    assert link.names.find(ELSEWHERE, link.now_s).name is None


def test_questions_are_bounded() -> None:
    link = Link(max_questions=1)
    link.ask("a.local")
    link.ask("b.local")
    assert link.hear("a.local") == []
    assert link.link.statistics().evicted == 1


def test_nobody_pushes_out_the_questions_of_others() -> None:
    link = Link(max_questions=100)
    link.ask("printer.local", user=ALICE)
    for name in ("printer.local", *(f"n{number}.local" for number in range(100))):
        link.ask(name, who=OTHER, user=MALLORY)
    assert link.hear("printer.local") == [Learned((PRINTER,))]
    assert link.names.find(PRINTER, link.now_s, AVAHI).is_sure


def test_an_answer_is_for_all_who_asked(link: Link) -> None:
    link.ask("printer.local", user=ALICE)
    link.ask("printer.local", who=OTHER, user=MALLORY)
    link.hear("printer.local")
    assert all(link.names.find(PRINTER, link.now_s, who).is_sure for who in (AVAHI, OTHER))
