"""conntrack.bpf.h: an answer to what was allowed passes, and nothing else. Asked by real iptables rules."""

import socket
import struct
import time
from contextlib import closing

import msgspec
import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import lose_listener
from tests.bpf.test_verdict import FAMILIES, LOCAL_PORT, PORT, entry_of, key_of, make_flow, open_bound
from tinysnitch.core.model.flow import ICMP, ICMPV6, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.kernel.bpf.layout import INBOUND, OUTBOUND, Conversation, FlowKey
from tinysnitch.kernel.bpf.libbpf import Map
from tinysnitch.kernel.bpf.programs import BpfPrograms, conversation_key_of

pytestmark = pytest.mark.privileged

S = 1_000_000_000
UDPLITE = 136


def judge(place: BpfPlace, programs: BpfPrograms, chain: str, *match: str) -> None:
    """Drops packets that match and are not allowed; in the other chain all are judged and none is dropped."""
    for iptables in ("iptables", "ip6tables"):
        for each, way in (("OUTPUT", "out"), ("INPUT", "in")):
            narrowed = match if each == chain else ()
            allowed = str(programs.program_path(f"{way}_allowed"))
            place.run(iptables, "-A", each, *narrowed, "-m", "bpf", "--object-pinned", allowed, "-j", "ACCEPT")
        place.run(iptables, "-A", chain, *match, "-j", "DROP")


def allow(programs: BpfPrograms, agent: Agent, cookie: int, flow: Flow) -> None:
    key = key_of(entry_of(programs, agent, cookie), flow)
    programs.remember_verdict(key, Verdict.ALLOW, programs.generation, 0)


@pytest.mark.parametrize(("family", "address"), FAMILIES)
@pytest.mark.parametrize("is_allowed", [True, False])
def test_an_answer_comes_in_if_the_question_was_allowed(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, server: Agent, family: str, address: str, is_allowed: bool
) -> None:
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(LOCAL_PORT))
    listening, _cookie = open_bound(server, family, "SOCK_DGRAM", address, PORT)
    handle, cookie = open_bound(agent, family, "SOCK_DGRAM", address)
    if is_allowed:
        allow(programs, agent, cookie, make_flow(UDP, address))
    agent.call("send_to", handle, address, PORT)
    server.call("send_to", listening, address, LOCAL_PORT)
    assert agent.hears(handle, expected=is_allowed) == is_allowed


def test_a_packet_from_another_port_is_no_answer(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, server: Agent
) -> None:
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(LOCAL_PORT))
    other, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT + 1)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    allow(programs, agent, cookie, make_flow(UDP, "127.0.0.1"))
    agent.call("send_to", handle, "127.0.0.1", PORT)
    server.call("send_to", other, "127.0.0.1", LOCAL_PORT)
    assert not agent.hears(handle, expected=False)


def test_an_answer_is_not_for_another_program_that_has_the_port_by_now(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, server: Agent
) -> None:
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(LOCAL_PORT))
    listening, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    allow(programs, agent, cookie, make_flow(UDP, "127.0.0.1"))
    agent.call("send_to", handle, "127.0.0.1", PORT)
    agent.call("close", handle)
    heir = place.start_agent()
    taken, _cookie = open_bound(heir, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    server.call("send_to", listening, "127.0.0.1", LOCAL_PORT)
    assert not heir.hears(taken, expected=False)


@pytest.mark.parametrize("uid", [0, 1])
def test_an_answer_is_for_any_socket_of_the_same_program_and_user(
    place: BpfPlace, programs: BpfPrograms, conversations: Map, agent: Agent, server: Agent, uid: int
) -> None:
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(LOCAL_PORT))
    listening, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    exec_id = entry_of(programs, agent, cookie).owner.exec_id
    known = Conversation(
        cookie=cookie + 1,
        exec_id=exec_id,
        seen_ns=time.monotonic_ns(),
        uid=uid,
        begun_by=OUTBOUND,
        is_answered=1,
    )
    assert conversations.write(conversation_key_of(make_flow(UDP, "127.0.0.1")), known)
    server.call("send_to", listening, "127.0.0.1", LOCAL_PORT)
    assert agent.hears(handle, expected=uid == 0) == (uid == 0)


