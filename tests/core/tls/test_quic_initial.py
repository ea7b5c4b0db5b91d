import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.tls.hello_maker import CIPHER, CONNECTION_ID, V1, V2, crypto, handshake, initial, number, vector
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.tls.client_hello import MAX_HELLO_BYTES, parse_server_name
from tinysnitch.core.tls.quic_initial import (
    MAX_FRAMES,
    QuicReader,
    crypto_frames,
    derive_keys,
    find_initials,
    may_be_initial,
)

# RFC 9001 A.2: the one frame, and what begins and ends the protected packet
SAMPLE_FRAME = bytes.fromhex(
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868"
    "04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578"
    "616d706c652e636f6dff01000100000a00080006001d00170018001000070005"
    "04616c706e000500050100000000003300260024001d00209370b2c9caa47fba"
    "baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400"
    "0d0010000e0403050306030203080408050806002d00020101001c0002400100"
    "3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"
    "75300901100f088394c8f03e51570806048000ffff"
)
SAMPLE_BEGINS = bytes.fromhex("c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11")
SAMPLE_ENDS = bytes.fromhex(
    "7e78bfe706ca4cf5e9c5453e9f7cfd2b8b4c8d169a44e55c88d4a9a7f9474241e221af44860018ab0856972e194cd934"
)
RETRIED = b"from a Retry"


def read_all(*datagrams: bytes) -> list[str | None]:
    """The name after each datagram; "-" where the ClientHello is not whole."""
    reader = QuicReader(CIPHER)
    bodies = [reader.read(datagram) for datagram in datagrams]
    return ["-" if body is None else parse_server_name(body) for body in bodies]


def frames_of(frames: bytes) -> list[tuple[int, bytes]]:
    return list(crypto_frames(frames, iter(range(MAX_FRAMES))))


def test_the_sample_of_the_specification() -> None:
    packet = initial(SAMPLE_FRAME)
    assert packet.startswith(SAMPLE_BEGINS)
    assert packet.endswith(SAMPLE_ENDS)
    assert read_all(packet) == ["example.com"]


