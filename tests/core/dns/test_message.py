"""Messages are built by dnspython's own message classes, so that two readers of the format must agree."""

import time
import timeit
from collections.abc import Callable
from itertools import pairwise

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.dns.message import (
    MAX_ALIAS_CHARACTERS,
    DnsAnswer,
    DnsQuestion,
    host_of,
    parse_answer,
    parse_question,
)
from tinysnitch.core.dns.wire import AAAA, ANY, HTTPS, MAX_HINTS, MAX_MESSAGE_BYTES, MAX_RECORDS, SVCB, A
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import parse_address

SHOP = parse_address("192.0.2.80")

# `dig example.com` and the answer of dnsmasq, captured with tcpdump on a loopback interface
QUESTION = "0d190120000100000000000107657861" + "6d706c6503636f6d0000010001" + "00002904d0000000000000"
ANSWER = (
    "0d1985800001000200000001076578616d706c6503636f6d0000010001"
    "c00c000100010000012c0004c0000201c00c000100010000012c0004c000020200002904d0000000000000"
)


def answer(name: str, *records: str, kind: str = "A", edit: int = 0, rcode: int = 0) -> bytes:
    """An answer to `name`, with records such as `shop.test 60 A 192.0.2.80`."""
    message = dns.message.make_response(dns.message.make_query(name, kind, id=7))
    message.flags |= edit
    message.set_rcode(dns.rcode.Rcode(rcode))
    for record in records:
        owner, ttl, type_, value = record.split(maxsplit=3)
        message.answer.append(dns.rrset.from_text(owner + ".", int(ttl), "IN", type_, value))
    return message.to_wire()


def addresses(wire: bytes) -> list[tuple[bytes, int]]:
    return list(parse_answer(wire).addresses)


def test_a_question_as_dig_sends_it() -> None:
    assert parse_question(bytes.fromhex(QUESTION)) == DnsQuestion(0x0D19, "example.com", A)


def test_an_answer_as_dnsmasq_sends_it() -> None:
    first, second = parse_address("192.0.2.1"), parse_address("192.0.2.2")
    assert parse_answer(bytes.fromhex(ANSWER)) == DnsAnswer(
        id=0x0D19, name="example.com", type=A, addresses=((first, 300), (second, 300))
    )


@pytest.mark.parametrize(
    ("name", "spelling"),
    [("Shop.TEST.", "shop.test"), (r"a\.b.test", r"a\046b.test"), (r"\027[31m.test", r"\027\09131m.test"), (".", ".")],
)
def test_a_name_is_spelled_so_that_nothing_hides_in_it(name: str, spelling: str) -> None:
    assert parse_question(dns.message.make_query(name, "A").to_wire()).name == spelling


def test_aliases_lead_back_to_the_name_that_was_asked() -> None:
    wire = answer(
        "shop.test", "edge.cdn.test 30 A 192.0.2.80", "www.cdn.test 900 CNAME edge.cdn.test.",
        "shop.test 600 CNAME www.cdn.test.",
    )  # fmt: skip
    read = parse_answer(wire)
    assert read.name == "shop.test"
    assert read.cnames == ("www.cdn.test", "edge.cdn.test")
    assert read.addresses == ((SHOP, 30),)


def test_of_many_aliases_the_last_ones_are_kept() -> None:
    names = [f"{number}.{'a' * 60}.test" for number in range(100)]
    records = [f"{name} 60 CNAME {following}." for name, following in pairwise(["shop.test", *names])]
    read = parse_answer(answer("shop.test", *records, f"{names[-1]} 60 A 192.0.2.80"))
    assert read.addresses == ((SHOP, 60),)
    assert read.cnames == tuple(names[-7:])
    assert sum(map(len, read.cnames)) <= MAX_ALIAS_CHARACTERS


def test_the_least_ttl_on_the_way_counts() -> None:
    assert addresses(answer("shop.test", "shop.test 5 CNAME a.test.", "a.test 60 A 192.0.2.80")) == [(SHOP, 5)]


