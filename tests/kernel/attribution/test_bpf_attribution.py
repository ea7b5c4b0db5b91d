"""A packet can wait in the queue until the program that sent it has ended and its image is forgotten."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import msgspec
import pytest

from tests.bpf.attribution_table import DictTable, make_image
from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.netns_visit import visit_netns
from tests.bpf.pinned_tables import forget_image
from tests.bpf.test_verdict import FAMILIES, judge, make_flow, open_bound
from tests.kernel.attribution.test_attribution import cookie_of
from tests.lab.leftovers import NETNS_FOLDER
from tests.lab.patience import wait_until
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import NOT_LISTENING, UNKNOWN, AttributedPacket
from tinysnitch.core.model.verdict import Verdict, VerdictKey
from tinysnitch.kernel.attribution.attribution import Attributor
from tinysnitch.kernel.attribution.socket_holders import SocketUsers
from tinysnitch.kernel.bpf.layout import EXEC_ID_KERNEL, EXEC_ID_UNKNOWN, FlowEntry, Owner
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.proc import procfs

OWNER = Owner(100, 6, 5, 1000)
COOKIE = 7
IPV6_V6ONLY = 26  # ipv6(7), linux/in6.h


@pytest.fixture
def table() -> DictTable:
    return DictTable()


@pytest.fixture
def attributor(table: DictTable) -> Iterator[Attributor]:
    with closing(Attributor(table)) as made:
        yield made


def make_outbound(protocol: int) -> Flow:
    return Flow(protocol, Direction.OUTBOUND, parse_address("127.0.0.1"), 5000, parse_address("192.0.2.1"), 443)


def make_inbound(address: tuple[str, int]) -> Flow:
    local, port = address
    return Flow(TCP, Direction.INBOUND, parse_address(local), port, parse_address("192.0.2.1"), 40000)


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_packet_whose_program_is_forgotten_is_not_told_as_of_an_unknown_one(
    attributor: Attributor, table: DictTable, protocol: int
) -> None:
    """As unknown it would pass rules that deny its program."""
    flow = make_outbound(protocol)
    table.flows[flow] = FlowEntry(cookie=COOKIE, owner=OWNER)
    assert attributor.attribute(flow, 1) == AttributedPacket(UNKNOWN, COOKIE, is_note_lost=True)
    assert attributor.unknown == 0


def test_whoever_has_the_socket_of_a_forgotten_program_is_unknown(attributor: Attributor, table: DictTable) -> None:
    """More may be sent by it, which must not be dropped for ever without a question."""
    flow = make_outbound(UDP)
    table.flows[flow] = FlowEntry(cookie=COOKIE, owner=OWNER)
    table.owners[COOKIE] = OWNER
    assert attributor.attribute(flow, 1) == AttributedPacket(UNKNOWN, COOKIE)
    assert attributor.unknown == 1


def test_a_program_that_was_looked_up_in_time_stays_known(attributor: Attributor, table: DictTable) -> None:
    flow = make_outbound(UDP)
    table.flows[flow] = FlowEntry(cookie=COOKIE, owner=OWNER)
    table.images[OWNER.exec_id] = make_image()
    known = attributor.attribute(flow, 1)
    table.images.clear()
    assert attributor.attribute(flow, 1) == known


def test_who_sends_by_a_socket_of_the_kernels_own_is_not_the_kernel(attributor: Attributor, table: DictTable) -> None:
    """Nor when the packet walks the chain again."""
    flow = make_outbound(TCP)
    table.flows[flow] = FlowEntry(cookie=COOKIE, owner=Owner(EXEC_ID_UNKNOWN, 0, 0, 0))
    table.owners[COOKIE] = Owner(EXEC_ID_KERNEL, 0, 0, 0)
    assert [attributor.attribute(flow, 1) for _walk in range(2)] == [AttributedPacket(UNKNOWN, COOKIE)] * 2


def test_who_used_the_socket_since_the_packet_came_takes_it(
    attributor: Attributor, table: DictTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one who had it before may hold it too."""
    table.images[OWNER.exec_id] = make_image()
    monkeypatch.setattr(SocketUsers, "find_user", lambda _self, likely, *_words: likely)
    with socket.create_server(("127.0.0.1", 0)) as server:
        flow, cookie = make_inbound(server.getsockname()), cookie_of(server)
        table.flows[flow] = FlowEntry(cookie=cookie, owner=OWNER)
        table.owners[cookie] = msgspec.structs.replace(OWNER, pid=OWNER.pid + 1)
        process = attributor.attribute(flow, 1).attribution.process
    assert process
    assert process.pid == OWNER.pid + 1


