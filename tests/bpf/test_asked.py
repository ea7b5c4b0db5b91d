"""asked.bpf.h: DNS questions are copied for user space, which is not woken; what cannot be copied is read itself."""

import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.packet_run import PinnedFilter, make_packet
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.packets.packet import flow_of, parse_packet, payload_of
from tinysnitch.kernel.bpf.layout import ASKED_SIZE, FlowEntry, Owner
from tinysnitch.kernel.bpf.programs import BpfPrograms, key_of
from tinysnitch.kernel.system.clock import read_boot_ns

pytestmark = pytest.mark.privileged

ROOM = 127  # questions that the ring buffer holds
OWNER = Owner(exec_id=7, started_ns=1, pid=2, uid=1000)
QUESTION = Flow(UDP, Direction.OUTBOUND, parse_address("10.0.0.2"), 5000, parse_address("10.0.0.1"), 53)


def packet_of(flow: Flow = QUESTION, message: bytes = b"") -> bytes:
    packet = bytearray(make_packet(flow) + message)
    struct.pack_into("!H", packet, 2, len(packet))
    if flow.protocol == UDP:
        struct.pack_into("!H", packet, 24, 8 + len(message))
    return bytes(packet)


@pytest.fixture
def copier(programs: BpfPrograms) -> Iterator[PinnedFilter]:
    note_owner(programs, QUESTION)
    with closing(PinnedFilter(programs.program_path("out_copied"))) as opened:
        yield opened


def note_owner(programs: BpfPrograms, flow: Flow, owner: Owner = OWNER) -> None:
    programs._maps.flows.write(key_of(flow), FlowEntry(cookie=1, owner=owner))


def test_a_question_is_copied_with_who_asks_and_when(programs: BpfPrograms, copier: PinnedFilter) -> None:
    before_ns = read_boot_ns()
    packets = [packet_of(message=b"who?"), packet_of(message=bytes(ASKED_SIZE - 28))]
    assert [copier.run(packet) for packet in packets] == [1, 1]
    found = programs.read_questions()
    assert [each.packet[: each.size] for each in found] == packets
    assert [(each.exec_id, each.uid) for each in found] == [(7, 1000)] * 2
    assert before_ns <= found[0].time_ns <= found[1].time_ns <= read_boot_ns()
    assert programs.read_questions() == []


def test_a_question_that_finds_no_room_is_read_itself(programs: BpfPrograms, copier: PinnedFilter) -> None:
    assert [copier.run(packet_of()) for _ in range(ROOM + 2)] == [1] * ROOM + [0] * 2
    assert len(programs.read_questions()) == ROOM
    assert copier.run(packet_of()) == 1


def test_so_is_what_is_no_plain_question_or_nobodys(programs: BpfPrograms, copier: PinnedFilter) -> None:
    elsewhere = Flow(UDP, Direction.OUTBOUND, QUESTION.local, 5000, QUESTION.remote, 5353)
    stream = Flow(TCP, Direction.OUTBOUND, QUESTION.local, 5000, QUESTION.remote, 53)
    unnoted, unknown, kernels = (
        Flow(UDP, Direction.OUTBOUND, QUESTION.local, port, QUESTION.remote, 53) for port in (5001, 5002, 5003)
    )
    for flow in (elsewhere, stream):
        note_owner(programs, flow)
    note_owner(programs, unknown, Owner())
    note_owner(programs, kernels, Owner(exec_id=1))
    packets = [packet_of(flow) for flow in (elsewhere, stream, unnoted, unknown, kernels)]
    packets.append(packet_of(message=bytes(ASKED_SIZE - 27)))
    assert [copier.run(packet) for packet in packets] == [0] * len(packets)
    assert programs.read_questions() == []


def test_a_real_one_wakes_nobody_and_is_not_held(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    for name, target in (("out_allowed", "ACCEPT"), ("out_copied", "RETURN")):
        path = str(programs.program_path(name))
        place.run("iptables", "-A", "OUTPUT", "-p", "udp", "-m", "bpf", "--object-pinned", path, "-j", target)
    place.run("iptables", "-A", "OUTPUT", "-j", "DROP")
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    assert agent.call("send_to", handle, "127.0.0.1", 53) == ""
    (asked,) = programs.read_questions()
    payload = asked.packet[: asked.size]
    packet = parse_packet(payload)
    assert flow_of(packet, Direction.OUTBOUND).remote_port == 53
    assert payload_of(packet, payload) == b"x"
    process = programs.find_process(agent.pid)
    assert process
    assert asked.exec_id == process.exec_id