def test_both_families() -> None:
    v6 = parse_address("2001:db8::80")
    assert addresses(answer("shop.test", "shop.test 60 AAAA 2001:db8::80", kind="AAAA")) == [(v6, 60)]
    both = answer("shop.test", "shop.test 60 A 192.0.2.80", "shop.test 60 AAAA 2001:db8::80", kind="ANY")
    assert parse_answer(both).type == ANY
    assert addresses(both) == [(SHOP, 60), (v6, 60)]


@pytest.mark.parametrize(
    "records",
    [
        ["bank.test 60 A 192.0.2.80"],
        ["shop.test 60 CNAME a.test.", "b.test 60 A 192.0.2.80"],
        ["shop.test 60 AAAA 2001:db8::80"],
        ["shop.test 60 TXT 192.0.2.80"],
        ["shop.test 60 CNAME shop.test."],
        ["shop.test 60 CNAME a.test.", "a.test 60 CNAME shop.test."],
        ["shop.test 60 CNAME a.test.", "shop.test 60 CNAME b.test.", "b.test 60 A 192.0.2.80"],
    ],
)
def test_what_no_alias_of_the_name_owns_is_left_out(records: list[str]) -> None:
    assert addresses(answer("shop.test", *records)) == []


def test_other_sections_teach_nothing() -> None:
    message = dns.message.from_wire(answer("shop.test"))
    record = dns.rrset.from_text("shop.test.", 60, "IN", "A", "192.0.2.80")
    message.authority.append(record)
    message.additional.append(record)
    assert addresses(message.to_wire()) == []


def test_another_class_teaches_nothing() -> None:
    wire = answer("shop.test", "shop.test 60 A 192.0.2.80")
    assert addresses(wire.replace(b"\x00\x01\x00\x01\x00\x00\x00<", b"\x00\x01\x00\x03\x00\x00\x00<")) == []


def test_a_ttl_with_its_high_bit_set_is_none() -> None:
    wire = answer("shop.test", "shop.test 60 A 192.0.2.80")
    assert addresses(wire.replace(b"\x00\x00\x00<", b"\x80\x00\x00<")) == [(SHOP, 0)]


def test_failure_and_truncation_are_told() -> None:
    failed = parse_answer(answer("shop.test", rcode=3))
    assert (failed.rcode, failed.is_truncated) == (3, False)
    assert parse_answer(answer("shop.test", edit=dns.flags.TC)).is_truncated


def test_hints_of_a_service_record_are_addresses() -> None:
    v6 = parse_address("2001:db8::80")
    record = "shop.test 60 HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.80 ipv6hint=2001:db8::80"
    assert addresses(answer("shop.test", record, kind="HTTPS")) == [(SHOP, 60), (v6, 60)]
    record = "shop.test 60 HTTPS 1 . ipv4hint=192.0.2.80,192.0.2.81"
    two = [(SHOP, 60), (parse_address("192.0.2.81"), 60)]
    assert addresses(answer("shop.test", record, kind="HTTPS")) == two
    behind = ["shop.test 30 CNAME edge.cdn.test.", "edge.cdn.test 60 SVCB 1 pool.cdn.test. ipv4hint=192.0.2.80"]
    assert addresses(answer("shop.test", *behind, kind="SVCB")) == [(SHOP, 30)]


@pytest.mark.parametrize(
    "record",
    [
        "shop.test 60 HTTPS 0 pool.cdn.test.",
        "shop.test 60 HTTPS 1 pool.cdn.test.",
        "bank.test 60 HTTPS 1 . ipv4hint=192.0.2.80",
        "shop.test 60 SVCB 1 . ipv4hint=192.0.2.80",
    ],
)
def test_a_service_record_without_hints_for_the_question_teaches_nothing(record: str) -> None:
    assert addresses(answer("shop.test", record, kind="HTTPS")) == []


def service(parameters: str, records: int = 1, priority: int = 1) -> bytes:
    """An HTTPS answer for shop.test: so many records with these SvcParams, in hexadecimal."""
    value = bytes([0, priority, 0]) + bytes.fromhex(parameters)
    head = bytearray(answer("shop.test", kind="HTTPS"))
    head[7] = records  # in the answer section
    record = bytes.fromhex("c00c004100010000003c") + len(value).to_bytes(2, "big") + value
    return bytes(head) + record * records


