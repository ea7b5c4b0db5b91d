"""What questions and answers say is tested in test_message.py; here is what all messages rest on."""

import io

import dns.message
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.dns.wire import (
    IN,
    MAX_MESSAGE_BYTES,
    MAX_RECORDS,
    A,
    Record,
    mark_truncated,
    open_message,
    read_question,
    read_records,
)
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import parse_address

QUESTION = dns.message.make_query("shop.test", "A", id=7).to_wire()
FLUSHED = bytes.fromhex("000084000000000100000000") + b"\x04shop\x05local\0" + bytes.fromhex("0001800100000078")
RECORD = FLUSHED + bytes.fromhex("0004c0000250")  # as avahi announces itself, with the cache-flush bit


def test_the_header() -> None:
    reader, header = open_message(QUESTION, is_answer=False)
    assert (header.id, header.is_truncated, header.rcode) == (7, False, 0)
    assert (header.questions, header.answers) == (1, 0)
    assert read_question(reader) == ("shop.test", A, IN)
    assert open_message(QUESTION[:12], is_answer=False)[1] == header


def test_a_part_of_a_message_is_one_that_is_truncated() -> None:
    _reader, header = open_message(mark_truncated(QUESTION), is_answer=False)
    assert (header.id, header.is_truncated, header.questions) == (7, True, 1)
    assert mark_truncated(QUESTION)[4:] == QUESTION[4:]
    assert mark_truncated(QUESTION[:11]) == QUESTION[:11]


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


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (b"\4shop", "cut short"),
        (b"\x40shop\0", "unknown kind"),
        (b"\xbfshop\0", "unknown kind"),
        (b"\xc0", "cut short"),
        (b"\xc0\x0c", "does not lead back"),
        (b"\4shop\xc0\x0c", "does not lead back"),
        (b"\xc0\xff", "does not lead back"),
        ((b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"b" * 62 + b"\0", "more than 255 bytes"),
    ],
)
def test_a_bad_name_is_malformed(name: bytes, problem: str) -> None:
    wire = bytes.fromhex("000780000001000000000000") + name
    reader, _header = open_message(wire, is_answer=True)
    with pytest.raises(Malformed, match=problem):
        reader.read_name()


def test_the_longest_name_is_read() -> None:
    name = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"b" * 61 + b"\0"
    reader, _header = open_message(bytes(12) + name, is_answer=False)
    assert reader.read_name().endswith("b" * 61)
    assert reader.position == 12 + 255


def test_a_pointer_may_lead_far_back_and_to_another_one() -> None:
    far = bytes(12) + b"\4test\0".ljust(300) + b"\4shop\xc0\x0c"
    wire = far + b"\3www" + (0xC000 + 312).to_bytes(2) + b"behind"
    reader, _header = open_message(wire, is_answer=False)
    reader.position = len(far)
    assert (reader.read_name(), reader.take(6)) == ("www.shop.test", b"behind")


names = st.lists(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), min_size=1, max_size=8)


@given(names)
def test_compressed_names_are_those_that_dnspython_wrote(names: list[list[bytes]]) -> None:
    written = [dns.name.Name([*labels, b""]) for labels in names]
    file, places = io.BytesIO(bytes(12)), {}
    file.seek(12)
    for name in written:
        name.to_wire(file, places)
    reader, _header = open_message(file.getvalue(), is_answer=False)
    assert [dns.name.from_text(reader.read_name()) for _ in written] == [name.canonicalize() for name in written]
    assert reader.position == len(file.getvalue())