@pytest.mark.parametrize(
    ("version", "key", "iv", "header"),
    [  # RFC 9001 A.1, RFC 9369 A.1
        (V1, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"),
        (V2, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"),
    ],
)
def test_the_keys_are_those_of_the_rfcs(version: int, key: str, iv: str, header: str) -> None:
    keys = derive_keys(version, CONNECTION_ID)
    assert (keys.key.hex(), keys.iv.hex(), keys.header.hex()) == (key, iv, header)


def test_version_2() -> None:
    assert read_all(initial(crypto(handshake("ads.test")), version=V2)) == ["ads.test"]


@pytest.mark.parametrize("version", [V1, V2])
def test_the_quic_bit_may_be_0(version: int) -> None:
    """RFC 9287 3.1: to a server that allowed it before. Firefox (neqo) has done so where it resumed a session."""
    message = handshake("ads.test", 1600)
    pieces = (crypto(message[:1100]), crypto(message[1100:], 1100))
    assert read_all(b"".join(initial(piece, version=version, quic_bit=0) for piece in pieces)) == ["ads.test"]


def test_pieces_in_several_packets_and_out_of_order() -> None:
    message = handshake("ads.test", 1600)
    pieces = [crypto(message[at : at + 300], at) for at in range(0, len(message), 300)]
    first, second = b"\x01".join(pieces[1::2]), b"\0\0".join(pieces[::2][::-1])
    assert read_all(initial(first), initial(second, packet_number=3)) == ["-", "ads.test"]
    assert read_all(initial(first) + initial(second, packet_number=3)) == ["ads.test"]


def test_a_piece_sent_again_changes_nothing() -> None:
    message = handshake("ads.test")
    first, rest = initial(crypto(message[:40])), initial(crypto(message[40:], 40), packet_number=3)
    assert read_all(first, first, rest) == ["-", "-", "ads.test"]


def test_after_a_retry_the_keys_are_others() -> None:
    message = handshake("ads.test")
    rest = initial(crypto(message[40:], 40), packet_number=3, connection_id=RETRIED)
    assert read_all(initial(crypto(message[:40])), rest) == ["-", "ads.test"]


def test_the_keys_are_those_of_the_first_packet_whatever_id_the_server_gives() -> None:
    message = handshake("ads.test")
    rest = initial(crypto(message[40:], 40), packet_number=3, connection_id=b"the server's", first_id=CONNECTION_ID)
    assert read_all(initial(crypto(message[:40])), rest) == ["-", "ads.test"]


@pytest.mark.parametrize("number_bytes", [1, 2, 3, 4])
def test_a_packet_number_may_be_short(number_bytes: int) -> None:
    assert read_all(initial(crypto(handshake("ads.test")), number_bytes=number_bytes)) == ["ads.test"]


def test_a_hello_of_the_largest_size() -> None:
    message = handshake("ads.test", MAX_HELLO_BYTES - len(handshake("ads.test")) + 4)
    assert len(message) == MAX_HELLO_BYTES + 4
    pieces = (crypto(message[at : at + 1100], at) for at in range(0, len(message), 1100))
    assert read_all(*map(initial, pieces))[-2:] == ["-", "ads.test"]


# Numbers that are no types of frames, so that each of them has to be passed over
ACKNOWLEDGED = b"\x02\x3f\x3f\x01\x3f\x3f\x3f" + b"\x03\x3f\x3f\x00\x3f\x3f\x3f\x3f"


def test_acknowledgements_are_skipped() -> None:
    assert read_all(initial(ACKNOWLEDGED + crypto(handshake("ads.test")))) == ["ads.test"]
    many = b"\x02\x3f\x3f" + number(32) + b"\x3f" * 65
    assert frames_of(many + crypto(b"abc")) == [(0, b"abc")]


def test_other_packets_of_a_connection_that_is_read_tell_nothing() -> None:
    message = handshake("ads.test")
    short = b"\x40" + bytes(60)
    assert read_all(initial(crypto(message[:40])), short, initial(crypto(message[40:], 40), packet_number=3)) == [
        "-",
        "-",
        "ads.test",
    ]


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x40" + bytes(60),
        b"\xc0\0\0\0\x09" + bytes(60),
        b"\xf0" + initial(SAMPLE_FRAME)[1:],
        initial(SAMPLE_FRAME)[:-1] + b"\0",
        initial(SAMPLE_FRAME)[:-1],
        initial(b"\x1e"),
        initial(b"\x06\x00\x7f\xff"),
        initial(crypto(b"\x02\0\0\1x")),
        initial(crypto(b"x", 0x3000) + crypto(b"y", 0x3000)),
        initial(b"\x06\xc0\0\0\1\0\0\0\0" + crypto(handshake("ads.test"))[3:]),
        initial(b"\x02\x05\x00\x7f\xff"),
        b"\xc0\0\0\0\1\x15" + bytes(60),
        initial(b"\x06\0\0" * 300 + crypto(handshake("ads.test"))),
        initial(b"") * 20 + initial(crypto(handshake("ads.test"))),
    ],
    ids=[
        "empty",
        "no long header",
        "unknown version",
        "a retry",
        "wrong tag",
        "cut short",
        "unknown frame",
        "cut frame",
        "no ClientHello",
        "contradiction",
        "an offset of 2 ** 32",
        "ranges",
        "long id",
        "more frames than anyone sends",
        "more packets than anyone sends",
    ],
)
def test_what_is_no_first_datagram(datagram: bytes) -> None:
    with pytest.raises(Malformed):
        QuicReader(CIPHER).read(datagram)


@pytest.mark.parametrize("more", [initial(b"") * 20, b"\xc0\0\0\0\1\x15"])
def test_what_comes_behind_a_whole_hello_takes_nothing_of_it_back(more: bytes) -> None:
    hello = handshake("ads.test")
    for frames in (b"", b"\x06\0\0" * 300, b"\x7f\xff"):
        assert QuicReader(CIPHER).read(initial(crypto(hello) + frames) + more) == hello[4:]


def test_what_is_idle_is_passed_over_at_once() -> None:
    hello = crypto(b"abc") + b"\x40\0\0\1" * 100 + crypto(b"d", 3)  # once as RFC 9000 12.4 forbids it
    begun_s = time.process_time()
    assert frames_of(b"\0\1" * 500_000 + hello + bytes(1_000_000)) == [(0, b"abc"), (3, b"d")]
    assert time.process_time() - begun_s < 0.2


