"""lookup.bpf.h: whose a packet is, and its verdict. Asked by real iptables rules; nobody reads the queue."""

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.packet_place import wait_packets
from tests.bpf.pinned_tables import forget_process
from tests.bpf.test_verdict import (
    NOBODYS,
    PORT,
    entry_of,
    inbound,
    judge,
    key_of,
    make_flow,
    open_bound,
)
from tinysnitch.core.model.flow import TCP, UDP, Direction, parse_address
from tinysnitch.core.model.verdict import Verdict, VerdictKey
from tinysnitch.kernel.bpf.layout import FlowEntry, Listener, Owner
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.nfqueue.queue import NfVerdict, Queue

__all__ = ["inbound"]
pytestmark = pytest.mark.privileged


@pytest.mark.parametrize("runs", [None, 1 << 63 | 1])
def test_a_listener_whose_owner_ended_or_runs_another_program_has_no_known_owner(
    inbound: BpfPrograms, agent: Agent, runs: int | None
) -> None:
    """So no verdict for the earlier owner lets a packet in."""
    owner = Owner(1 << 63, 5, NOBODYS, 7)
    flow = make_flow(UDP, "127.0.0.1", Direction.INBOUND)
    assert inbound.add_listener(UDP, PORT, parse_address("0.0.0.0"), Listener(99, owner))
    if runs:
        assert inbound.add_process(NOBODYS, owner.started_ns, runs)
    key = VerdictKey(owner.exec_id, owner.uid, UDP, Direction.INBOUND, flow.remote, PORT)
    inbound.remember_verdict(key, Verdict.ALLOW, inbound.generation, 0)
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert inbound.find_flow(flow) == FlowEntry(cookie=99, owner=Owner(0, 0, 0, 0))


def test_a_verdict_for_a_flow_holds_for_its_owner_alone(inbound: BpfPrograms, agent: Agent) -> None:
    first, second = Owner(1 << 63, 5, NOBODYS, 7), Owner(1 << 63 | 1, 5, NOBODYS + 1, 7)
    flow = make_flow(UDP, "127.0.0.1", Direction.INBOUND)
    assert inbound.add_listener(UDP, PORT, parse_address("0.0.0.0"), Listener(99, first))
    for owner in (first, second):
        assert inbound.add_process(owner.pid, owner.started_ns, owner.exec_id)
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert inbound.remember_flow(flow, Verdict.ALLOW, inbound.generation, 0)
    misses = inbound.read_statistics()["misses"]
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert inbound.read_statistics()["misses"] == misses
    assert inbound.add_owner(99, second, bytes(16), 0)
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert inbound.read_statistics()["misses"] == misses + 1


def test_the_entry_of_a_flow_lets_nothing_in_after_its_owner_has_ended(inbound: BpfPrograms, agent: Agent) -> None:
    """The entry still says whose the flow was."""
    owner = Owner(1 << 63, 5, NOBODYS, 7)
    flow = make_flow(UDP, "127.0.0.1", Direction.INBOUND)
    assert inbound.add_listener(UDP, PORT, parse_address("0.0.0.0"), Listener(99, owner))
    assert inbound.add_process(NOBODYS, owner.started_ns, owner.exec_id)
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert inbound.find_flow(flow) == FlowEntry(cookie=99, owner=owner)
    key = VerdictKey(owner.exec_id, owner.uid, UDP, Direction.INBOUND, flow.remote, PORT)
    inbound.remember_verdict(key, Verdict.ALLOW, inbound.generation, 0)
    forget_process(inbound, NOBODYS)
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert inbound.read_statistics()["hits_allowed"] == 0


def test_a_held_syn_is_its_programs_even_after_the_program_has_ended(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, queue: Queue
) -> None:
    judge(place, programs, "OUTPUT")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.is_swallowed(handle, "127.0.0.1", PORT)
    key = key_of(entry_of(programs, agent, cookie), make_flow(TCP, "127.0.0.1"))
    agent.close()
    programs.remember_verdict(key, Verdict.ALLOW, programs.generation, 0)
    held = wait_packets(queue, 1)
    for packet in held:
        queue.queue_verdict(packet.packet_id, NfVerdict.REPEAT)
    queue.flush()
    assert programs.read_statistics()["hits_allowed"] == len(held)


def test_a_held_packet_is_its_own_programs_though_another_has_sent_by_its_flow_since(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, server: Agent, queue: Queue
) -> None:
    judge(place, programs, "OUTPUT")
    for sender in (agent, server):
        handle, cookie = open_bound(sender, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
        sender.call("send_to", handle, "127.0.0.1", PORT)
    key = key_of(entry_of(programs, server, cookie), make_flow(UDP, "127.0.0.1"))
    programs.remember_verdict(key, Verdict.ALLOW, programs.generation, 0)
    first, second = wait_packets(queue, 2)
    for packet, allowed in ((first, 0), (second, 1)):
        queue.queue_verdict(packet.packet_id, NfVerdict.REPEAT)
        queue.flush()
        assert programs.read_statistics()["hits_allowed"] == allowed
