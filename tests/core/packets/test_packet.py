"""The packets in hex were captured with tcpdump on a loopback interface (kernel 6.18)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.packets.packet import (
    MAX_EXTENSION_HEADERS,
    Packet,
    Segment,
    flow_of,
    parse_packet,
    parse_segment,
    payload_of,
    whole_size,
)

V4 = parse_address("127.0.0.1")
V6 = parse_address("::1")
V6_HEADER = "600600c4{size:04x}{following:02x}40" + "00000000000000000000000000000001" * 2

SYN = "4500003c0f89400040062d317f0000017f000001"
SYN_SEGMENT = "b52c24e32155467400000000a002fbe0fe300000020404d80402080a32434e2f000000000103030a"
SYN_WITH_OPTIONS = "47000044507540004006632c7f0000017f000001010707087f000001" + SYN_SEGMENT
UDP_V4 = "45000021163a4000401126907f0000017f000001d6f214e9000dfe2068656c6c6f"
ECHO_V4 = "4500001ce92740004001537f7f0000017f0000010800807f27490001"
ECHO_REPLY_V4 = "4500001ce92800004001937e7f0000017f0000010000887f27490001"
UNREACHABLE_V4 = (
    "45c0003de9230000400192da7f0000017f0000010303cf2000000000"
    "45000021163a4000401126907f0000017f000001d6f214e9000dfe2068656c6c6f"
)
NO_DATA_V4 = "4500001c163a4000401126957f0000017f000001d6f214e900080000"
REDIRECT_V4 = "4500001ce92740004001537f7f0000017f0000010501807f0a000001"
FIRST_FRAGMENT_V4 = "45000020163b2000401141b47f0000017f000001bc5814ea0580bc3f78787878"
LAST_FRAGMENT_V4 = "45000018163b009d401165677f0000017f00000178787878"


def packet(text: str) -> Packet:
    return parse_packet(bytes.fromhex(text))


def v6(following: int, rest: str) -> str:
    return V6_HEADER.format(size=len(bytes.fromhex(rest)), following=following) + rest


SYN_V6 = v6(TCP, SYN_SEGMENT)
DESTINATION_OPTIONS = "{:02x}00010400000000"
FRAGMENT_HEADER = "{:02x}00{:04x}a5e914cc"
ECHO_V6 = v6(ICMPV6, "80004cf8274a0001")
UDP_V6 = v6(UDP, "d77f14e9000d002068656c6c6f")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SYN + SYN_SEGMENT, Packet(TCP, V4, V4, 46380, 9443, 60, 60, transport_offset=20)),
        (SYN_WITH_OPTIONS, Packet(TCP, V4, V4, 46380, 9443, 68, 68, transport_offset=28)),
        (SYN_V6, Packet(TCP, V6, V6, 46380, 9443, 80, 80, transport_offset=40)),
        (UDP_V4, Packet(UDP, V4, V4, 55026, 5353, 28, 33)),
        (UDP_V6, Packet(UDP, V6, V6, 55167, 5353, 48, 53)),
        (ECHO_V4, Packet(ICMP, V4, V4, 10057, 0, 28, 28, is_echo=True)),
        (ECHO_REPLY_V4, Packet(ICMP, V4, V4, 10057, 0, 28, 28, is_echo=True)),
        (ECHO_V6, Packet(ICMPV6, V6, V6, 10058, 0, 48, 48, is_echo=True)),
        (v6(ICMPV6, "81004cf8274a0001"), Packet(ICMPV6, V6, V6, 10058, 0, 48, 48, is_echo=True)),
        (UNREACHABLE_V4, Packet(ICMP, V4, V4, 0, 0, 28, 61)),
        (v6(ICMPV6, "0104fafc00000000"), Packet(ICMPV6, V6, V6, 0, 0, 48, 48)),
        (v6(ICMPV6, "8700fafc00000000"), Packet(ICMPV6, V6, V6, 0, 0, 48, 48)),
        (FIRST_FRAGMENT_V4, Packet(UDP, V4, V4, 48216, 5354, 28, 32, is_fragment=True)),
        (LAST_FRAGMENT_V4, Packet(UDP, V4, V4, 0, 0, 20, 24, is_fragment=True)),
        (UDP_V4[:12] + "0001" + UDP_V4[16:], Packet(UDP, V4, V4, 0, 0, 20, 33, is_fragment=True)),
        ("4500001400000000402f00007f0000017f000001", Packet(47, V4, V4, 0, 0, 20, 20)),
        (v6(59, ""), Packet(59, V6, V6, 0, 0, 40, 40)),
        (v6(60, DESTINATION_OPTIONS.format(59)), Packet(59, V6, V6, 0, 0, 48, 48)),
        (NO_DATA_V4, Packet(UDP, V4, V4, 55026, 5353, 28, 28)),
        (REDIRECT_V4, Packet(ICMP, V4, V4, 0, 0, 28, 28)),
        (ECHO_V4[:12] + "2000" + ECHO_V4[16:], Packet(ICMP, V4, V4, 10057, 0, 28, 28, is_fragment=True, is_echo=True)),
    ],
    ids=lambda value: "" if isinstance(value, str) else f"{value.protocol}-{value.payload_offset}",
)
def test_a_packet_is_read(text: str, expected: Packet) -> None:
    assert packet(text) == expected
    assert parse_packet(memoryview(bytes.fromhex(text))) == expected


@pytest.mark.parametrize(
    "chain",
    [
        [(60, DESTINATION_OPTIONS)],
        [(0, DESTINATION_OPTIONS), (43, "{:02x}00040000000000"), (60, DESTINATION_OPTIONS)],
        [(51, "{:02x}04000000000000" + "00" * 16)],
        [(60, "{:02x}010102" + "00" * 12)],
        [(44, "{:02x}00000000000000")],
        [(44, "{:02x}00000600000000")],
    ],
    ids=["destination", "hop-by-hop routing destination", "authentication", "two words", "whole fragment", "reserved"],
)
def test_extension_headers_are_walked_over(chain: list[tuple[int, str]]) -> None:
    following = [number for number, _ in chain[1:]] + [TCP]
    headers = "".join(header.format(number) for (_, header), number in zip(chain, following, strict=True))
    read = packet(v6(chain[0][0], headers + SYN_SEGMENT))
    assert (read.protocol, read.source_port, read.destination_port) == (TCP, 46380, 9443)
    assert not read.is_fragment
    assert read.is_routed == (43 in [number for number, _ in chain])


def test_the_first_fragment_says_how_much_the_whole_carries() -> None:
    raw = bytes.fromhex(FIRST_FRAGMENT_V4)
    assert (whole_size(parse_packet(raw), raw), payload_of(parse_packet(raw), raw)) == (1400, b"xxxx")


def test_the_first_fragment_has_the_ports_and_the_others_do_not() -> None:
    first = packet(v6(44, FRAGMENT_HEADER.format(UDP, 0x0001) + "c37414ea0580b3247878"))
    assert (first.destination_port, first.is_fragment) == (5354, True)
    last = packet(v6(44, FRAGMENT_HEADER.format(UDP, 0x04D0) + "78787878"))
    assert (last.destination_port, last.is_fragment) == (0, True)
    assert last.protocol == UDP
    behind_options = packet(v6(44, FRAGMENT_HEADER.format(60, 0x04D0) + DESTINATION_OPTIONS.format(TCP) + SYN_SEGMENT))
    assert (behind_options.protocol, behind_options.destination_port, behind_options.is_fragment) == (60, 0, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty packet"),
        ("75" + SYN[2:], "IP version 7"),
        (SYN[:38], "IPv4 header of 19 bytes"),
        ("44" + SYN[2:] + SYN_SEGMENT, "IPv4 header of 16 bytes"),
        ("4f" + SYN[2:], "IPv4 header of 60 bytes in a packet of 20"),
        ("45000013" + SYN[8:], "in a packet of 19"),
        (SYN + SYN_SEGMENT[:38], "TCP header of 19 bytes"),
        (SYN + SYN_SEGMENT[:24] + "40" + SYN_SEGMENT[26:], "TCP header of 16 bytes"),
        (SYN + SYN_SEGMENT[:24] + "f0" + SYN_SEGMENT[26:], "TCP header of 60 bytes"),
        (UDP_V4[:54], "UDP header of 7 bytes"),
        (UDP_V4[:48] + "0007" + UDP_V4[52:], "UDP length 7"),
        (UDP_V4[:48] + "0001" + UDP_V4[52:], "UDP length 1"),
        (ECHO_V4[:54], "ICMP header of 7 bytes"),
        (SYN_V6[:78], "IPv6 header of 39 bytes"),
        (v6(60, "06000104000000"), "cut short"),
        (v6(60, "060001"), "cut short"),
        (v6(60, "3b01010400000000"), "cut short"),
        (v6(60, (DESTINATION_OPTIONS.format(60)) * (MAX_EXTENSION_HEADERS + 1)), "more than 8"),
        (v6(43, "06000401" + "00000000" + SYN_SEGMENT), "routing header hides"),
        (SYN_V6[:16] + "00000000000000000000ffff01020304" + SYN_V6[48:], "IPv4-mapped"),
        (SYN_V6[:48] + "00000000000000000000ffff01020304" + SYN_V6[80:], "IPv4-mapped"),
    ],
)
def test_what_does_not_fit_is_malformed(text: str, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        packet(text)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("8307040808080800", "source route"),
        ("0101890704080808", "source route"),
        ("01010744", "wrong length"),
        ("01014401", "wrong length"),
        ("010144ff", "wrong length"),
        ("01014403", "wrong length"),
        ("01010144", "wrong length"),
    ],
)
def test_an_option_that_hides_the_destination_or_itself_is_malformed(options: str, problem: str) -> None:
    size = len(options) // 2
    header = f"4{5 + size // 4:x}00{20 + size + 40:04x}{SYN[8:]}"
    with pytest.raises(Malformed, match=problem):
        packet(header + options + SYN_SEGMENT)


def test_an_option_that_ends_with_the_packet_is_malformed() -> None:
    with pytest.raises(Malformed, match="wrong length"):
        packet("46000018" + SYN[8:] + "01010144")


def test_an_option_may_have_no_data() -> None:
    assert packet("46000040" + SYN[8:] + "44024402" + SYN_SEGMENT).destination_port == 9443


def test_options_end_at_the_end_of_options() -> None:
    assert packet("4600" + "0040" + SYN[8:] + "00830101" + SYN_SEGMENT).destination_port == 9443


def test_a_segment_that_is_yet_to_be_cut_has_no_length() -> None:
    assert packet("45000000" + SYN[8:] + SYN_SEGMENT).payload_end == 60
    assert packet(SYN_V6[:9] + "0000" + SYN_V6[13:]).payload_end == 80
    assert packet(UDP_V4[:48] + "0000" + UDP_V4[52:]).payload_end == 33


def test_the_payload_ends_where_the_headers_say() -> None:
    raw = bytes.fromhex(UDP_V4)
    assert payload_of(parse_packet(raw), raw) == b"hello"
    padded = memoryview(raw + b"padding")
    assert payload_of(parse_packet(padded), padded) == b"hello"
    padded_v6 = bytes.fromhex(SYN_V6) + b"padding"
    assert payload_of(parse_packet(padded_v6), padded_v6) == b""
    shorter = bytes.fromhex(UDP_V4[:48] + "000a" + UDP_V4[52:])
    assert payload_of(parse_packet(shorter), shorter) == b"he"


def test_a_packet_of_which_the_queue_gave_only_the_beginning() -> None:
    raw = bytes.fromhex(UDP_V4)[:30]
    assert payload_of(parse_packet(raw), raw) == b"he"


@pytest.mark.parametrize(
    ("text", "direction", "flow"),
    [
        (SYN + SYN_SEGMENT, Direction.OUTBOUND, Flow(TCP, Direction.OUTBOUND, V4, 46380, V4, 9443)),
        (SYN + SYN_SEGMENT, Direction.INBOUND, Flow(TCP, Direction.INBOUND, V4, 9443, V4, 46380)),
        (ECHO_V4, Direction.OUTBOUND, Flow(ICMP, Direction.OUTBOUND, V4, 10057, V4, 0)),
        (ECHO_V6, Direction.INBOUND, Flow(ICMPV6, Direction.INBOUND, V6, 10058, V6, 0)),
        (UNREACHABLE_V4, Direction.INBOUND, Flow(ICMP, Direction.INBOUND, V4, 0, V4, 0)),
        (LAST_FRAGMENT_V4, Direction.OUTBOUND, Flow(UDP, Direction.OUTBOUND, V4, 0, V4, 0)),
    ],
)
def test_the_flow_of_a_packet(text: str, direction: Direction, flow: Flow) -> None:
    assert flow_of(packet(text), direction) == flow


def test_local_and_remote_follow_the_direction() -> None:
    there, here = parse_address("192.0.2.1"), parse_address("10.0.0.2")
    raw = bytes.fromhex("450000210000400040110000" + "c0000201" + "0a000002" + UDP_V4[40:])
    inbound = flow_of(parse_packet(raw), Direction.INBOUND)
    assert (inbound.local, inbound.local_port, inbound.remote, inbound.remote_port) == (here, 5353, there, 55026)
    outbound = flow_of(parse_packet(raw), Direction.OUTBOUND)
    assert (outbound.local, outbound.local_port, outbound.remote, outbound.remote_port) == (there, 55026, here, 5353)


SEEDS = [
    SYN + SYN_SEGMENT,
    SYN_WITH_OPTIONS,
    SYN_V6,
    UDP_V4,
    ECHO_V6,
    v6(60, DESTINATION_OPTIONS.format(6) + SYN_SEGMENT),
]


@given(
    st.one_of(
        st.binary(max_size=100),
        st.builds(
            lambda head, rest: bytes([head]) + rest, st.sampled_from([0x45, 0x46, 0x60]), st.binary(max_size=120)
        ),
    )
)
def test_random_bytes_are_a_packet_or_malformed(raw: bytes) -> None:
    try:
        read = parse_packet(raw)
    except Malformed:
        return
    assert read.payload_offset <= read.payload_end <= len(raw)
    assert len(read.source) == len(read.destination) == 16


@given(st.sampled_from(SEEDS), st.integers(0, 255), st.integers(0, 255))
def test_one_wrong_byte_or_a_cut_does_no_harm(text: str, place: int, value: int) -> None:
    raw = bytearray.fromhex(text)
    raw[place % len(raw)] = value
    for changed in (bytes(raw), bytes.fromhex(text)[: place % len(raw)]):
        try:
            flow_of(parse_packet(changed), Direction.INBOUND)
        except Malformed:
            continue


SYN_TO_READ = (
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
    segment = segment_of(bytes.fromhex(SYN_TO_READ))
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
