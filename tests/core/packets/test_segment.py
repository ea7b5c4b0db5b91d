import pytest

from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.packets.packet import Segment, parse_packet, parse_segment

# Captured on a loopback interface: a SYN with IP options and one over IPv6
SYN = (
    "47000044507540004006632c7f0000017f000001010707087f000001"
    "b53c24e35eb6521800000000a002fbe0fe300000020404d80402080a265f92bd000000000103030a"
)


def segment_of(wire: bytes) -> Segment:
    return parse_segment(parse_packet(wire), wire)


def data_segment(payload: bytes, flags: int = 0x18) -> bytes:
    header = bytes.fromhex("450000000000400040060000" + "0a000001" + "0a000002")
    tcp = bytes.fromhex("9c400035" + "fffffffe" + "00000007" + "50") + bytes([flags]) + bytes(6)
    whole = bytearray(header + tcp + payload)
    whole[2:4] = len(whole).to_bytes(2, "big")
    return bytes(whole)


def test_a_syn_takes_up_a_number() -> None:
    segment = segment_of(bytes.fromhex(SYN))
    assert segment == Segment(0x5EB65218, 0, 0x02)
    assert segment.is_opening
    assert not segment.is_acknowledging
    assert segment.data_sequence == 0x5EB65219


def test_data_ends_where_the_packet_does() -> None:
    segment = segment_of(data_segment(b"hello") + b"trailer of the link layer")
    assert segment == Segment(0xFFFFFFFE, 7, 0x18, b"hello")
    assert segment.is_acknowledging
    assert not segment.is_opening
    assert not segment.is_last


def test_the_ends_of_a_stream() -> None:
    assert segment_of(data_segment(b"", 0x11)).is_last
    assert segment_of(data_segment(b"", 0x04)).is_last


def test_a_syn_takes_up_a_number_also_the_last_one() -> None:
    assert Segment(0xFFFFFFFF, 0, 0x02).data_sequence == 0


def test_what_is_no_segment_is_malformed() -> None:
    fragment = bytearray(data_segment(b"hello"))
    fragment[6] = 0x20  # more fragments (RFC 791 3.1)
    udp = bytearray(data_segment(b"hello"))
    udp[9] = 17
    udp[24:26] = bytes(2)
    for wire in (bytes(fragment), bytes(udp)):
        with pytest.raises(Malformed):
            segment_of(wire)