def test_hints_of_an_alias_are_none() -> None:
    assert parse_answer(service("00040004c0000250", priority=0)).addresses == ()


def test_malformed_hints_are_malformed() -> None:
    assert parse_answer(service("00040004c0000250")).addresses == ((SHOP, 60),)
    for parameters in ("00040003c00002", "0006000420010db8", "00040008c0000250", "0004"):
        with pytest.raises(Malformed, match="DNS record"):
            parse_answer(service(parameters))
    many = MAX_HINTS + 1
    with pytest.raises(Malformed, match="DNS record"):
        parse_answer(service(f"0004{many * 4:04x}" + "c0000250" * many))


def test_more_addresses_than_are_read_are_malformed() -> None:
    full, most = f"0004{MAX_HINTS * 4:04x}" + "c0000250" * MAX_HINTS, MAX_RECORDS // MAX_HINTS
    assert len(parse_answer(service(full, most)).addresses) == MAX_RECORDS
    with pytest.raises(Malformed, match="addresses"):
        parse_answer(service(full, most + 1))


@pytest.mark.parametrize(
    ("name", "kind", "host"),
    [
        ("_8443._https.shop.test", HTTPS, "shop.test"),
        ("_dns.resolver.arpa", SVCB, "resolver.arpa"),
        ("shop.test", HTTPS, "shop.test"),
        ("_8443._https.shop.test", A, "_8443._https.shop.test"),
        ("_853._dns.resolver.test", SVCB, "resolver.test"),
        ("_acme-challenge.shop.test", HTTPS, "_acme-challenge.shop.test"),
        ("_8443._smtp.shop.test", HTTPS, "_8443._smtp.shop.test"),
        ("_8443._https.", HTTPS, ""),
        ("_8443._https", HTTPS, "_8443._https"),
    ],
)
def test_a_service_is_of_a_host(name: str, kind: int, host: str) -> None:
    assert host_of(name, kind) == host


def test_what_a_truncated_answer_still_holds_is_read() -> None:
    records = ["shop.test 60 A 192.0.2.80", "shop.test 60 A 192.0.2.81"]
    wire = answer("shop.test", *records, edit=dns.flags.TC)
    assert parse_answer(wire[:-3]).addresses == ((SHOP, 60),)
    with pytest.raises(Malformed):
        parse_answer(answer("shop.test", *records)[:-3])


