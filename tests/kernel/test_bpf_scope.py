"""scope.bpf.c: a first packet for a port that no hook told of is dropped, and the port noted."""

from collections.abc import Iterator
from contextlib import closing
from threading import Thread

import pytest

from tests.kernel.bpf_place import Agent, BpfPlace
from tests.kernel.pinned_tables import find_listener
from tinysnitch.core.flow import UDP, parse_address
from tinysnitch.kernel.bpf_maps import BpfMaps
from tinysnitch.kernel.bpf_pins import PinFolder
from tinysnitch.kernel.bpf_programs import BpfPrograms

pytestmark = pytest.mark.privileged

LOCAL, PORT = "127.0.0.1", 4000


@pytest.fixture
def programs(place: BpfPlace) -> BpfPrograms:
    return place.load(is_scoped=True)


@pytest.fixture
def maps(programs: BpfPrograms) -> Iterator[BpfMaps]:
    with closing(BpfMaps(PinFolder(programs.maps_dir.parent))) as opened:
        yield opened


@pytest.mark.parametrize(("family", "local"), [("AF_INET", LOCAL), ("AF_INET6", "::1")])
@pytest.mark.parametrize("is_closing", [False, True])
def test_a_port_is_noted_unless_its_socket_is_being_closed(
    programs: BpfPrograms, maps: BpfMaps, agent: Agent, *, family: str, local: str, is_closing: bool
) -> None:
    """Between the hook of its end and the end a packet may come: what it left would stay for ever."""
    handle, cookie = agent.call("open_socket", family, "SOCK_DGRAM")
    port = agent.call("bind", handle, local, 0)
    owner = programs.find_owner(cookie)
    assert owner
    maps.sockets.delete(cookie)
    programs.withdraw_listener(cookie)
    if is_closing:
        maps.released.write((cookie,), (owner.exec_id, owner.started_ns, owner.pid, owner.uid))
    sender, _cookie = agent.call("open_socket", family, "SOCK_DGRAM")
    agent.call("send_to", sender, local, port)
    assert agent.call("receive", handle) == ""
    assert (find_listener(programs, UDP, port, parse_address(local)) is None) == is_closing
    assert programs.read_statistics()["lost_first_packets"] == 1
    agent.call("send_to", sender, local, port)
    assert (agent.call("receive", handle) == "") == is_closing


@pytest.mark.parametrize("kind", ["SOCK_DGRAM", "SOCK_STREAM"])
def test_a_socket_that_was_closed_is_known_as_that(
    programs: BpfPrograms, maps: BpfMaps, agent: Agent, kind: str
) -> None:
    handle, cookie = agent.call("open_socket", "AF_INET", kind)
    agent.call("bind", handle, LOCAL, 0)
    owner = programs.find_owner(cookie)
    agent.call("close", handle)
    assert maps.sockets.find(cookie) is None
    assert maps.released.find(cookie) is not None
    assert programs.find_owner(cookie) == owner


def test_what_comes_while_sockets_begin_and_end_leaves_nothing(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    """A packet between bind() and its hook is noted by both, one after the hook of the end by nobody else."""
    flood = Thread(target=place.start_agent().call, args=("send_many", LOCAL, PORT, 1.5))
    flood.start()
    agent.call("bind_and_close", LOCAL, PORT, 1)
    flood.join()
    for port in (0, PORT):  # a socket that is being closed has no port any more
        assert find_listener(programs, UDP, port, parse_address(LOCAL)) is None
