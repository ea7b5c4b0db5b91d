"""A seeded mutator over a few real messages: no parser raises anything but Malformed, and no mutant teaches a lie.

TINYSNITCH_FUZZ_ROUNDS sets how many mutants there are of each (default 5000, about two seconds in all).
"""

import os

import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from tests.fuzz.mutation import mutants_of
from tinysnitch.core.dns.message import DnsQuestion, parse_answer, parse_question
from tinysnitch.core.dns.names import Names
from tinysnitch.core.dns.wire import A
from tinysnitch.core.model.domain import normalize_name
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import UDP, Direction, Flow, format_address, parse_address
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.packets.packet import flow_of, parse_packet, payload_of
from tinysnitch.core.policy.facts import Facts

ROUNDS = int(os.environ.get("TINYSNITCH_FUZZ_ROUNDS", "5000"))

# Captured on a loopback interface: TCP with IP options, UDP over IPv6, a fragment, an ICMP error, an echo
PACKETS = (
    "47000044507540004006632c7f0000017f000001010707087f000001"
    "b53c24e35eb6521800000000a002fbe0fe300000020404d80402080a265f92bd000000000103030a",
    "600c61c2000d11400000000000000000000000000000000100000000000000000000000000000001d77f14e9000d002068656c6c6f",
    "600591d000303c4000000000000000000000000000000001000000000000000000000000000000010600010400000000"
    "d11824e3699dd37f00000000a002fc9400300000020404c40402080aeaa5d53b000000000103030a",
    "600d861100b82c400000000000000000000000000000000100000000000000000000000000000001110004d0a5e914cc78787878",
    "45c0003de9230000400192da7f0000017f0000010303cf200000000045000021163a4000401126907f0000017f000001d6f214e9000dfe20",
    "6002d70500403a40000000000000000000000000000000010000000000000000000000000000000180004cf8274a00014d26066b",
)


def answer(*records: str) -> bytes:
    message = dns.message.make_response(dns.message.make_query("shop.test", "A", id=7))
    for record in records:
        owner, kind, value = record.split()
        message.answer.append(dns.rrset.from_text(f"{owner}.", 60, "IN", kind, value))
    return message.to_wire()


ANSWERS = (
    answer("shop.test A 192.0.2.80", "shop.test A 192.0.2.81"),
    answer("shop.test CNAME www.cdn.test.", "www.cdn.test CNAME edge.cdn.test.", "edge.cdn.test A 192.0.2.80"),
    answer(
        "shop.test TXT ignored", "shop.test CNAME bank.test.", "bank.test AAAA 2001:db8::1", "bank.test A 192.0.2.1"
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("original", [bytes.fromhex(text) for text in PACKETS], ids=range(len(PACKETS)))
def test_packets(original: bytes) -> None:
    parse_packet(original)
    for mutant in mutants_of(original, ROUNDS, tuple(map(bytes.fromhex, PACKETS))):
        try:
            packet = parse_packet(memoryview(mutant))
        except Malformed:
            continue
        assert packet.payload_offset + len(payload_of(packet, mutant)) == packet.payload_end <= len(mutant)
        assert flow_of(packet, Direction.OUTBOUND).local == flow_of(packet, Direction.INBOUND).remote


@pytest.mark.slow
def test_questions() -> None:
    original = dns.message.make_query("www.shop.test", "AAAA", use_edns=0).to_wire()
    for mutant in mutants_of(original, ROUNDS, (*ANSWERS, original)):
        try:
            question = parse_question(mutant)
        except Malformed:
            continue
        assert question.name == "." or normalize_name(question.name) == question.name


@pytest.mark.slow
@pytest.mark.parametrize("original", ANSWERS, ids=range(len(ANSWERS)))
def test_answers_say_what_another_reader_of_them_says(original: bytes) -> None:
    for mutant in mutants_of(original, ROUNDS, ANSWERS):
        try:
            ours, theirs = parse_answer(mutant), dns.message.from_wire(mutant, ignore_trailing=True)
            chain = theirs.resolve_chaining()  # type: ignore[attr-defined]
        except (Malformed, dns.exception.DNSException):
            continue
        addresses = {format_address(address) for address, _ in ours.addresses}
        assert addresses <= addresses_in(theirs.answer)
        # Where a name has two CNAMEs, dnspython follows the last of them, we the first.
        if dns.name.from_text((ours.name, *ours.cnames)[-1]) == chain.canonical_name:
            assert addresses_in([chain.answer] if chain.answer else []) <= addresses


def addresses_in(answers: list[dns.rrset.RRset]) -> set[str]:
    return {
        format_address(parse_address(record.address))
        for rrset in answers
        if rrset.rdclass == dns.rdataclass.IN and rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
        for record in rrset
    }


@pytest.mark.slow
@pytest.mark.parametrize("original", ANSWERS, ids=range(len(ANSWERS)))
def test_a_mutant_teaches_only_the_name_that_was_asked(original: bytes) -> None:
    resolver = parse_address("127.0.0.53")
    flow = Flow(UDP, Direction.OUTBOUND, resolver, 40000, resolver, 53)
    taught = 0
    for mutant in mutants_of(original, ROUNDS, ANSWERS):
        names = Names(Settings(), Facts(resolvers=frozenset({resolver})))
        names.ask(flow, DnsQuestion(7, "shop.test", A), 100, 1.0)
        try:
            message = parse_answer(mutant)
        except Malformed:
            continue
        learned = names.learn(flow, message, 1.0)
        taught += bool(learned.addresses)
        assert learned.refusal or (message.id, message.name, message.type) == (7, "shop.test", A)
        assert {names.find(address, 1.0).name for address, _ in message.addresses} <= {"shop.test", None}
    assert 0 < taught < ROUNDS