def test_two_unknown_programs_are_not_taken_for_the_same(place: BpfPlace) -> None:
    """Both processes were there before the programs were loaded."""
    unknown, server = place.start_agent(), place.start_agent()
    programs = place.load()
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(LOCAL_PORT))
    listening, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
    handle, cookie = open_bound(unknown, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    known = Conversation(cookie=cookie + 1, seen_ns=time.monotonic_ns(), is_answered=1)
    path = programs.maps_dir / "conversations"
    with closing(Map(path, FlowKey, Conversation)) as conversations:
        assert conversations.write(conversation_key_of(make_flow(UDP, "127.0.0.1")), known)
    server.call("send_to", listening, "127.0.0.1", LOCAL_PORT)
    assert not unknown.hears(handle, expected=False)


def test_a_server_may_answer_from_another_socket_and_another_program_may_not(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, server: Agent
) -> None:
    judge(place, programs, "OUTPUT", "-p", "udp", "--sport", str(PORT))
    client, _cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    for who, is_allowed in ((server, True), (server, True), (place.start_agent(), False)):
        listening, cookie = open_bound(who, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
        if who is server:
            allow(programs, server, cookie, make_flow(UDP, "127.0.0.1", Direction.INBOUND))
            agent.call("send_to", client, "127.0.0.1", PORT)
            assert server.hears(listening, expected=True)
            server.call("close", listening)
            listening, _cookie = open_bound(who, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
        who.call("send_to", listening, "127.0.0.1", LOCAL_PORT)
        assert agent.hears(client, expected=is_allowed) == is_allowed
        who.call("close", listening)


def test_a_packet_that_came_to_no_program_is_not_answered_unasked_by_one_that_binds_the_port_later(
    place: BpfPlace, programs: BpfPrograms, conversations: Map, server: Agent
) -> None:
    judge(place, programs, "OUTPUT", "-p", "udp", "--sport", str(LOCAL_PORT))
    came = Conversation(seen_ns=time.monotonic_ns(), begun_by=INBOUND)
    flow = make_flow(UDP, "127.0.0.1")
    assert conversations.write(conversation_key_of(flow), came)
    handle, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    server.call("send_to", handle, "127.0.0.1", PORT)
    assert programs.find_flow(flow) is not None  # it was judged


@pytest.mark.parametrize(("family", "address"), [*FAMILIES, ("AF_INET6", "::ffff:127.0.0.1")])
@pytest.mark.parametrize("is_connected", [True, False])
def test_a_conversation_ends_with_its_socket_if_that_was_connected(
    place: BpfPlace,
    programs: BpfPrograms,
    conversations: Map,
    agent: Agent,
    *,
    family: str,
    address: str,
    is_connected: bool,
) -> None:
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(LOCAL_PORT))
    handle, cookie = open_bound(agent, family, "SOCK_DGRAM", address)
    flow = make_flow(UDP, address.removeprefix("::ffff:"))
    allow(programs, agent, cookie, flow)
    if is_connected:
        agent.call("connect", handle, address, PORT)
        agent.call("send", handle, "x")
    else:
        agent.call("send_to", handle, address, PORT)
    assert conversations.find(conversation_key_of(flow))
    agent.call("close", handle)
    assert (conversations.find(conversation_key_of(flow)) is None) == is_connected


def begin_many(programs: BpfPrograms, agent: Agent, handle: int, cookie: int, crowded: Map) -> Flow:
    """Begins 1000 conversations; returns the first that was put into the other table."""
    flows = [msgspec.structs.replace(make_flow(UDP, "127.0.0.1"), remote_port=port) for port in range(2000, 3000)]
    for flow in flows:
        allow(programs, agent, cookie, flow)
    agent.call("send_to_each", handle, "127.0.0.1", 2000, len(flows))
    return next(flow for flow in flows if crowded.find(conversation_key_of(flow)))


def test_conversations_of_a_user_who_begins_many_are_in_a_table_of_their_own(
    place: BpfPlace, programs: BpfPrograms, conversations: Map, crowded: Map, agent: Agent, server: Agent
) -> None:
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(LOCAL_PORT))
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    aside = begin_many(programs, agent, handle, cookie, crowded)
    assert conversations.find(conversation_key_of(aside)) is None
    listening, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", aside.remote_port)
    server.call("send_to", listening, "127.0.0.1", LOCAL_PORT)
    assert agent.hears(handle, expected=True)


def test_too_many_conversations_in_one_direction_take_no_room_of_the_other(
    place: BpfPlace, programs: BpfPrograms, conversations: Map, crowded: Map, agent: Agent, server: Agent
) -> None:
    """A program cannot choose what comes in."""
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(PORT))
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    begin_many(programs, agent, handle, cookie, crowded)
    flow = make_flow(UDP, "127.0.0.1", Direction.INBOUND)
    heard, cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
    allow(programs, server, cookie, flow)
    allow(programs, agent, 0, make_flow(UDP, "127.0.0.1"))
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert server.hears(heard, expected=True)
    back = FlowKey(flow.local, flow.remote, PORT, LOCAL_PORT, UDP)
    assert conversations.find(back)


