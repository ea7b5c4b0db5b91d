"""late_check.bpf.h: a denied packet that gets past all rules is dropped; one that the rules pass unasked is not."""

import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import forget_socket, tie_socket, write_flow
from tests.bpf.test_verdict import LOCAL_PORT, PORT, entry_of, make_flow, open_bound
from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP, Direction
from tinysnitch.core.model.verdict import Verdict, VerdictKey
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netfilter.rules import Family, RuleWriter

pytestmark = pytest.mark.privileged

IGMP, FRAGMENT = 2, 44
NEIGHBOUR_SOLICITATION = 135
ALL = set(range(256))
ADDRESSES = {"AF_INET": "127.0.0.1", "AF_INET6": "::1"}


def passed_types(family: Family) -> set[int]:
    """The types of ICMP that the product's rules pass unasked."""
    writer = RuleWriter(family=family, label="TS", queues=(1, 2), program_path=Path, cgroup=None, has_security=True)
    rules = writer.build(remark="")
    return {int(kind) for kind in re.findall(r"-type (\d+) -j RETURN", "\n".join(rules.chains["mangle"]["TS-LINKOUT"]))}


class Sieve:
    """A place where denied packets go on, as if they had lost our mark, and a process whose packets are denied."""

    def __init__(self, place: BpfPlace) -> None:
        self.programs, self.agent = place.load(), place.start_agent()
        denied, escaped = (self.programs.program_path(name) for name in ("out_denied", "out_escaped"))
        for iptables in ("iptables", "ip6tables"):
            place.run(iptables, "-A", "OUTPUT", "-m", "bpf", "--object-pinned", str(denied), "-j", "ACCEPT")
            mangle = [iptables, "-t", "mangle", "-A", "POSTROUTING"]
            place.run(*mangle, "-m", "bpf", "--object-pinned", str(escaped), "-j", "DROP")

    def open_denied(self, family: str, protocol: int, socket_protocol: int | None = None) -> int:
        """A raw socket of the process, which may send nothing by this protocol."""
        process = self.programs.find_process(self.agent.pid)
        assert process
        key = VerdictKey(process.exec_id, 0, protocol, Direction.OUTBOUND, None, None)
        self.programs.remember_verdict(key, Verdict.DENY, self.programs.generation, 0)
        handle, _cookie = self.agent.call("open_socket", family, "SOCK_RAW", socket_protocol or protocol)
        return int(handle)

    def is_passed(self, handle: int, family: str, packet: bytes) -> bool:
        before = self.programs.read_statistics()["lost_marks"]
        self.agent.call("send_raw", handle, ADDRESSES[family], list(packet))
        return self.programs.read_statistics()["lost_marks"] == before


@pytest.fixture(scope="module")
def sieve(_clean_machine: None) -> Iterator[Sieve]:
    with BpfPlace() as place:
        yield Sieve(place)


@pytest.mark.parametrize(
    ("family", "protocol", "passed"),
    [
        ("AF_INET", ICMP, passed_types(Family.V4)),
        ("AF_INET6", ICMPV6, passed_types(Family.V6)),
        ("AF_INET", ICMPV6, set()),
        ("AF_INET6", ICMP, set()),
        ("AF_INET", IGMP, ALL),
        ("AF_INET6", IGMP, set()),
    ],
)
def test_of_icmp_and_igmp_the_same_passes_as_by_the_rules(
    sieve: Sieve, family: str, protocol: int, passed: set[int]
) -> None:
    handle = sieve.open_denied(family, protocol)
    assert {kind for kind in ALL if sieve.is_passed(handle, family, bytes([kind, *bytes(7)]))} == passed


