import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.tls.hello_maker import (
    START,
    extension,
    handshake,
    hello_body,
    records,
    segments,
    server_name,
    vector,
)
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.packets.packet import Segment
from tinysnitch.core.tls.client_hello import MAX_HELLO_BYTES, MAX_RECORDS, HelloBuffer, TlsReader, parse_server_name

LARGE = 1600  # more than one segment: with a post-quantum key share


def read_all(sent: list[Segment]) -> list[str | None]:
    """The name after each segment, up to the one that completes the ClientHello; "-" before."""
    reader = TlsReader(START)
    told: list[str | None] = []
    for segment in sent:
        body = reader.read(segment)
        told.append("-" if body is None else parse_server_name(body))
        if body is not None:
            break
    return told


def test_a_name_in_one_segment() -> None:
    assert read_all(segments(records(handshake("ads.test")), 1400)) == ["ads.test"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_a_name_in_small_segments(size: int) -> None:
    sent = segments(records(handshake("ads.test")), size)
    assert read_all(sent) == ["-"] * (len(sent) - 1) + ["ads.test"]


def test_a_large_hello_in_two_segments_in_either_order() -> None:
    sent = segments(records(handshake("ads.test", LARGE)), 1400)
    assert len(sent) == 2
    assert read_all(sent) == read_all(sent[::-1]) == ["-", "ads.test"]


@pytest.mark.parametrize("size", [1, 3, 40])
def test_a_hello_in_many_records(size: int) -> None:
    assert read_all(segments(records(handshake("ads.test"), size), 1400)) == ["ads.test"]


@pytest.mark.parametrize(("size", "is_read"), [(MAX_RECORDS, True), (MAX_RECORDS + 1, False)])
def test_there_are_no_more_records_than_are_read_in_a_moment(size: int, is_read: bool) -> None:
    sent = records(b"\x01" + vector(bytes(size - 4), 3), 1)
    reader = TlsReader(START)
    try:
        assert [body for each in segments(sent, 1400) if (body := reader.read(each))] == [bytes(size - 4)]
    except Malformed:
        assert not is_read
    else:
        assert is_read


def test_what_follows_the_hello_does_not_matter() -> None:
    assert read_all(segments(records(handshake("ads.test")) + b"\x17early data", 1400)) == ["ads.test"]


def test_segments_sent_again_change_nothing() -> None:
    first, second = segments(records(handshake("ads.test", LARGE)), 1400)
    assert read_all([first, first, second]) == ["-", "-", "ads.test"]


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"SSH-2.0-x\r\n", b"\x15\x03\x01\0\2\1\0", b"\x80\x2e\x01"])
def test_other_protocols_are_told_at_once(data: bytes) -> None:
    with pytest.raises(Malformed):
        TlsReader(START).read(segments(data, 100)[0])


@pytest.mark.parametrize(
    "data",
    [b"\x16\x02\x01\0\4\1\0\0\0", b"\x16\x03\x01\0\0", b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\0\4\2\0\0\0"],
    ids=["version", "empty", "oversized", "server hello"],
)
def test_records_that_make_no_sense(data: bytes) -> None:
    with pytest.raises(Malformed):
        TlsReader(START).read(segments(data, 100)[0])


@pytest.mark.parametrize("size", [MAX_HELLO_BYTES + 1, 1 << 16])
def test_a_hello_that_is_too_large(size: int) -> None:
    with pytest.raises(Malformed, match=f"message 1 of {size} bytes"):
        HelloBuffer().push(b"\x01" + size.to_bytes(3, "big"))


def test_a_hello_of_the_largest_size_and_no_byte_more() -> None:
    message = b"\x01" + vector(bytes(MAX_HELLO_BYTES), 3)
    assert HelloBuffer().push(message + b"more") == bytes(MAX_HELLO_BYTES)
    sent = segments(records(message), 1400)
    reader = TlsReader(START)
    assert [body for segment in sent if (body := reader.read(segment))] == [bytes(MAX_HELLO_BYTES)]


@pytest.mark.parametrize(
    ("extensions", "name"),
    [
        ([], None),
        ([extension(43, b"x")], None),
        ([server_name(b"ADS.Test")], "ads.test"),
        ([server_name(b"ads.test.")], "ads.test"),
        ([server_name(b"xn--bcher-kva.test")], "xn--bcher-kva.test"),
        ([server_name(b"one.test", b"two.test")], "one.test"),
        ([server_name(b"ads.test", kind=1)], None),
        ([server_name()], None),
        ([extension(0, vector((b"\1\0\0" * 15) + b"\0\0\x08ads.test", 2))], "ads.test"),
        ([extension(0, vector((b"\1\0\0" * 16) + b"\0\0\x08ads.test", 2))], None),
        ([server_name(b"203.0.113.7")], None),
        ([server_name(b"bad name\n")], None),
        ([server_name("bücher.test".encode())], None),
        ([server_name(b"")], None),
    ],
)
def test_what_counts_as_a_name(extensions: list[bytes], name: str | None) -> None:
    assert parse_server_name(hello_body(*extensions)) == name


def test_a_hello_without_extensions_says_nothing() -> None:
    assert parse_server_name(hello_body()[:-2]) is None


def test_a_hello_cut_anywhere_says_nothing_wrong() -> None:
    body = hello_body(server_name(b"ads.test"))
    for end in range(len(body)):
        try:
            assert parse_server_name(body[:end]) is None
        except Malformed:
            continue


@given(st.binary(max_size=300))
def test_any_body_is_read_or_malformed(body: bytes) -> None:
    try:
        parse_server_name(body)
    except Malformed:
        return


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=60)), max_size=20))
def test_any_segments_are_read_or_malformed(pieces: list[tuple[int, bytes]]) -> None:
    reader = TlsReader(START)
    try:
        for sequence, data in pieces:
            reader.read(Segment(sequence, 0, 0, data))
    except Malformed:
        return
