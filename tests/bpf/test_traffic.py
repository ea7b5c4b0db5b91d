"""traffic.bpf.h, carried.bpf.h: each connection is in one row, once, and so is what it carried."""

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.test_conntrack import allow, judge
from tests.bpf.test_verdict import PORT, make_flow, open_bound
from tinysnitch.core.model.flow import UDP
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
