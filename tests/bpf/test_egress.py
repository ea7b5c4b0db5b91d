"""egress.bpf.h: which packets that leave go through further rules: DNS messages, and for a minute after a denial all.

But for packets that were just allowed (last_verdict.bpf.h).
"""

import re
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import change_settings
from tests.bpf.test_verdict import entry_of, key_of, make_flow
from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

DESTINATION_OPTIONS = 60
PADDED = bytes([UDP, 0, 1, 4, 0, 0, 0, 0])  # a header with padding alone (RFC 8200 4.2), then UDP
ADDRESSES = {"AF_INET": "127.0.0.1", "AF_INET6": "::1"}


def to_port(port: int) -> bytes:
    return struct.pack("!HHHH", 5000, port, 8, 0)


def watch_leaving(place: BpfPlace, programs: BpfPrograms) -> None:
    """Packets that must go through further rules are counted, and let go."""
    for iptables in ("iptables", "ip6tables"):
        path = str(programs.program_path("out_leaves"))
        place.run(iptables, "-t", "mangle", "-A", "POSTROUTING", "-m", "bpf", "--object-pinned", path)
    set_denied(programs, 100)


def set_denied(programs: BpfPrograms, age: int) -> None:
    """So long ago something was denied. Within a minute of the boot, 0 would look like a denial."""
    change_settings(programs, denied_at=((time.monotonic_ns() >> 30) - age) % 2**32)


@pytest.fixture
def leaving(place: BpfPlace, programs: BpfPrograms) -> BpfPrograms:
    watch_leaving(place, programs)
    return programs


class Watched:
    """A place for tests that change nothing but when something was denied, and a process at it."""

    def __init__(self, place: BpfPlace) -> None:
        self.place, self.programs = place, place.load()
        self.agent = place.start_agent()
        watch_leaving(place, self.programs)

    def count(self, name: str, *words: object) -> int:
        """How many packets went through further rules while the process did this."""
        before = count_leaving(self.place)
        assert self.agent.call(name, *words) == ""
        return count_leaving(self.place) - before


@pytest.fixture(scope="module")
def watched(_clean_machine: None) -> Iterator[Watched]:
    with BpfPlace() as place:
        yield Watched(place)


def count_leaving(place: BpfPlace) -> int:
    saved = place.run("iptables-save", "-c") + place.run("ip6tables-save", "-c")
    return sum(int(count) for count in re.findall(r"^\[(\d+):\d+\] -A POSTROUTING -m bpf", saved, re.MULTILINE))


WITH_PORTS = [
    *((UDP, to_port(port), True) for port in (53, 5353, 5355)),
    *((UDP, to_port(port), False) for port in (52, 54, 5354, 0x3500)),
    (UDP, to_port(53)[:3], True),
    (TCP, to_port(53), True),
    (TCP, to_port(5353), False),
]


@pytest.mark.parametrize(
    ("family", "protocol", "packet", "is_looked_at"),
    [
        *((family, *case) for family in ADDRESSES for case in WITH_PORTS),
        ("AF_INET", ICMP, bytes([3, *bytes(7)]), False),
        ("AF_INET6", ICMPV6, bytes([1, *bytes(7)]), False),
        # There may be ports behind a header of IPv6, whatever they are.
        ("AF_INET6", DESTINATION_OPTIONS, PADDED + to_port(53), True),
        ("AF_INET6", DESTINATION_OPTIONS, PADDED + to_port(54), True),
        ("AF_INET", DESTINATION_OPTIONS, PADDED + to_port(53), False),
    ],
)
def test_packets_that_may_be_messages_are_looked_at_and_no_others(
    watched: Watched, family: str, protocol: int, packet: bytes, is_looked_at: bool
) -> None:
    handle, _cookie = watched.agent.call("open_socket", family, "SOCK_RAW", protocol)
    assert watched.count("send_raw", handle, ADDRESSES[family], list(packet)) == is_looked_at


@pytest.mark.parametrize(("port", "is_looked_at"), [(53, True), (54, False)])
def test_a_message_behind_ip_options_is_looked_at_too(watched: Watched, port: int, is_looked_at: bool) -> None:
    """RFC 791 3.1. Here three words of options that do nothing."""
    handle, _cookie = watched.agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    assert watched.agent.call("set_option", handle, "IPPROTO_IP", socket.IP_OPTIONS, [1] * 12) == ""
    assert watched.count("send_to", handle, "127.0.0.1", port) == is_looked_at


def test_after_a_denial_all_packets_are_looked_at(place: BpfPlace, leaving: BpfPrograms, agent: Agent) -> None:
    denied = str(leaving.program_path("out_denied"))
    place.run("iptables", "-A", "OUTPUT", "-m", "bpf", "--object-pinned", denied, "-j", "DROP")
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", ICMP)
    raw, _cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", UDP)
    agent.call("send_raw", handle, "127.0.0.1", [3, *bytes(7)])
    assert count_leaving(place) == 0
    key = key_of(entry_of(leaving, agent, cookie), make_flow(UDP, "127.0.0.1"))
    leaving.remember_verdict(key, Verdict.DENY, leaving.generation, 0)
    agent.call("send_raw", raw, "127.0.0.1", list(struct.pack("!HHHH", 5000, key.port, 8, 0)))
    agent.call("send_raw", handle, "127.0.0.1", [3, *bytes(7)])
    assert count_leaving(place) == 1


# -1: another CPU denied a packet after this one had read the clock
@pytest.mark.parametrize(("age", "is_looked_at"), [(-1, True), (0, True), (55, True), (62, False)])
def test_a_denial_is_remembered_for_a_minute(watched: Watched, age: int, is_looked_at: bool) -> None:
    handle, _cookie = watched.agent.call("open_socket", "AF_INET", "SOCK_RAW", ICMP)
    set_denied(watched.programs, age)
    try:
        assert watched.count("send_raw", handle, "127.0.0.1", [3, *bytes(7)]) == is_looked_at
    finally:
        set_denied(watched.programs, 100)


def test_after_a_denial_a_packet_that_was_just_allowed_is_not_looked_at(
    place: BpfPlace, leaving: BpfPrograms, agent: Agent
) -> None:
    """It is recognised only once: the next packet may have its address."""
    for table, chain, name in (("filter", "OUTPUT", "out_allowed"), ("mangle", "POSTROUTING", "out_leaves")):
        path = str(leaving.program_path(name))
        place.run("iptables", "-t", table, "-A", chain, "-m", "bpf", "--object-pinned", path)
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    agent.call("bind", handle, "127.0.0.1", 5000)
    key = key_of(entry_of(leaving, agent, cookie), make_flow(UDP, "127.0.0.1"))
    leaving.remember_verdict(key, Verdict.ALLOW, leaving.generation, 0)
    set_denied(leaving, 0)
    for port, asked in ((key.port, 1), (key.port + 1, 2), (key.port, 1)):
        before = count_leaving(place)
        taker, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")  # else there is an ICMP, too
        agent.call("reuse_address", taker)
        agent.call("bind", taker, "127.0.0.1", port)
        agent.call("send_to", handle, "127.0.0.1", port)
        assert count_leaving(place) - before == asked
