"""handshake.bpf.h: what is noted of a SYN that is let go. (What answers it: tests/evasion/test_handshake.py.)"""

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import find_listener, forget_socket
from tests.bpf.test_verdict import LOCAL_PORT, PORT, entry_of, judge, key_of, make_flow, open_bound
from tinysnitch.core.model.flow import TCP, parse_address
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.nfqueue.queue import NfVerdict, Queue

pytestmark = pytest.mark.privileged


def test_nothing_is_noted_of_a_socket_that_was_closed_while_its_syn_was_held(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, queue: Queue
) -> None:
    """No hook would tell when to forget it."""
    judge(place, programs, "OUTPUT")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.is_swallowed(handle, "127.0.0.1", PORT)
    key = key_of(entry_of(programs, agent, cookie), make_flow(TCP, "127.0.0.1"))
    agent.call("close", handle)
    before = place.count_sockets()
    programs.remember_verdict(key, Verdict.ALLOW, programs.generation, 0)
    held = queue.read_packets()
    assert held
    for packet in held:
        queue.queue_verdict(packet.packet_id, NfVerdict.REPEAT)
    queue.flush()
    assert programs.read_statistics()["hits_allowed"] == len(held)
    assert place.count_sockets() == before


def test_the_port_of_a_socket_that_was_forgotten_while_its_syn_was_held_goes_when_it_is_closed(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    judge(place, programs, "OUTPUT")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.is_swallowed(handle, "127.0.0.1", PORT)
    forget_socket(programs, cookie)
    key = key_of(entry_of(programs, agent, cookie), make_flow(TCP, "127.0.0.1"))
    programs.remember_verdict(key, Verdict.ALLOW, programs.generation, 0)
    assert agent.call("wait_connected", handle) == "ECONNREFUSED"  # the SYN is sent again after a second
    assert find_listener(programs, TCP, LOCAL_PORT, parse_address("127.0.0.1"))
    agent.call("close", handle)
    assert find_listener(programs, TCP, LOCAL_PORT, parse_address("127.0.0.1")) is None