@pytest.mark.parametrize(("others_cookie", "begun_by"), [(1, OUTBOUND), (0, INBOUND)])
def test_a_conversation_that_is_not_the_sockets_own_stays(
    conversations: Map, agent: Agent, others_cookie: int, begun_by: int
) -> None:
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("connect", handle, "127.0.0.1", PORT)
    key = conversation_key_of(make_flow(UDP, "127.0.0.1"))
    assert conversations.write(key, Conversation(cookie=cookie + others_cookie, exec_id=1, begun_by=begun_by))
    agent.call("close", handle)
    assert conversations.find(key)


# An age below 0: another CPU saw a packet after this one had read the clock. Some seconds are left for a busy machine.
@pytest.mark.parametrize(
    ("age_s", "is_answered", "passes"),
    [(-60, 1, True), (24, 0, True), (31, 0, False), (114, 1, True), (121, 1, False)],
)
def test_a_conversation_ends_when_nothing_was_said_for_long(
    place: BpfPlace,
    programs: BpfPrograms,
    conversations: Map,
    agent: Agent,
    server: Agent,
    *,
    age_s: int,
    is_answered: int,
    passes: bool,
) -> None:
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(LOCAL_PORT))
    listening, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    # Modulo 2**64, as the kernel computes: the machine may have booted less than that ago.
    seen_ns = (time.monotonic_ns() - age_s * S) % 2**64
    key = conversation_key_of(make_flow(UDP, "127.0.0.1"))
    assert conversations.write(
        key,
        Conversation(cookie=cookie, exec_id=1, seen_ns=seen_ns, is_answered=is_answered),
    )
    server.call("send_to", listening, "127.0.0.1", LOCAL_PORT)
    assert agent.hears(handle, expected=passes) == passes
    found = conversations.find(key)
    assert found
    assert (found.seen_ns != seen_ns, bool(found.is_answered)) == (passes and age_s > 0, passes or bool(is_answered))


@pytest.mark.parametrize(
    ("is_answered", "age_s", "other_rules", "other_pid", "passes"),
    [(1, 60, 1, 1, True), (0, 0, 0, 0, True), (0, 2, 0, 0, False), (0, 0, 1, 0, False), (0, 0, 0, 1, False)],
)
def test_more_packets_pass_unjudged_after_an_answer_and_for_a_second(
    place: BpfPlace,
    programs: BpfPrograms,
    conversations: Map,
    agent: Agent,
    *,
    is_answered: int,
    age_s: int,
    other_rules: int,
    other_pid: int,
    passes: bool,
) -> None:
    judge(place, programs, "OUTPUT", "-p", "udp", "--sport", str(LOCAL_PORT))
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    now_ns = time.monotonic_ns()
    key = conversation_key_of(make_flow(UDP, "127.0.0.1"))
    assert conversations.write(
        key,
        Conversation(
            cookie=cookie,
            exec_id=1,
            seen_ns=now_ns,
            judged_ns=now_ns - age_s * S,
            generation=programs.generation + other_rules,
            pid=agent.pid + other_pid,
            begun_by=OUTBOUND,
            is_answered=is_answered,
        ),
    )
    agent.call("send_to", handle, "127.0.0.1", PORT)
    assert (programs.find_flow(make_flow(UDP, "127.0.0.1")) is None) == passes


