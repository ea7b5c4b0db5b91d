"""sync.bpf.c: user space and the hooks change the same ports at once.

What it may claim: tests/kernel/bpf/test_programs.py.
"""

from threading import Thread

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import find_listener, forget_socket, is_given, read_boundness
from tests.lab.patience import wait_until
from tinysnitch.core.model.flow import UDP, parse_address
from tinysnitch.kernel.bpf.layout import Owner
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

LOCAL, PORT = "127.0.0.1", 4000
BOUND = 1  # enum boundness of bpf/include/tinysnitch.h


def test_a_port_is_handed_over_while_others_come_and_go_and_the_last_takes_it_along(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    """A lost count would leave an entry for good, or remove one while a socket still has the port."""
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    agent.call("reuse_address", handle)
    agent.call("bind", handle, LOCAL, PORT)
    others = Thread(target=place.start_agent().call, args=("bind_and_close", LOCAL, PORT, 1, True))
    others.start()
    while others.is_alive():
        for exec_id in (1 << 63, 1 << 63 | 1):
            programs.replace_owner(cookie, Owner(exec_id, 1, agent.pid, 0))
    assert find_listener(programs, UDP, PORT, parse_address(LOCAL))
    agent.call("close", handle)
    # A closed socket lives on while any process looks at its descriptor in /proc, as the daemons of other labs do.
    wait_until(lambda: find_listener(programs, UDP, PORT, parse_address(LOCAL)) is None, "the entry is left for good")


def test_the_new_owner_of_a_forgotten_socket_has_not_used_it(programs: BpfPrograms, agent: Agent) -> None:
    """A packet of it that is held, or sent again, may be the earlier owner's. At its end the port is forgotten."""
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    agent.call("bind", handle, LOCAL, PORT)
    forget_socket(programs, cookie)
    heir = Owner(1 << 63, 1, 1, 0)
    programs.replace_owner(cookie, heir)
    assert programs.find_owner(cookie) == heir
    assert is_given(programs, cookie)
    assert read_boundness(programs, cookie) == BOUND  # others may have the port too
    agent.call("close", handle)
    assert find_listener(programs, UDP, PORT, parse_address(LOCAL)) is None