def test_a_question_is_no_answer() -> None:
    with pytest.raises(Malformed, match="question where an answer"):
        parse_answer(bytes.fromhex(QUESTION))
    with pytest.raises(Malformed, match="answer where a question"):
        parse_question(bytes.fromhex(ANSWER))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (QUESTION[:22], "header is cut short"),
        (QUESTION[:4] + "2800" + QUESTION[8:], "no standard query"),
        (QUESTION[:8] + "0000" + QUESTION[12:], "0 questions"),
        (QUESTION[:8] + "0002" + QUESTION[12:], "2 questions"),
        (QUESTION[:50], "DNS question"),
        (QUESTION[:24] + "c00c" + QUESTION[28:], "DNS question"),
        (QUESTION[:24] + "40" + QUESTION[26:], "DNS question"),
        (QUESTION[:54] + "0003" + QUESTION[58:], "DNS class 3"),
        (QUESTION[:24] + ("3f" + "61" * 63) * 4 + "00", "DNS question"),
        (QUESTION + "00" * 8192, "are read"),
    ],
)  # fmt: skip
def test_a_bad_question_is_malformed(text: str, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        parse_question(bytes.fromhex(text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ANSWER[:100], "DNS record"),
        (ANSWER[:12] + "0004" + ANSWER[16:], "DNS record"),
        (ANSWER.replace("0004c0000201", "0005c0000201"), "DNS record"),
        (ANSWER.replace("0004c0000201", "0003c00002"), "DNS record"),
        (ANSWER[:12] + f"{MAX_RECORDS + 1:04x}" + ANSWER[16:], "records"),
    ],
)
def test_a_bad_answer_is_malformed(text: str, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        parse_answer(bytes.fromhex(text))


def web_of_pointers() -> bytes:
    """256 CNAMEs; each owner's name has a label of its own, then leads through those of up to 15 records before."""
    question = b"\x01a" * 50 + b"\x00" + bytes.fromhex("00010001")
    wire = bytes.fromhex("000781800001010000000000") + question
    place = 12
    for number in range(MAX_RECORDS):
        pointer = 0xC000 | (place if number % 15 else 12)
        place = len(wire)
        wire += b"\x01b" + pointer.to_bytes(2, "big") + bytes.fromhex("00050001000000010002c00c")
    return wire


def chain_of_pointers() -> bytes:
    """A text record that holds 2,500 pointers, each to the one before it; 255 names lead through all of them."""
    wire = bytes.fromhex("000781800001010000000000") + b"\x01a\0" + bytes.fromhex("00010001")
    record = bytes.fromhex("00100001000000010000")
    start = len(wire) + 2 + len(record)
    places = [12, *range(start, start + 5000, 2)]
    pointers = b"".join((0xC000 | place).to_bytes(2, "big") for place in places)
    wire += pointers[:2] + record[:-2] + len(pointers[:-2]).to_bytes(2, "big") + pointers[:-2]
    return wire + (pointers[-2:] + record) * (MAX_RECORDS - 1)


def labels_from_many_places() -> bytes:
    """A text record that holds 20 names of 120 labels; 255 names each begin at another of these labels."""
    wire = bytes.fromhex("000781800001010000000000") + b"\x01a\0" + bytes.fromhex("00010001")
    record = bytes.fromhex("00100001000000010000")
    start, name = len(wire) + 2 + len(record), b"\x01a" * 120 + b"\0"
    wire += b"\xc0\x0c" + record[:-2] + (20 * len(name)).to_bytes(2, "big") + 20 * name
    places = [start + number % 20 * len(name) + number // 20 * 2 for number in range(MAX_RECORDS - 1)]
    return wire + b"".join((0xC000 | place).to_bytes(2, "big") + record for place in places)


@pytest.mark.parametrize("make", [web_of_pointers, chain_of_pointers, labels_from_many_places])
def test_a_web_of_pointers_ends_soon(make: Callable[[], bytes]) -> None:
    wire = make()
    assert len(wire) <= MAX_MESSAGE_BYTES
    assert parse_answer(wire).addresses == ()
    taken_s = timeit.repeat(lambda: parse_answer(wire), timer=time.thread_time, number=1, repeat=5)
    assert min(taken_s) < 0.01  # 2 ms at most


def test_a_full_message_is_read() -> None:
    records = [f"shop.test 60 A 192.0.2.{number}" for number in range(MAX_RECORDS)]
    assert len(addresses(answer("shop.test", *records))) == MAX_RECORDS


labels = st.binary(min_size=1, max_size=20)
names = st.lists(labels, min_size=1, max_size=5).map(lambda parts: dns.name.Name([*parts, b""]))


@given(names, st.sampled_from([A, AAAA]), st.integers(0, 65535))
def test_a_question_comes_back(name: dns.name.Name, kind: int, identifier: int) -> None:
    query = dns.message.make_query(name, dns.rdatatype.RdataType(kind), id=identifier)
    read = parse_question(query.to_wire())
    assert (read.id, read.type) == (identifier, kind)
    assert dns.name.from_text(read.name) == name.canonicalize()


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: bytes.fromhex(ANSWER)[:12] + tail))
def test_random_bytes_are_a_message_or_malformed(payload: bytes) -> None:
    for parse in (parse_question, parse_answer):
        try:
            parse(payload)
        except Malformed:
            continue


@given(st.integers(0, 255), st.integers(0, 255))
def test_one_wrong_byte_does_no_harm(place: int, value: int) -> None:
    wire = bytearray(answer("shop.test", "shop.test 60 CNAME a.test.", "a.test 60 A 192.0.2.80"))
    wire[place % len(wire)] = value
    try:
        read = parse_answer(bytes(wire))
    except Malformed:
        return
    assert all(len(address) == 16 for address, _ in read.addresses)
