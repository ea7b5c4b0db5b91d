"""reject.bpf.h: if a refused SYN is sent again, the other kind of refusal is used. (tests/lab/test_lost_resets.py)"""

import re
import struct

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import change_settings, forget_socket
from tests.bpf.test_verdict import LOCAL_PORT, PORT, add_link, open_bound
from tests.lab.patience import wait_until
from tinysnitch.core.model.flow import parse_address
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

SYN = 2  # RFC 9293 3.1, with the size of the header before it
HERE, THERE = "2001:db8::1", "2001:db8::2"
TCP = ("-p", "tcp")
TO_PORT = ("--dport", str(PORT))


def asks(programs: BpfPrograms) -> tuple[str, ...]:
    return ("-m", "bpf", "--object-pinned", str(programs.program_path("out_unheard")))


@pytest.fixture
def refused(place: BpfPlace, programs: BpfPrograms) -> BpfPrograms:
    """Refusals are lost: the SYN is dropped instead."""
    for match in ((*TO_PORT, *asks(programs)), TO_PORT):
        place.run("iptables", "-A", "OUTPUT", *TCP, *match, "-j", "DROP")
    return programs


def count_refused(place: BpfPlace, chain: str = "OUTPUT", iptables: str = "iptables") -> list[int]:
    """How many were to be refused by ICMP, and how many by a reset."""
    saved = place.run(f"{iptables}-save", "-c")
    return [int(count) for count in re.findall(rf"^\[(\d+):\d+\] -A {chain} ", saved, re.MULTILINE)]


def begin_connect(place: BpfPlace, agent: Agent, handle: int, *, again: int) -> None:
    """The kernel sends the SYN `again` times more, each a second later (ip-sysctl.rst)."""
    place.run("sysctl", "-qw", f"net.ipv4.tcp_syn_retries={again}")
    assert agent.is_swallowed(handle, "127.0.0.1", PORT)


def test_a_syn_that_is_sent_again_is_refused_in_the_other_way(
    place: BpfPlace, refused: BpfPrograms, agent: Agent
) -> None:
    assert refused
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    begin_connect(place, agent, handle, again=2)
    seen: list[list[int]] = []
    wait_until(lambda: seen.append(count_refused(place)) or sum(seen[-1]) == 3)  # not each state may have been seen
    assert all(counts in ([0, 1], [1, 1], [1, 2]) for counts in seen)


@pytest.mark.parametrize(("is_lost", "counts"), [(0, [0, 2]), (1, [2, 0])])
def test_a_forgotten_socket_is_refused_as_the_last_one_was(
    place: BpfPlace, refused: BpfPrograms, agent: Agent, is_lost: int, counts: list[int]
) -> None:
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    change_settings(refused, is_reset_lost=is_lost)
    begin_connect(place, agent, handle, again=1)
    forget_socket(refused, cookie)
    wait_until(lambda: sum(count_refused(place)) >= 2)
    assert count_refused(place) == counts


def test_an_open_connection_is_reset(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    """An ICMP error does not end it (RFC 1122 4.2.3.9)."""
    listening, _cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1", PORT)
    agent.call("listen", listening)
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.call("connect", handle, "127.0.0.1", PORT) == ""
    change_settings(programs, is_reset_lost=1)
    for match in (asks(programs), TO_PORT):
        place.run("iptables", "-A", "OUTPUT", *TCP, *match)
    assert agent.call("send", handle, "hello") == ""
    asked, all_sent = count_refused(place)
    assert (asked, all_sent > 0) == (0, True)


def test_a_denied_syn_that_comes_in_changes_nothing_at_the_socket_that_it_comes_to(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    """The socket is connecting (RFC 9293 3.5): the answer to its own SYN may still come in."""
    add_link(place, f"{HERE}/64")
    place.run("ip", "link", "set", "veth0", "address", "02:00:00:00:00:01")
    place.run("ip", "neigh", "add", THERE, "lladdr", "02:00:00:00:00:02", "dev", "veth0")
    place.run("ip6tables", "-A", "OUTPUT", *TCP, *TO_PORT, "-j", "DROP")
    for match in (asks(programs), ("--sport", str(PORT))):
        place.run("ip6tables", "-A", "INPUT", *TCP, *match, "-j", "DROP")
    handle, _cookie = open_bound(agent, "AF_INET6", "SOCK_STREAM", HERE)
    assert agent.is_swallowed(handle, THERE, PORT)
    change_settings(programs, is_reset_lost=1)
    packets, _cookie = agent.call("open_socket", "AF_PACKET", "SOCK_RAW")
    agent.call("send_frame", packets, "veth1", list(make_syn()))
    wait_until(lambda: any(count_refused(place, "INPUT", "ip6tables")))
    assert count_refused(place, "INPUT", "ip6tables") == [0, 1]


def make_syn() -> bytes:
    """A frame with a SYN from THERE. Its checksum is wrong, but it is dropped before that is looked at."""
    syn = struct.pack("!HHIIBBHHH", PORT, LOCAL_PORT, 1, 0, 5 << 4, SYN, 512, 0, 0)
    header = struct.pack("!IHBB", 6 << 28, len(syn), 6, 64) + parse_address(THERE) + parse_address(HERE)
    return bytes([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xDD]) + header + syn