@pytest.mark.parametrize(
    ("protocol", "address", "kind", "identifier", "is_question"),
    [
        (ICMP, "127.0.0.1", 8, 7, True),
        (ICMP, "127.0.0.1", 0, 7, False),
        (ICMP, "127.0.0.1", 13, 0, True),  # a timestamp: rules know no port of it
        (ICMP, "127.0.0.1", 14, 0, False),
        (ICMPV6, "::1", 128, 7, True),
        (ICMPV6, "::1", 129, 7, False),
    ],
)
def test_an_echo_is_answered_by_a_reply_and_not_by_a_question(
    place: BpfPlace,
    programs: BpfPrograms,
    conversations: Map,
    agent: Agent,
    *,
    protocol: int,
    address: str,
    kind: int,
    identifier: int,
    is_question: bool,
) -> None:
    judge(place, programs, "INPUT", "-p", str(protocol))
    local = parse_address(address)
    asked = Flow(protocol, Direction.OUTBOUND, local, identifier, local, 0)
    now_ns = time.monotonic_ns()
    assert conversations.write(conversation_key_of(asked), Conversation(exec_id=1, seen_ns=now_ns))
    raw, _cookie = agent.call("open_socket", "AF_INET6" if protocol == ICMPV6 else "AF_INET", "SOCK_RAW", protocol)
    agent.call("send_raw", raw, address, list(struct.pack("!BBHHH", kind, 0, 0, 7, 1)))
    came = [Flow(protocol, Direction.INBOUND, local, number, local, 0) for number in (0, 7)]
    assert any(programs.find_flow(flow) for flow in came) == is_question


@pytest.mark.parametrize("shares", [True, False])
def test_while_ports_are_lost_answers_come_only_to_a_socket_alone_on_its_port(
    place: BpfPlace, programs: BpfPrograms, conversations: Map, agent: Agent, server: Agent, *, shares: bool
) -> None:
    judge(place, programs, "INPUT", "-p", "udp", "--dport", str(LOCAL_PORT))
    listening, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    if shares:
        agent.call("reuse_address", handle)
    agent.call("bind", handle, "127.0.0.1", LOCAL_PORT)
    lose_listener(programs, UDP, LOCAL_PORT, parse_address("127.0.0.1"))
    known = Conversation(cookie=cookie, exec_id=1, seen_ns=time.monotonic_ns(), is_answered=1)
    assert conversations.write(conversation_key_of(make_flow(UDP, "127.0.0.1")), known)
    server.call("send_to", listening, "127.0.0.1", LOCAL_PORT)
    assert agent.hears(handle, expected=not shares) != shares


def test_ports_tell_conversations_apart_also_where_rules_know_none(
    place: BpfPlace, programs: BpfPrograms, conversations: Map, agent: Agent
) -> None:
    """UDP-Lite, like SCTP and DCCP, has its ports at the same place as UDP (RFC 3828)."""
    judge(place, programs, "OUTPUT", "-p", str(UDPLITE))
    raw, cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", UDPLITE)
    local = parse_address("127.0.0.1")
    allow(programs, agent, cookie, Flow(UDPLITE, Direction.OUTBOUND, local, 0, local, 0))
    agent.call("send_raw", raw, "127.0.0.1", list(struct.pack("!HHHH", 11, 22, 8, 0)))
    assert conversations.find(FlowKey(local, local, 11, 22, UDPLITE))
    assert not conversations.find(FlowKey(local, local, 0, 0, UDPLITE))


def test_what_came_in_by_a_protocol_without_hooks_is_answered_by_any_program(
    place: BpfPlace, programs: BpfPrograms, conversations: Map, agent: Agent, server: Agent
) -> None:
    """No program was known of what came in; of UDP, only one that is not known either may answer that."""
    judge(place, programs, "OUTPUT")
    local = parse_address("127.0.0.1")
    for protocol, goes_on in ((UDPLITE, True), (UDP, False)):
        raw, _cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", protocol)
        taking, _cookie = server.call("open_socket", "AF_INET", "SOCK_RAW", protocol)
        known = Conversation(cookie=1, seen_ns=time.monotonic_ns(), begun_by=INBOUND, is_local=1)
        assert conversations.write(FlowKey(local, local, 11, 22, protocol), known)
        agent.call("send_raw", raw, "127.0.0.1", list(struct.pack("!HHHH", 11, 22, 8, 0)))
        assert server.hears(taking, expected=goes_on) == goes_on


def test_tcp_has_no_conversations(
    place: BpfPlace, programs: BpfPrograms, conversations: Map, agent: Agent, server: Agent
) -> None:
    judge(place, programs, "OUTPUT", "-p", "tcp", "--dport", str(PORT))
    listening, _cookie = open_bound(server, "AF_INET", "SOCK_STREAM", "127.0.0.1", PORT)
    server.call("listen", listening)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    flow = make_flow(socket.IPPROTO_TCP, "127.0.0.1")
    allow(programs, agent, cookie, flow)
    assert agent.call("connect", handle, "127.0.0.1", PORT) == ""
    assert conversations.find(conversation_key_of(flow)) is None
