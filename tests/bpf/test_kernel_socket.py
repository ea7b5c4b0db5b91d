"""kernel_socket.bpf.c: ports of the kernel's own sockets that were there before the programs were loaded."""

import socket
import subprocess

import pytest

from tests.bpf.bpf_place import BpfPlace
from tests.bpf.netns_visit import visit_netns
from tests.bpf.pinned_tables import find_listener, has_lost_listeners, is_shared
from tests.bpf.test_verdict import open_bound
from tests.kernel.bpf.test_programs import LISTENERS
from tests.lab.leftovers import NETNS_FOLDER
from tinysnitch.core.model.flow import TCP, UDP, parse_address
from tinysnitch.kernel.bpf.layout import EXEC_ID_KERNEL, Listener, Owner
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netlink.sock_diag import SocketDiag

pytestmark = [pytest.mark.privileged, pytest.mark.core_lab]

PORT = 4789
LOCAL = "127.0.0.1"
ANY = parse_address("0.0.0.0")


def load_and_list(place: BpfPlace) -> BpfPrograms:
    programs = place.load()
    for _start in range(2):
        list_in(place, programs)
    return programs


def list_in(place: BpfPlace, programs: BpfPrograms) -> None:
    with visit_netns(NETNS_FOLDER / place.name):
        programs.add_kernel_listeners()


def make_tunnel(place: BpfPlace, local: str = LOCAL) -> None:
    make = ["ip", "link", "add", "tunnel", "type", "vxlan", "id", "7", "local", local, "dstport", str(PORT)]
    try:
        place.run(*make)
    except subprocess.CalledProcessError as failed:
        if "Unknown device type" not in failed.stderr:
            raise
        pytest.skip("this kernel has no VXLAN")
    place.run("ip", "link", "set", "tunnel", "up")


@pytest.mark.parametrize(("local", "bound"), [(LOCAL, "0.0.0.0"), ("::1", "::")])
def test_a_tunnels_port_is_the_kernels(place: BpfPlace, local: str, bound: str) -> None:
    """Among many ports of programs: the iterator goes through all sockets in no known order."""
    agent = place.start_agent()
    others = [agent.call("bind", agent.call("open_socket", "AF_INET", "SOCK_DGRAM")[0], LOCAL, 0) for _ in range(20)]
    make_tunnel(place, local)
    programs = load_and_list(place)
    with visit_netns(NETNS_FOLDER / place.name), SocketDiag() as sockets:
        cookies = {each.local_port: each.cookie for each in sockets.list_sockets(UDP)}
    found = find_listener(programs, UDP, PORT, parse_address(bound))
    assert found
    assert (found.owner.exec_id, found.cookie) == (EXEC_ID_KERNEL, cookies[PORT])
    assert [port for port in others if find_listener(programs, UDP, port, parse_address(LOCAL))] == []
    assert not has_lost_listeners(programs)
    assert list(programs.maps_dir.parent.glob("**/on_list*")) == []


def test_an_owner_that_is_known_already_stays(place: BpfPlace) -> None:
    """It is from a hook, and newer."""
    make_tunnel(place)
    programs = place.load()
    known = Listener(5, Owner(1 << 63, 2, 3, 4))
    programs.add_listener(UDP, PORT, ANY, known)
    list_in(place, programs)
    assert find_listener(programs, UDP, PORT, ANY) == known


def test_a_port_of_the_kernels_is_forgotten_with_the_program_that_has_it_later(place: BpfPlace) -> None:
    """No hook tells when a socket of the kernel's own is closed."""
    make_tunnel(place)
    programs = load_and_list(place)
    place.run("ip", "link", "del", "tunnel")
    agent = place.start_agent()
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "0.0.0.0", PORT)
    assert is_shared(programs, UDP, PORT, ANY)  # so who takes a packet is looked up
    agent.call("close", handle)
    assert find_listener(programs, UDP, PORT, ANY) is None


def test_that_a_port_finds_no_room_is_remembered(place: BpfPlace) -> None:
    make_tunnel(place)
    programs = place.load()
    for port in range(LISTENERS):
        programs.add_listener(TCP, port, ANY, Listener(port + 1, Owner(9, 9, 9, 9)))
    assert not has_lost_listeners(programs)
    list_in(place, programs)
    assert has_lost_listeners(programs)


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_programs_port_is_not_taken_for_the_kernels(place: BpfPlace, kind: str) -> None:
    agent = place.start_agent()
    handle, _cookie = open_bound(agent, "AF_INET", kind, LOCAL, PORT)
    if kind == "SOCK_STREAM":
        agent.call("listen", handle)
    programs = load_and_list(place)
    assert find_listener(programs, TCP if kind == "SOCK_STREAM" else UDP, PORT, parse_address(LOCAL)) is None


def test_nor_is_one_that_the_kernel_opened_for_a_program(place: BpfPlace) -> None:
    """For MPTCP it opens a TCP socket of its own."""
    agent = place.start_agent()
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP).close()
    except OSError:
        pytest.skip("this kernel has no MPTCP")
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM", socket.IPPROTO_MPTCP)
    agent.call("bind", handle, LOCAL, PORT)
    agent.call("listen", handle)
    assert find_listener(load_and_list(place), TCP, PORT, parse_address(LOCAL)) is None
