"""What questions and answers say is tested in test_dns_message.py; here is what all messages rest on."""

import dns.message
import pytest

from tinysnitch.core.dns_wire import (
    IN,
    MAX_MESSAGE_BYTES,
    MAX_RECORDS,
    MAX_STEPS,
    A,
    Record,
    open_message,
    read_question,
    read_records,
)
from tinysnitch.core.errors import Malformed
from tinysnitch.core.flow import parse_address

QUESTION = dns.message.make_query("shop.test", "A", id=7).to_wire()
FLUSHED = bytes.fromhex("000084000000000100000000") + b"\x04shop\x05local\0" + bytes.fromhex("0001800100000078")
RECORD = FLUSHED + bytes.fromhex("0004c0000250")  # as avahi announces itself, with the cache-flush bit


def test_the_header() -> None:
    reader, header = open_message(QUESTION, is_answer=False)
    assert (header.id, header.is_answer, header.is_truncated, header.rcode) == (7, False, False, 0)
    assert (header.questions, header.answers) == (1, 0)
    assert read_question(reader) == ("shop.test", A, IN)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "cut short"),
        (QUESTION[:11], "cut short"),
        (bytes(MAX_MESSAGE_BYTES + 1), "are read"),
        (b"\0\7\x84\0" + QUESTION[4:], "an answer where"),
        (b"\0\7\x28\0" + QUESTION[4:], "no standard query"),
        (QUESTION[:6] + (MAX_RECORDS + 1).to_bytes(2, "big") + QUESTION[8:], "records"),
    ],
)
def test_what_is_not_opened(payload: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        open_message(payload, is_answer=False)


def test_on_the_link_the_high_bit_is_no_part_of_the_class() -> None:
    expected = Record("shop.local", A, 120, parse_address("192.0.2.80"))
    for mask, found in ((0x7FFF, [expected]), (0xFFFF, [])):
        reader, header = open_message(RECORD, is_answer=True)
        assert list(read_records(reader, header, mask)) == found


def test_a_reader_gets_tired() -> None:
    wire = bytearray(FLUSHED[:12]) + b"\1a" * 120 + b"\0" + bytes.fromhex("0010000100000000") + b"\0\0"
    wire += (b"\xc0\x0c" + bytes.fromhex("0010000100000000") + b"\0\0") * (MAX_STEPS // 120)
    wire[6:8] = (1 + MAX_STEPS // 120).to_bytes(2, "big")
    reader, header = open_message(bytes(wire), is_answer=True)
    with pytest.raises(Malformed, match="labels and pointers"):
        list(read_records(reader, header))