@pytest.mark.parametrize(
    ("family", "local_port", "remote_port", "is_passed"),
    [
        ("AF_INET", 68, 67, True),
        ("AF_INET6", 546, 547, True),
        *(("AF_INET", *ports, False) for ports in ((67, 68), (68, 53), (53, 67), (546, 547))),
        *(("AF_INET6", *ports, False) for ports in ((547, 546), (546, 53), (53, 547), (68, 67))),
    ],
)
def test_dhcp_passes(sieve: Sieve, family: str, local_port: int, remote_port: int, *, is_passed: bool) -> None:
    handle = sieve.open_denied(family, UDP)
    assert sieve.is_passed(handle, family, struct.pack("!HHHH", local_port, remote_port, 8, 0)) == is_passed


def test_a_later_fragment_is_not_taken_for_icmp_of_the_link(sieve: Sieve) -> None:
    handle = sieve.open_denied("AF_INET6", ICMPV6, FRAGMENT)
    header = struct.pack("!BBHI", ICMPV6, 0, 8, 7)
    assert not sieve.is_passed(handle, "AF_INET6", header + bytes([NEIGHBOUR_SOLICITATION, *bytes(7)]))


def test_a_packet_of_another_protocol_by_a_raw_socket_is_its_programs_here_too(sieve: Sieve) -> None:
    """At POSTROUTING it has a device, as a tunnel's packet has before that."""
    handle = sieve.open_denied("AF_INET", UDP, socket.IPPROTO_RAW)
    ends = socket.inet_aton("127.0.0.1") * 2
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, UDP, 0) + ends
    assert not sieve.is_passed(handle, "AF_INET", header + struct.pack("!HHHH", 5000, 4000, 8, 0))


NONE, ALLOW, DENY, ALLOW_NOTED = 0, 1, 2, 3  # enum verdict of bpf/include/tinysnitch.h
LOOPBACK, ANOTHER = 1, 2  # interfaces


@pytest.mark.parametrize(
    ("socket_is", "others_cookie", "verdict", "interface", "has_strayed"),
    [
        ("tied", 0, ALLOW, LOOPBACK, False),
        ("tied", 0, ALLOW_NOTED, LOOPBACK, False),
        ("tied", 0, ALLOW, ANOTHER, True),
        ("tied", 0, NONE, LOOPBACK, True),
        ("tied", 0, DENY, LOOPBACK, True),
        ("tied", 1, ALLOW, LOOPBACK, True),
        ("free", 0, ALLOW, ANOTHER, False),
        ("forgotten", 0, ALLOW, ANOTHER, True),
        ("forgotten", 0, ALLOW, LOOPBACK, False),
        ("forgotten", 0, DENY, 0, True),
        ("forgotten", 0, NONE, 0, False),
        ("forgotten", 1, DENY, ANOTHER, False),
    ],
)
def test_a_segment_has_strayed_unless_its_flow_was_allowed_by_that_interface(
    place: BpfPlace,
    programs: BpfPrograms,
    agent: Agent,
    *,
    socket_is: str,
    others_cookie: int,
    verdict: int,
    interface: int,
    has_strayed: bool,
) -> None:
    server = place.start_agent()
    listening, _cookie = open_bound(server, "AF_INET", "SOCK_STREAM", "127.0.0.1", PORT)
    server.call("listen", listening)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.call("connect", handle, "127.0.0.1", PORT) == ""
    accepted = server.call("accept", listening)
    strayed = ["-m", "bpf", "--object-pinned", str(programs.program_path("out_strayed"))]
    place.run("iptables", "-A", "OUTPUT", "-p", "tcp", "--sport", str(LOCAL_PORT), *strayed, "-j", "DROP")
    owner = entry_of(programs, agent, cookie).owner
    flow = make_flow(TCP, "127.0.0.1")
    write_flow(programs, flow, cookie + others_cookie, owner, verdict=verdict, interface=interface)
    if socket_is == "tied":
        tie_socket(programs, cookie)
    if socket_is == "forgotten":
        forget_socket(programs, cookie)
    agent.call("send", handle, "x")
    assert server.hears(accepted, expected=not has_strayed) != has_strayed
