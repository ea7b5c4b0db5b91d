"""scope.bpf.c: a first packet to a port that no hook told of is dropped, and the port is noted."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from threading import Thread

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import find_listener
from tests.bpf.test_verdict import LOCAL_PORT, entry_of, make_flow, open_bound
from tests.lab.patience import wait_until
from tinysnitch.core.model.flow import TCP, UDP, parse_address
from tinysnitch.core.model.scope import Scope
from tinysnitch.kernel.bpf.layout import OUTBOUND, Conversation
from tinysnitch.kernel.bpf.libbpf import Map
from tinysnitch.kernel.bpf.maps import BpfMaps
from tinysnitch.kernel.bpf.pins import PinFolder
from tinysnitch.kernel.bpf.programs import BpfPrograms, conversation_key_of

pytestmark = pytest.mark.privileged

LOCAL, PORT = "127.0.0.1", 4000


@pytest.fixture
def programs(place: BpfPlace) -> BpfPrograms:
    return place.load(Scope.COMMAND)


@pytest.fixture
def maps(programs: BpfPrograms) -> Iterator[BpfMaps]:
    with closing(BpfMaps(PinFolder(programs.maps_dir.parent))) as opened:
        yield opened


@pytest.mark.parametrize(("family", "local"), [("AF_INET", LOCAL), ("AF_INET6", "::1")])
@pytest.mark.parametrize("is_closing", [False, True])
def test_a_port_is_noted_unless_its_socket_is_being_closed(
    programs: BpfPrograms, maps: BpfMaps, agent: Agent, *, family: str, local: str, is_closing: bool
) -> None:
    """A packet may come after the hook that tells of the end: a port noted then would stay for ever."""
    handle, cookie = agent.call("open_socket", family, "SOCK_DGRAM")
    port = agent.call("bind", handle, local, 0)
    owner = programs.find_owner(cookie)
    assert owner
    maps.sockets.delete(cookie)
    programs.withdraw_listener(cookie)
    if is_closing:
        maps.released.write(cookie, owner)
    sender, _cookie = agent.call("open_socket", family, "SOCK_DGRAM")
    agent.call("send_to", sender, local, port)
    assert not agent.hears(handle, expected=False)
    assert (find_listener(programs, UDP, port, parse_address(local)) is None) == is_closing
    assert programs.read_statistics()["lost_first_packets"] == 1
    agent.call("send_to", sender, local, port)
    assert agent.hears(handle, expected=not is_closing) != is_closing


@pytest.mark.parametrize("is_its_own", [True, False])
def test_an_answer_is_no_first_packet_unless_another_socket_asked(
    programs: BpfPrograms, maps: BpfMaps, conversations: Map, agent: Agent, *, is_its_own: bool
) -> None:
    """That one has left its port to this socket, without a hook."""
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", LOCAL)
    maps.sockets.delete(cookie)
    programs.withdraw_listener(cookie)
    asker = cookie if is_its_own else cookie + 1
    known = Conversation(cookie=asker, exec_id=1, seen_ns=time.monotonic_ns(), begun_by=OUTBOUND)
    assert conversations.write(conversation_key_of(make_flow(UDP, LOCAL)), known)
    sender, _cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", LOCAL, PORT)
    agent.call("send_to", sender, LOCAL, LOCAL_PORT)
    assert agent.hears(handle, expected=is_its_own) == is_its_own


def test_a_port_that_multipath_tcp_listens_on_is_its_programs(programs: BpfPrograms, agent: Agent) -> None:
    """The packet comes to a socket of the kernel's own, and no hook tells when that is closed."""
    try:
        handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM", socket.IPPROTO_MPTCP)
    except OSError:
        pytest.skip("this kernel has no MPTCP")
    agent.call("listen", handle)  # has a port without bind()
    client, _cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM")
    port = agent.call("local_port", handle)
    assert agent.is_swallowed(client, LOCAL, port)
    found = find_listener(programs, TCP, port, parse_address("0.0.0.0"))
    assert found
    assert (found.cookie, found.owner) == (cookie, entry_of(programs, agent, cookie).owner)
    agent.call("close", handle)
    assert find_listener(programs, TCP, port, parse_address("0.0.0.0")) is None


@pytest.mark.parametrize("kind", ["SOCK_DGRAM", "SOCK_STREAM"])
def test_the_owner_of_a_closed_socket_is_known(programs: BpfPrograms, maps: BpfMaps, agent: Agent, kind: str) -> None:
    handle, cookie = agent.call("open_socket", "AF_INET", kind)
    agent.call("bind", handle, LOCAL, 0)
    owner = programs.find_owner(cookie)
    agent.call("close", handle)
    assert maps.sockets.find(cookie) is None
    assert maps.released.find(cookie) is not None
    assert programs.find_owner(cookie) == owner


def test_packets_that_come_while_sockets_are_bound_and_closed_leave_no_entry(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    """For a packet between bind() and its hook both note the port; after the hook of its end nothing forgets it."""
    flood = Thread(target=place.start_agent().call, args=("send_many", LOCAL, PORT, 1.5))
    flood.start()
    agent.call("bind_and_close", LOCAL, PORT, 1)
    flood.join()
    for port in (0, PORT):  # a socket that is being closed has no port any more
        wait_until(lambda port=port: find_listener(programs, UDP, port, parse_address(LOCAL)) is None)
