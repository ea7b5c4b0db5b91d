"""verdict.bpf.c: asked by real iptables rules. Nobody reads the queue, so a queued packet is lost."""

import socket
import struct
import time

import msgspec
import pytest

from tests.bpf.bpf_place import HELD, MOMENT_S, Agent, BpfPlace
from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.model.verdict import Verdict, VerdictKey
from tinysnitch.kernel.bpf.layout import EXEC_ID_KERNEL, FlowEntry, Listener, Owner
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.nfqueue.queue import Queue

pytestmark = pytest.mark.privileged

PORT = 4000  # where the agent listens, or where nobody does
NOBODYS = 2**22 + 1  # a pid that no process has
LOCAL_PORT = 5000
FAMILIES = [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")]


def judge(place: BpfPlace, programs: BpfPrograms, chain: str) -> None:
    """The rules of the product in short: allowed goes on, denied is refused, all else is queued."""
    allowed, denied = (programs.program_path(f"{chain[:-3].lower()}_{word}") for word in ("allowed", "denied"))
    refusals = (["icmp", "-m", "icmp", "--icmp-type", "3"], ["icmpv6", "-m", "icmp6", "--icmpv6-type", "1"])
    for iptables, refusal in zip(("iptables", "ip6tables"), refusals, strict=True):
        place.run(iptables, "-A", chain, "-p", *refusal, "-j", "ACCEPT")
        place.run(iptables, "-A", chain, "-p", "tcp", "!", "--syn", "-j", "ACCEPT")
        place.run(iptables, "-A", chain, "-m", "bpf", "--object-pinned", str(allowed), "-j", "ACCEPT")
        place.run(iptables, "-A", chain, "-m", "bpf", "--object-pinned", str(denied), "-j", "REJECT")
        place.run(iptables, "-A", chain, "-j", "NFQUEUE", "--queue-num", str(HELD))


@pytest.fixture
def outbound(place: BpfPlace, programs: BpfPrograms) -> BpfPrograms:
    judge(place, programs, "OUTPUT")
    return programs


@pytest.fixture
def inbound(place: BpfPlace, programs: BpfPrograms) -> BpfPrograms:
    judge(place, programs, "INPUT")
    return programs


def open_bound(agent: Agent, family: str, kind: str, address: str, port: int = LOCAL_PORT) -> tuple[int, int]:
    handle, cookie = agent.call("open_socket", family, kind)
    agent.call("reuse_address", handle)
    agent.call("bind", handle, address, port)
    return handle, cookie


def make_flow(protocol: int, address: str, direction: Direction = Direction.OUTBOUND) -> Flow:
    """Between the agent's port and PORT, both at `address`."""
    packed = parse_address(address)
    if direction is Direction.OUTBOUND:
        return Flow(protocol, direction, packed, LOCAL_PORT, packed, PORT)
    return Flow(protocol, direction, packed, PORT, packed, LOCAL_PORT)


def entry_of(programs: BpfPrograms, agent: Agent, cookie: int) -> FlowEntry:
    process = programs.find_process(agent.pid)
    assert process
    return FlowEntry(cookie=cookie, owner=Owner(process.exec_id, process.started_ns, agent.pid, 0))


def key_of(entry: FlowEntry, flow: Flow) -> VerdictKey:
    return VerdictKey(entry.owner.exec_id, entry.owner.uid, flow.protocol, flow.direction, flow.remote, flow.port)


@pytest.mark.parametrize(("family", "address"), FAMILIES)
def test_an_undecided_connection_is_a_miss_and_its_owner_is_noted(
    outbound: BpfPrograms, agent: Agent, family: str, address: str
) -> None:
    handle, cookie = open_bound(agent, family, "SOCK_STREAM", address)
    assert agent.is_swallowed(handle, address, PORT)
    assert outbound.find_flow(make_flow(TCP, address)) == entry_of(outbound, agent, cookie)
    assert outbound.read_statistics()["misses"] >= 1


@pytest.mark.parametrize(("family", "address"), FAMILIES)
@pytest.mark.parametrize(("verdict", "came"), [(Verdict.ALLOW, "hello"), (Verdict.DENY, "")])
def test_a_remembered_verdict_decides(
    place: BpfPlace, outbound: BpfPrograms, agent: Agent, family: str, address: str, verdict: Verdict, came: str
) -> None:
    server = place.start_agent()
    listening, _cookie = open_bound(server, family, "SOCK_DGRAM", address, PORT)
    handle, cookie = open_bound(agent, family, "SOCK_DGRAM", address)
    flow = make_flow(UDP, address)
    key = key_of(entry_of(outbound, agent, cookie), flow)
    agent.call("connect", handle, address, PORT)  # before there is a verdict, or it would be refused right here
    outbound.remember_verdict(key, verdict, outbound.generation, 0)
    agent.call("send", handle, "hello")
    assert server.call("receive", listening, *([] if came else [MOMENT_S])) == came
    statistics = outbound.read_statistics()
    assert (statistics["hits_allowed"], statistics["hits_denied"]) == (
        verdict is Verdict.ALLOW,
        verdict is Verdict.DENY,
    )
    assert outbound.find_flow(flow) is None


def test_a_verdict_for_every_remote_holds_for_its_program_protocol_and_direction(
    place: BpfPlace, outbound: BpfPrograms, agent: Agent
) -> None:
    server = place.start_agent()
    listening, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    exec_id = entry_of(outbound, agent, cookie).owner.exec_id
    everywhere = [
        VerdictKey(exec_id, 1000, UDP, Direction.OUTBOUND, None, None),
        VerdictKey(exec_id, 0, TCP, Direction.OUTBOUND, None, None),
        VerdictKey(exec_id, 0, UDP, Direction.INBOUND, None, None),
        VerdictKey(exec_id, 0, UDP, Direction.OUTBOUND, None, None),
    ]
    for key in everywhere[:3]:
        outbound.remember_verdict(key, Verdict.ALLOW, outbound.generation, 0)
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert outbound.read_statistics()["misses"] == 1
    outbound.remember_verdict(everywhere[3], Verdict.ALLOW, outbound.generation, 0)
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert server.call("receive", listening)
    assert outbound.read_statistics()["hits_allowed"] == 1
    outbound.set_generation(outbound.generation + 1)
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert outbound.read_statistics()["misses"] == 2


@pytest.mark.parametrize("verdict", [Verdict.ALLOW, Verdict.DENY])
def test_a_verdict_for_the_flow_holds_for_its_socket_only(
    outbound: BpfPrograms, agent: Agent, verdict: Verdict
) -> None:
    flow = make_flow(TCP, "127.0.0.1")
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert not outbound.remember_flow(flow, verdict, outbound.generation, 0)
    assert agent.is_swallowed(handle, "127.0.0.1", PORT)
    assert outbound.remember_flow(flow, verdict, outbound.generation, 0)
    assert agent.call("wait_connected", handle) == "ECONNREFUSED"  # the SYN is sent again after a second
    agent.call("close", handle)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.is_swallowed(handle, "127.0.0.1", PORT)
    assert outbound.find_flow(flow) == entry_of(outbound, agent, cookie)


def test_a_verdict_for_the_flow_holds_for_its_program_only(outbound: BpfPrograms, agent: Agent) -> None:
    """A socket may be handed over and connect again, between the same ports."""
    flow = make_flow(UDP, "127.0.0.1")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", PORT)
    owner = outbound.find_owner(cookie)
    assert owner
    assert outbound.remember_flow(flow, Verdict.ALLOW, outbound.generation, 0)
    outbound.remember_owner(flow, msgspec.structs.replace(owner, exec_id=owner.exec_id + 1))
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert outbound.read_statistics()["hits_allowed"] == 0
    assert outbound.remember_flow(flow, Verdict.ALLOW, outbound.generation, 0)
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert outbound.read_statistics()["hits_allowed"] == 1


@pytest.mark.parametrize("staleness", ["generation", "expiry"])
@pytest.mark.parametrize("of", ["process", "flow"])
def test_a_stale_verdict_is_a_miss(outbound: BpfPrograms, agent: Agent, staleness: str, of: str) -> None:
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    flow = make_flow(UDP, "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", PORT)
    expires_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if staleness == "expiry" else 0
    generation = outbound.generation + (staleness == "generation")
    if of == "process":
        key = key_of(entry_of(outbound, agent, cookie), flow)
        outbound.remember_verdict(key, Verdict.ALLOW, generation, expires_ns)
    else:
        assert outbound.remember_flow(flow, Verdict.ALLOW, generation, expires_ns)
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert outbound.read_statistics()["misses"] == 2
    assert outbound.read_statistics()["hits_allowed"] == 0


def test_the_flow_of_a_closed_socket_still_says_whose_it_was(outbound: BpfPrograms, agent: Agent) -> None:
    """A program may end while its only packet is held, which then walks the chain again (NF_REPEAT)."""
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.is_swallowed(handle, "127.0.0.1", PORT)
    agent.call("close", handle)
    assert outbound.find_flow(make_flow(TCP, "127.0.0.1")) == entry_of(outbound, agent, cookie)


def test_the_owner_of_a_packet_is_known_when_another_socket_has_taken_its_ports(
    place: BpfPlace, outbound: BpfPrograms, agent: Agent, queue: Queue
) -> None:
    """Two packets are held, and the flow has one entry: the owner of the other packet is found by its socket."""
    assert queue
    other = place.start_agent()
    owners = []
    for who in (agent, other):
        handle, cookie = open_bound(who, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
        who.call("send_to", handle, "127.0.0.1", PORT)
        who.call("close", handle)
        assert outbound.find_flow(make_flow(UDP, "127.0.0.1")) == entry_of(outbound, who, cookie)
        owners.append((who.pid, cookie))
    for pid, cookie in owners:
        owner = outbound.find_owner(cookie)
        assert owner
        assert owner.pid == pid


@pytest.mark.parametrize(("port", "is_noted"), [(53, True), (5353, True), (5355, True), (5354, False)])
def test_of_an_allowed_dns_question_it_is_noted_who_asked(
    outbound: BpfPrograms, agent: Agent, port: int, is_noted: bool
) -> None:
    local = parse_address("127.0.0.1")
    flow = Flow(UDP, Direction.OUTBOUND, local, LOCAL_PORT, local, port)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    entry = entry_of(outbound, agent, cookie)
    outbound.remember_verdict(key_of(entry, flow), Verdict.ALLOW, outbound.generation, 0)
    agent.call("send_to", handle, "127.0.0.1", port)
    assert outbound.find_flow(flow) == (entry if is_noted else None)


def test_of_dns_questions_from_one_port_the_last_asker_is_noted(
    place: BpfPlace, outbound: BpfPrograms, agent: Agent
) -> None:
    flow = msgspec.structs.replace(make_flow(UDP, "127.0.0.1"), remote_port=53)
    for who in (agent, place.start_agent()):
        handle, cookie = open_bound(who, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
        entry = entry_of(outbound, who, cookie)
        outbound.remember_verdict(key_of(entry, flow), Verdict.ALLOW, outbound.generation, 0)
        who.call("send_to", handle, "127.0.0.1", 53)
        assert outbound.find_flow(flow) == entry


@pytest.mark.parametrize(
    ("family", "address", "protocol", "kind"), [("AF_INET", "127.0.0.1", ICMP, 8), ("AF_INET6", "::1", ICMPV6, 128)]
)
def test_an_echo_is_told_by_its_identifier(
    outbound: BpfPrograms, agent: Agent, family: str, address: str, protocol: int, kind: int
) -> None:
    handle, cookie = agent.call("open_socket", family, "SOCK_RAW", protocol)
    agent.call("send_raw", handle, address, list(struct.pack("!BBHHH", kind, 0, 0, 0x1234, 1)))
    packed = parse_address(address)
    flow = Flow(protocol, Direction.OUTBOUND, packed, 0x1234, packed, 0)
    assert outbound.find_flow(flow) == entry_of(outbound, agent, cookie)


def test_other_protocols_have_no_ports(outbound: BpfPrograms, agent: Agent) -> None:
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", 200)
    agent.call("send_raw", handle, "127.0.0.1", [9] * 20)
    packed = parse_address("127.0.0.1")
    assert outbound.find_flow(Flow(200, Direction.OUTBOUND, packed, 0, packed, 0)) == entry_of(outbound, agent, cookie)


def test_a_packet_without_a_socket_is_the_kernels(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    """The reset that netfilter answers with: nf_send_reset()."""
    allowed = str(programs.program_path("out_allowed"))
    reset = ("-p", "tcp", "--tcp-flags", "RST", "RST")
    place.run("iptables", "-t", "raw", "-A", "OUTPUT", *reset, "-m", "bpf", "--object-pinned", allowed)
    place.run("iptables", "-A", "INPUT", "-p", "tcp", "--syn", "-j", "REJECT", "--reject-with", "tcp-reset")
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.call("connect", handle, "127.0.0.1", PORT) == "ECONNREFUSED"
    local = parse_address("127.0.0.1")
    found = programs.find_flow(Flow(TCP, Direction.OUTBOUND, local, PORT, local, LOCAL_PORT))
    assert found == FlowEntry(cookie=0, owner=Owner(EXEC_ID_KERNEL, 0, 0, 0))


def add_link(place: BpfPlace, address: str) -> None:
    place.run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    place.run("sysctl", "-qw", "net.ipv6.conf.veth0.disable_ipv6=0")
    place.run("ip", "addr", "add", address, "dev", "veth0", "nodad")
    for link in ("veth0", "veth1"):
        place.run("ip", "link", "set", link, "up")


def test_a_packet_from_a_socket_of_the_kernels_own_is_the_kernels(
    place: BpfPlace, outbound: BpfPrograms, agent: Agent
) -> None:
    """A neighbour solicitation, from the socket of ndisc_net_init()."""
    add_link(place, "2001:db8::1/64")
    local, neighbour = parse_address("2001:db8::1"), parse_address("2001:db8::2")
    handle, cookie = agent.call("open_socket", "AF_INET6", "SOCK_DGRAM")
    key = key_of(entry_of(outbound, agent, cookie), Flow(UDP, Direction.OUTBOUND, local, 0, neighbour, PORT))
    outbound.remember_verdict(key, Verdict.ALLOW, outbound.generation, 0)
    assert agent.call("send_to", handle, "2001:db8::2", PORT) == ""
    found = outbound.find_flow(Flow(ICMPV6, Direction.OUTBOUND, local, 0, parse_address("ff02::1:ff00:2"), 0))
    assert found
    assert found.cookie
    assert found.owner.exec_id == EXEC_ID_KERNEL


@pytest.mark.parametrize(
    ("family", "bound", "client_family", "address"),
    [
        ("AF_INET", "127.0.0.1", "AF_INET", "127.0.0.1"),
        ("AF_INET", "0.0.0.0", "AF_INET", "127.0.0.1"),
        ("AF_INET6", "::", "AF_INET", "127.0.0.1"),
        ("AF_INET6", "::", "AF_INET6", "::1"),
    ],
)
def test_an_inbound_packet_belongs_to_the_program_that_listens(
    place: BpfPlace, inbound: BpfPrograms, agent: Agent, family: str, bound: str, client_family: str, address: str
) -> None:
    server = place.start_agent()
    listening, cookie = open_bound(server, family, "SOCK_STREAM", bound, PORT)
    server.call("listen", listening)
    handle, _cookie = open_bound(agent, client_family, "SOCK_STREAM", address)
    assert agent.is_swallowed(handle, address, PORT)
    flow = make_flow(TCP, address, Direction.INBOUND)
    entry = entry_of(inbound, server, cookie)
    assert inbound.find_flow(flow) == entry
    inbound.remember_verdict(key_of(entry, flow), Verdict.ALLOW, inbound.generation, 0)
    assert agent.call("wait_connected", handle) == ""


def test_an_inbound_packet_to_a_closed_port_is_unknown_and_an_echo_is_the_kernels(
    inbound: BpfPrograms, agent: Agent
) -> None:
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert inbound.find_flow(make_flow(UDP, "127.0.0.1", Direction.INBOUND)) == FlowEntry(
        cookie=0, owner=Owner(0, 0, 0, 0)
    )
    raw, _cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", ICMP)
    agent.call("send_raw", raw, "127.0.0.1", list(struct.pack("!BBHHH", 8, 0, 0xF7FF - 7, 7, 1)))
    packed = parse_address("127.0.0.1")
    found = inbound.find_flow(Flow(ICMP, Direction.INBOUND, packed, 7, packed, 0))
    assert found == FlowEntry(cookie=0, owner=Owner(EXEC_ID_KERNEL, 0, 0, 0))


def test_a_seeded_listener_counts(inbound: BpfPrograms, agent: Agent) -> None:
    owner = Owner(1 << 63, 5, NOBODYS, 7)
    assert inbound.add_listener(UDP, PORT, parse_address("0.0.0.0"), Listener(99, owner))
    assert inbound.add_process(owner.pid, owner.started_ns, owner.exec_id)
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", PORT)
    found = inbound.find_flow(make_flow(UDP, "127.0.0.1", Direction.INBOUND))
    assert found == FlowEntry(cookie=99, owner=owner)


def test_a_process_that_runs_another_program_by_now_is_no_longer_the_owner(inbound: BpfPrograms, agent: Agent) -> None:
    assert inbound.add_listener(UDP, PORT, parse_address("0.0.0.0"), Listener(99, Owner(1 << 63, 5, agent.pid, 0)))
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", PORT)
    found = inbound.find_flow(make_flow(UDP, "127.0.0.1", Direction.INBOUND))
    assert found == FlowEntry(cookie=99, owner=Owner(0, 0, 0, 0))


def test_scoped_ports_of_others_are_left_alone(place: BpfPlace) -> None:
    programs = place.load(Scope.COMMAND)
    judge(place, programs, "INPUT")
    agent = place.start_agent()
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.call("connect", handle, "127.0.0.1", PORT) == "ECONNREFUSED"
    agent.call("close", handle)
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    listening, _cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1", PORT)
    agent.call("listen", listening)
    assert agent.is_swallowed(handle, "127.0.0.1", PORT)


def test_a_further_path_of_multipath_tcp_is_its_programs(place: BpfPlace, outbound: BpfPrograms, agent: Agent) -> None:
    """A worker of the kernel opens it with a socket of the kernel's own, but its owner is not `kernel`."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP).close()
    except OSError:
        pytest.skip("this kernel has no MPTCP")
    place.run("ip", "mptcp", "limits", "set", "subflow", "2", "add_addr_accepted", "2")
    place.run("ip", "mptcp", "endpoint", "add", "127.0.0.2", "dev", "lo", "subflow")
    server = place.start_agent()
    listening, _cookie = server.call("open_socket", "AF_INET", "SOCK_STREAM", socket.IPPROTO_MPTCP)
    server.call("bind", listening, "127.0.0.1", PORT)
    server.call("listen", listening)
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM", socket.IPPROTO_MPTCP)
    key = key_of(entry_of(outbound, agent, cookie), make_flow(TCP, "127.0.0.1"))
    outbound.remember_verdict(key, Verdict.ALLOW, outbound.generation, 0)
    before = place.count_sockets()
    assert agent.call("connect", handle, "127.0.0.1", PORT) == ""
    assert agent.call("send", handle, "x") == ""
    assert agent.call("wait_subflow", handle)
    assert outbound.read_statistics()["hits_allowed"] == 2
    assert place.count_sockets() == before + 2
    agent.call("close", handle)
    assert place.count_sockets() == before - 1
