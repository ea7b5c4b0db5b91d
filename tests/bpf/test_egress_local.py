"""egress_local.bpf.h: which addresses are this machine's. (Which packets leave by which interface:
tests/evasion/test_astray.py.)"""

import socket
from contextlib import closing

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.test_verdict import add_link
from tinysnitch.core.model.flow import parse_address
from tinysnitch.kernel.bpf.layout import OwnKey
from tinysnitch.kernel.bpf.libbpf import U32, Map
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

PORT = 4000
OTHER = "2001:db8::2"  # beyond the link


@pytest.fixture
def led_out(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> int:
    """A socket that is bound to an interface, by which all its packets leave."""
    add_link(place, "2001:db8::1/64")
    place.run("ip", "-6", "route", "add", "default", "dev", "veth0")
    place.run("ip", "neigh", "add", OTHER, "lladdr", "02:00:00:00:00:01", "dev", "veth0")
    place.run("ip6tables", "-A", "OUTPUT", "-m", "bpf", "--object-pinned", str(programs.program_path("out_astray")))
    handle, _cookie = agent.call("open_socket", "AF_INET6", "SOCK_DGRAM")
    assert agent.call("set_option", handle, "SOL_SOCKET", socket.SO_BINDTODEVICE, list(b"veth0")) == ""
    return int(handle)


def is_astray(programs: BpfPrograms, agent: Agent, handle: int, address: str) -> bool:
    before = programs.read_statistics()["lost_astray"]
    assert agent.call("send_to", handle, address, PORT) == ""
    return programs.read_statistics()["lost_astray"] == before + 1


@pytest.mark.parametrize(("address", "is_ours"), [("::1", True), ("::2", False), ("1::1", False), (OTHER, False)])
def test_the_address_of_loopback_is_ours_whatever_the_table_says(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, led_out: int, address: str, *, is_ours: bool
) -> None:
    """Root may have removed it from the interface."""
    place.run("ip", "-6", "address", "delete", "::1/128", "dev", "lo")
    programs.set_generation(programs.generation + 1, frozenset())
    assert is_astray(programs, agent, led_out, address) == is_ours


@pytest.mark.parametrize(("epochs_ahead", "is_ours"), [(-1, False), (0, True), (1, True)])
def test_addresses_are_ours_until_they_are_left_out(
    programs: BpfPrograms, agent: Agent, led_out: int, epochs_ahead: int, *, is_ours: bool
) -> None:
    """Addresses are written with the number of the next epoch before that begins."""
    epoch = programs.settings.own_epoch + epochs_ahead
    with closing(Map(programs.maps_dir / "own_addresses", OwnKey, U32)) as addresses:
        assert addresses.write(OwnKey(parse_address(OTHER)), epoch % 2**32)
    assert is_astray(programs, agent, led_out, OTHER) == is_ours