def test_a_connection_has_no_more_frames_for_its_packets_and_datagrams() -> None:
    """Each piece is compared with up to 64 that came early. Without the bound one connection took 8 s."""
    piece, reader = crypto(b"x", 100), QuicReader(CIPHER)
    assert reader.read(initial(piece * (MAX_FRAMES // 2)) + initial(piece, packet_number=3)) is None
    assert reader.read(initial(piece * (MAX_FRAMES // 2 - 1), packet_number=4)) is None
    with pytest.raises(Malformed, match="more frames"):
        reader.read(initial(piece, packet_number=5))


def test_a_close_ends_the_packet() -> None:
    assert frames_of(crypto(b"abc") + b"\x1c" + crypto(b"d", 3)) == [(0, b"abc")]


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        (crypto(b"abc"), [(0, b"abc")]),
        (crypto(b"abc", 0x3FFF), [(0x3FFF, b"abc")]),
        (b"\x40\x01\x40\x00" + crypto(b"abc"), [(0, b"abc")]),  # PING and PADDING, longer than they need be
        (crypto(b"") * MAX_FRAMES, [(0, b"")] * MAX_FRAMES),
    ],
)
def test_frames_are_found(frames: bytes, found: list[tuple[int, bytes]]) -> None:
    assert frames_of(frames) == found


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (crypto(b"abc")[:-1], "CRYPTO frame of 3 bytes"),
        (crypto(b"") * (MAX_FRAMES + 1), "more frames"),
        (b"\x02\x3f\x3f" + number(33) + b"\x3f" * 67, "33 ranges"),
        (b"\x06\x40", "number is cut short"),
        (b"\x06", "packet is cut short"),
    ],
)
def test_frames_that_make_no_sense(frames: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        frames_of(frames)


def packet(kind: int = 0, size: int = 20, id_bytes: int = 8, token: bytes = b"") -> bytes:
    """An empty packet of version 1 with a long header: kind 0 is an Initial, 1 is 0-RTT, 3 is a Retry."""
    head = bytes([0xC0 | kind << 4]) + V1.to_bytes(4, "big") + vector(bytes(id_bytes), 1) + vector(b"", 1)
    return head + (vector(token, 1) if kind == 0 else b"") + number(size) + bytes(size)


@pytest.mark.parametrize("begins", [0x43, 0xF3], ids=["short header", "a Retry"])
def test_what_is_behind_other_packets_is_not_looked_at(begins: int) -> None:
    assert list(find_initials(bytes([begins]) + packet()[1:] + packet())) == []


def test_initials_are_found_behind_early_data_and_with_a_token() -> None:
    early, first, second = packet(1), packet(token=b"given before", id_bytes=20), packet()
    ends = [len(early) + len(first), len(early) + len(first) + len(second)]
    found = list(find_initials(early + first + second))
    assert [(one.start, one.number_at, one.end) for one in found] == [
        (len(early), ends[0] - 20, ends[0]),
        (ends[0], ends[1] - 20, ends[1]),
    ]
    assert len(list(find_initials(packet() * 16))) == 16


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (packet(size=19), "packet of 19 bytes"),
        (packet()[:-1], "packet of 20 bytes"),
        (packet(id_bytes=21), "id of 21 bytes"),
        (packet() * 17, "more than 16"),
    ],
)
def test_packets_that_make_no_sense(datagram: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        list(find_initials(datagram))


@given(st.binary(max_size=100))
def test_any_frames_are_read_or_malformed(frames: bytes) -> None:
    try:
        frames_of(frames)
    except Malformed:
        return


@given(st.sampled_from([b"", b"\xc0\0\0\0\1", b"\xd3\x6b\x33\x43\xcf", b"\xe0\0\0\0\1"]), st.binary(max_size=100))
def test_any_datagram(start: bytes, rest: bytes) -> None:
    try:
        for found in find_initials(start + rest):
            assert found.start < found.number_at < found.end <= len(start + rest)
        QuicReader(CIPHER).read(start + rest)
    except Malformed:
        return


@pytest.mark.parametrize("version", [V1, V2])
def test_what_begins_as_an_initial_may_be_one_however_it_is_cut(version: int) -> None:
    datagram = initial(crypto(handshake("shop.test")), version=version)
    assert all(may_be_initial(datagram[:size]) for size in (6, 100, len(datagram)))
    assert not may_be_initial(datagram[:5])
    assert not may_be_initial(b"\x40" + datagram[1:])
    assert not may_be_initial(datagram[:1] + b"\xff" + datagram[2:])
    assert not may_be_initial(b"")


@given(st.binary(max_size=64))
def test_where_an_initial_is_found_there_may_be_one(rest: bytes) -> None:
    for datagram in (rest, b"\xc0\x00\x00\x00\x01" + rest):
        try:
            found = any(find_initials(datagram))
        except Malformed:
            continue
        assert not found or may_be_initial(datagram)
