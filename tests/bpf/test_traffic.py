"""traffic.bpf.h, carried.bpf.h: each connection is in one row, once, and so is what it carried."""

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.netns_visit import visit_netns
from tests.bpf.test_accept import Server, connect
from tests.bpf.test_conntrack import allow, judge
from tests.bpf.test_verdict import PORT, entry_of, make_flow, open_bound
from tests.lab.leftovers import NETNS_FOLDER
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Direction
from tinysnitch.core.model.verdict import Verdict, VerdictKey
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.bpf.traffic import TrafficSum

pytestmark = pytest.mark.privileged


def numbers(rows: list[TrafficSum]) -> list[tuple[int, ...]]:
    return [(row.key.protocol, row.key.port, row.key.direction, row.connections, row.bytes_out) for row in rows]


def test_a_conversation_is_counted_once_and_the_first_row_is_told_once(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    judge(place, programs, "INPUT", "-p", "tcp")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    allow(programs, agent, cookie, make_flow(UDP, "127.0.0.1"))
    programs.traffic.take()
    assert programs.traffic.rest()
    for _datagram in range(3):
        agent.call("send_to", handle, "127.0.0.1", PORT)
    assert [event.kind for event in programs.read_traces()].count(layout.TRACE_TRAFFIC) == 1
    outbound = [row for row in programs.traffic.take() if row.key.direction == layout.OUTBOUND]
    ((protocol, port, _direction, connections, sent),) = numbers(outbound)
    assert (protocol, port, connections) == (UDP, PORT, 1)
    assert sent > 0
    assert sent % 3 == 0
    assert programs.traffic.take() == []
    assert not programs.traffic.is_full


def test_a_packet_that_is_checked_again_later_is_counted_once(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    judge(place, programs, "INPUT", "-p", "tcp")
    for rule, name in (("OUTPUT", "out_denied"), *2 * [("POSTROUTING -t mangle", "out_escaped")]):
        program = ["-m", "bpf", "--object-pinned", str(programs.program_path(name))]
        place.run("iptables", "-A", *rule.split(), *program, "-j", "DROP")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    allow(programs, agent, cookie, make_flow(UDP, "127.0.0.1"))
    exec_id = entry_of(programs, agent, cookie).owner.exec_id
    ping = VerdictKey(exec_id, 0, ICMP, Direction.OUTBOUND, None, None)
    programs.remember_verdict(ping, Verdict.DENY, programs.generation, 0)
    raw, _cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", ICMP)
    agent.call("send_raw", raw, "127.0.0.1", [8, *bytes(7)])  # nothing is checked again unless a packet was denied
    for _datagram in range(3):
        agent.call("send_to", handle, "127.0.0.1", PORT)
    rows = [row for row in programs.traffic.take() if row.key.direction == layout.OUTBOUND]
    assert sorted(numbers(rows)) == [(ICMP, 0, layout.OUTBOUND, 1, 0), (UDP, PORT, layout.OUTBOUND, 1, 3)]


def test_all_counts_from_the_first_turn_on_and_nothing_from_before(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    port = Server(place, programs, "AF_INET", "127.0.0.1").port
    early = connect(agent, "AF_INET", "127.0.0.1", port)
    agent.call("send", early, "x" * 1000)
    with visit_netns(NETNS_FOLDER / place.name):  # connections are looked at in the caller's namespace
        programs.traffic.begin()
        late = connect(agent, "AF_INET", "127.0.0.1", port)
        agent.call("send", early, "x" * 10)
        agent.call("send", late, "x" * 100)
        programs.traffic.begin()  # the next daemon
        rows = programs.traffic.take()
    outbound = [row for row in rows if row.key.direction == layout.OUTBOUND]
    assert numbers(outbound) == [(TCP, port, layout.OUTBOUND, 0, 110)]