def test_of_two_sockets_of_a_program_the_one_that_takes_the_packet_is_noted(
    attributor: Attributor, table: DictTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the packet would walk the chain for ever."""
    monkeypatch.setattr(SocketUsers, "find_user", lambda *_words: OWNER)
    with socket.create_server(("127.0.0.1", 0)) as server:
        flow, cookie = make_inbound(server.getsockname()), cookie_of(server)
        table.flows[flow] = FlowEntry(cookie=COOKIE, owner=OWNER)
        table.owners = {COOKIE: OWNER, cookie: OWNER}
        attributor.attribute(flow, 1)
    assert [listener.cookie for listener in table.listeners.values()] == [cookie]


def test_a_listener_that_meanwhile_is_one_of_two_stays_noted(
    attributor: Attributor, table: DictTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_listener = table.add_listener
    with socket.create_server(("", 0), reuse_port=True) as server, ExitStack() as opened:
        address = ("127.0.0.1", server.getsockname()[1])

        def join_first(*words: Any) -> bool:  # noqa: ANN401
            opened.enter_context(socket.create_server(address, reuse_port=True))
            return add_listener(*words)

        monkeypatch.setattr(table, "add_listener", join_first)
        monkeypatch.setattr(SocketUsers, "find_user", lambda *_words: OWNER)
        attributed = attributor.attribute(make_inbound(address), 1)
        assert [listener.cookie for listener in table.listeners.values()] == [attributed.cookie]


def test_what_one_who_ends_has_left_to_another_is_the_others(
    attributor: Attributor, table: DictTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.images[OWNER.exec_id] = make_image()
    heir = msgspec.structs.replace(OWNER, pid=OWNER.pid + 1)
    monkeypatch.setattr(procfs, "is_ending", lambda _pid: True)
    monkeypatch.setattr(SocketUsers, "find_user", lambda *_words: heir)
    with socket.create_server(("127.0.0.1", 0)) as server:
        flow = make_inbound(server.getsockname())
        table.flows[flow] = FlowEntry(cookie=COOKIE, owner=OWNER)
        process = attributor.attribute(flow, 1).attribution.process
    assert process
    assert process.pid == heir.pid


def test_a_socket_that_is_closed_while_its_holder_is_looked_for_listens_no_more(
    attributor: Attributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked about an unknown program."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(SocketUsers, "find_user", lambda *_words: server.close())
        assert attributor.attribute(make_inbound(server.getsockname()), 1).attribution == NOT_LISTENING


@pytest.mark.privileged
@pytest.mark.parametrize(("family", "address"), FAMILIES)
def test_what_comes_by_ipv4_is_not_judged_for_a_socket_of_ipv6_alone(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, server: Agent, family: str, address: str
) -> None:
    """Another program gets the port for IPv4 where no hook runs. The rules let everything in to the first one."""
    judge(place, programs, "INPUT")
    bound, _cookie = agent.call("open_socket", "AF_INET6", "SOCK_STREAM")
    agent.call("set_option", bound, "IPPROTO_IPV6", IPV6_V6ONLY, [1, 0, 0, 0])
    port = agent.call("bind", bound, "::", 0)
    agent.call("listen", bound)
    process = programs.find_process(agent.pid)
    assert process
    everywhere = VerdictKey(process.exec_id, 0, TCP, Direction.INBOUND, None, None)
    programs.remember_verdict(everywhere, Verdict.ALLOW, programs.generation, 0)
    place.run("sysctl", "-w", f"net.ipv4.ip_local_port_range={port} {port}")
    taker, _cookie = server.call("open_socket", "AF_INET", "SOCK_STREAM")
    server.call("listen", taker)
    assert server.call("local_port", taker) == port
    visitor, _cookie = open_bound(server, family, "SOCK_STREAM", address)
    assert server.is_swallowed(visitor, address, port) == (family == "AF_INET")


@pytest.mark.privileged
@pytest.mark.parametrize("is_closed", [True, False])
def test_the_real_maps_tell_a_closed_socket(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, is_closed: bool
) -> None:
    judge(place, programs, "OUTPUT")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", 4000)
    process = programs.find_process(agent.pid)
    assert process
    if is_closed:
        agent.close()
        wait_until(lambda: not programs.is_socket_open(cookie))
    forget_image(programs, process.exec_id)
    with visit_netns(NETNS_FOLDER / place.name), closing(Attributor(programs)) as attributor:
        attributed = attributor.attribute(make_flow(UDP, "127.0.0.1"), 1)
    assert attributed == AttributedPacket(UNKNOWN, cookie, is_note_lost=is_closed)
