"""The kernel's own ports that were there before the programs, and those that are not its own."""

import socket
import subprocess

import pytest

from tests.kernel.bpf_place import BpfPlace
from tests.kernel.netns_visit import visit_netns
from tests.kernel.pinned_tables import find_listener
from tests.kernel.test_bpf_verdict import open_bound
from tests.lab.namespaces import NETNS_FOLDER
from tinysnitch.core.flow import TCP, UDP, parse_address
from tinysnitch.kernel.bpf_programs import BpfPrograms
from tinysnitch.kernel.bpf_structs import EXEC_ID_KERNEL

pytestmark = [pytest.mark.privileged, pytest.mark.core_lab]

PORT = 4789
LOCAL = "127.0.0.1"


def load_and_list(place: BpfPlace) -> BpfPrograms:
    programs = place.load()
    with visit_netns(NETNS_FOLDER / place.name):
        for _start in range(2):
            programs.seed_kernel_listeners()
    return programs


@pytest.mark.parametrize(("local", "bound"), [(LOCAL, "0.0.0.0"), ("::1", "::")])
def test_a_tunnels_port_is_the_kernels(place: BpfPlace, local: str, bound: str) -> None:
    make = ["ip", "link", "add", "tunnel", "type", "vxlan", "id", "7", "local", local, "dstport", str(PORT)]
    try:
        place.run(*make)
    except subprocess.CalledProcessError:
        pytest.skip("this kernel has no VXLAN")
    place.run("ip", "link", "set", "tunnel", "up")
    programs = load_and_list(place)
    found = find_listener(programs, UDP, PORT, parse_address(bound))
    assert found
    assert (found.owner.exec_id, bool(found.cookie)) == (EXEC_ID_KERNEL, True)
    assert list(programs.maps_dir.parent.glob("**/on_list*")) == []


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_programs_port_is_not(place: BpfPlace, kind: str) -> None:
    agent = place.start_agent()
    handle, _cookie = open_bound(agent, "AF_INET", kind, LOCAL, PORT)
    if kind == "SOCK_STREAM":
        agent.call("listen", handle)
    programs = load_and_list(place)
    assert find_listener(programs, TCP if kind == "SOCK_STREAM" else UDP, PORT, parse_address(LOCAL)) is None


def test_nor_one_that_the_kernel_opened_for_a_program(place: BpfPlace) -> None:
    """Of MPTCP: in TCP it has a socket of the kernel's own."""
    agent = place.start_agent()
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP).close()
    except OSError:
        pytest.skip("this kernel has no MPTCP")
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM", socket.IPPROTO_MPTCP)
    agent.call("bind", handle, LOCAL, PORT)
    agent.call("listen", handle)
    assert find_listener(load_and_list(place), TCP, PORT, parse_address(LOCAL)) is None
