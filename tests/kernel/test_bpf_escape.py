"""escape.bpf.h: a denied packet that gets past all rules is dropped; one that the rules pass unasked is not."""

import re
import socket
import struct
from pathlib import Path

import pytest

from tests.kernel.bpf_place import Agent, BpfPlace
from tests.kernel.pinned_tables import forget_socket, tie_socket, write_flow
from tests.kernel.test_bpf_verdict import LOCAL_PORT, PORT, entry_of, make_flow, open_bound
from tinysnitch.core.flow import ICMP, ICMPV6, TCP, UDP, Direction
from tinysnitch.core.verdict import Verdict
from tinysnitch.core.verdict_key import VerdictKey
from tinysnitch.kernel.bpf_programs import BpfPrograms
from tinysnitch.kernel.netfilter_rules import Family, RuleWriter

pytestmark = pytest.mark.privileged

IGMP, FRAGMENT = 2, 44
NEIGHBOUR_SOLICITATION = 135
ALL = set(range(256))
ADDRESSES = {"AF_INET": "127.0.0.1", "AF_INET6": "::1"}


def passed_types(family: Family) -> set[int]:
    """The types of ICMP that the product's rules pass unasked."""
    writer = RuleWriter(family=family, label="TS", queues=(1, 2), program_path=Path, scope=None, has_security=True)
    rules = writer.build(remark="")
    return {int(kind) for kind in re.findall(r"-type (\d+) -j RETURN", "\n".join(rules.chains["mangle"]["TS-LINKOUT"]))}


@pytest.fixture
def outbound(place: BpfPlace, programs: BpfPrograms) -> BpfPrograms:
    """A denied packet goes on, as if it had lost its mark."""
    denied, escaped = programs.program_path("out_denied"), programs.program_path("out_escaped")
    for iptables in ("iptables", "ip6tables"):
        place.run(iptables, "-A", "OUTPUT", "-m", "bpf", "--object-pinned", str(denied), "-j", "ACCEPT")
        mangle = [iptables, "-t", "mangle", "-A", "POSTROUTING"]
        place.run(*mangle, "-m", "bpf", "--object-pinned", str(escaped), "-j", "DROP")
    return programs


def deny_all(programs: BpfPrograms, agent: Agent, protocol: int) -> None:
    process = programs.find_process(agent.pid)
    assert process
    key = VerdictKey(process.exec_id, 0, protocol, Direction.OUTBOUND, None, 0)
    programs.remember_verdict(key, Verdict.DENY, programs.generation, 0)


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
    outbound: BpfPrograms, agent: Agent, family: str, protocol: int, passed: set[int]
) -> None:
    deny_all(outbound, agent, protocol)
    handle, _cookie = agent.call("open_socket", family, "SOCK_RAW", protocol)
    left = set()
    for kind in ALL:
        before = outbound.read_statistics()["lost_marks"]
        agent.call("send_raw", handle, ADDRESSES[family], [kind, *bytes(7)])
        if outbound.read_statistics()["lost_marks"] == before:
            left.add(kind)
    assert left == passed


@pytest.mark.parametrize(
    ("family", "local_port", "remote_port", "is_passed"),
    [
        ("AF_INET", 68, 67, True),
        ("AF_INET6", 546, 547, True),
        *(("AF_INET", *ports, False) for ports in ((67, 68), (68, 53), (53, 67), (546, 547))),
        *(("AF_INET6", *ports, False) for ports in ((547, 546), (546, 53), (53, 547), (68, 67))),
    ],
)
def test_dhcp_passes(
    outbound: BpfPrograms, agent: Agent, family: str, local_port: int, remote_port: int, *, is_passed: bool
) -> None:
    deny_all(outbound, agent, UDP)
    handle, _cookie = agent.call("open_socket", family, "SOCK_RAW", UDP)
    agent.call("send_raw", handle, ADDRESSES[family], list(struct.pack("!HHHH", local_port, remote_port, 8, 0)))
    assert (outbound.read_statistics()["lost_marks"] == 0) == is_passed


def test_a_later_fragment_is_not_taken_for_icmp_of_the_link(outbound: BpfPrograms, agent: Agent) -> None:
    deny_all(outbound, agent, ICMPV6)
    handle, _cookie = agent.call("open_socket", "AF_INET6", "SOCK_RAW", FRAGMENT)
    header = struct.pack("!BBHI", ICMPV6, 0, 8, 7)
    agent.call("send_raw", handle, "::1", list(header + bytes([NEIGHBOUR_SOLICITATION, *bytes(7)])))
    assert outbound.read_statistics()["lost_marks"] == 1


def test_a_packet_of_another_protocol_by_a_raw_socket_is_its_programs_here_too(
    outbound: BpfPrograms, agent: Agent
) -> None:
    """At POSTROUTING it has a device, as a tunnel's packet has before that."""
    deny_all(outbound, agent, UDP)
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", socket.IPPROTO_RAW)
    ends = socket.inet_aton("127.0.0.1") * 2
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, UDP, 0) + ends
    agent.call("send_raw", handle, "127.0.0.1", list(header + struct.pack("!HHHH", 5000, 4000, 8, 0)))
    assert outbound.read_statistics()["lost_marks"] == 1


NONE, ALLOW, DENY, ALLOW_NOTED = 0, 1, 2, 3  # enum verdict of bpf/tinysnitch.h
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
