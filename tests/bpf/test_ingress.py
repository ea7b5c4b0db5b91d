"""ingress.bpf.h: inbound packets of conversations, and those that teach names. Asked by real iptables rules."""

import re
import struct
import time
from contextlib import closing

import msgspec
import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.test_conntrack import allow, judge
from tests.bpf.test_verdict import FAMILIES, LOCAL_PORT, PORT, make_flow, open_bound
from tinysnitch.core.model.flow import TCP, UDP, Flow
from tinysnitch.kernel.bpf.layout import Conversation, FlowEntry, FlowKey, OwnedSocket
from tinysnitch.kernel.bpf.libbpf import U64, K, Layout, Map, V
from tinysnitch.kernel.bpf.programs import BpfPrograms, conversation_key_of, key_of
from tinysnitch.kernel.netfilter.rules import ALLOW_BIT

pytestmark = pytest.mark.privileged

DNS, MDNS, LLMNR = 53, 5353, 5355


def choose(place: BpfPlace, programs: BpfPrograms, name: str, match: str, verdict: str) -> None:
    """`verdict` for packets that match, and that the program says yes to."""
    for iptables in ("iptables", "ip6tables"):
        asked = ["-m", "bpf", "--object-pinned", str(programs.program_path(name))]
        place.run(iptables, "-A", "INPUT", *match.split(), *asked, "-j", verdict)


@pytest.mark.parametrize(("family", "address"), FAMILIES)
@pytest.mark.parametrize(
    ("is_local", "port", "goes_on"),
    [(1, PORT, True), (0, PORT, False), *((1, port, False) for port in (DNS, MDNS, LLMNR))],
)
def test_a_packet_of_a_conversation_goes_on_if_it_comes_its_way_and_tells_no_names(
    place: BpfPlace,
    programs: BpfPrograms,
    conversations: Map,
    agent: Agent,
    server: Agent,
    *,
    family: str,
    address: str,
    is_local: int,
    port: int,
    goes_on: bool,
) -> None:
    choose(place, programs, "in_going", "-p udp", "ACCEPT")
    for iptables in ("iptables", "ip6tables"):
        place.run(iptables, "-A", "INPUT", "-p", "udp", "-j", "DROP")
    speaking, _cookie = open_bound(server, family, "SOCK_DGRAM", address, port)
    handle, cookie = open_bound(agent, family, "SOCK_DGRAM", address)
    flow = msgspec.structs.replace(make_flow(UDP, address), remote_port=port)
    known = Conversation(cookie=cookie, exec_id=1, seen_ns=time.monotonic_ns(), is_own=1, is_local=is_local)
    assert conversations.write(conversation_key_of(flow), known)
    server.call("send_to", speaking, address, LOCAL_PORT)
    goes_on |= family == "AF_INET" and port == PORT  # of IPv4 the kernel itself drops forged sources
    assert agent.hears(handle, expected=goes_on) == goes_on


def test_a_packet_that_was_held_does_not_go_on_past_the_rule_that_takes_its_mark(
    place: BpfPlace, programs: BpfPrograms, conversations: Map, agent: Agent, server: Agent
) -> None:
    mark = ("iptables", "-t", "mangle", "-A", "INPUT", "-p", "udp", "-j", "MARK", "--set-mark", f"{ALLOW_BIT:#x}")
    choose(place, programs, "in_going", "-p udp", "DROP")
    speaking, _cookie = open_bound(server, "AF_INET", "SOCK_DGRAM", "127.0.0.1", PORT)
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    known = Conversation(cookie=cookie, exec_id=1, seen_ns=time.monotonic_ns(), is_own=1, is_local=1)
    assert conversations.write(conversation_key_of(make_flow(UDP, "127.0.0.1")), known)
    for is_marked in (False, True):
        if is_marked:
            place.run(*mark)
        server.call("send_to", speaking, "127.0.0.1", LOCAL_PORT)
        assert agent.hears(handle, expected=is_marked) == is_marked


def connect_to_resolver(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, server: Agent, family: str, address: str
) -> tuple[int, int, int]:
    """A connection that was let go: the client's socket with its cookie, and the server's. Answers are dropped."""
    choose(place, programs, "in_answer", f"-p tcp --dport {LOCAL_PORT} --tcp-flags PSH PSH", "DROP")
    judge(place, programs, "OUTPUT", "-p", "tcp", "--dport", str(DNS))
    listening, _cookie = open_bound(server, family, "SOCK_STREAM", address, DNS)
    server.call("listen", listening)
    handle, cookie = open_bound(agent, family, "SOCK_STREAM", address)
    allow(programs, agent, cookie, resolver_flow(address))
    assert agent.call("connect", handle, address, DNS) == ""
    return handle, cookie, server.call("accept", listening)


def resolver_flow(address: str) -> Flow:
    return msgspec.structs.replace(make_flow(TCP, address), remote_port=DNS)


# Over loopback, where early demux does not find the socket. From other machines: tests/evasion/test_dns_over_tcp.py.
@pytest.mark.parametrize(("family", "address"), FAMILIES)
@pytest.mark.parametrize("forgotten", ["", "flows", "sockets"])
def test_data_from_the_remote_of_a_connection_that_was_let_go_is_an_answer(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, server: Agent, *, family: str, address: str, forgotten: str
) -> None:
    handle, cookie, served = connect_to_resolver(place, programs, agent, server, family, address)
    if forgotten == "flows":
        forget(place, "flows", FlowKey, FlowEntry, key_of(resolver_flow(address)))
    if forgotten == "sockets":
        forget(place, "sockets", U64, OwnedSocket, cookie)
    server.call("send", served, "answer")
    assert not agent.hears(handle, expected=False)


def forget(place: BpfPlace, name: str, keys: Layout[K], values: Layout[V], key: K) -> None:
    (path,) = place.bpffs.glob(f"**/maps/{name}")
    with closing(Map(path, keys, values)) as opened:
        assert opened.delete(key)


def test_data_for_a_connection_that_is_held_is_no_answer(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, server: Agent
) -> None:
    """Though its flow is noted."""
    choose(place, programs, "in_answer", f"-p tcp --dport {LOCAL_PORT}", "ACCEPT")
    judge(place, programs, "OUTPUT", "-p", "tcp", "--dport", str(DNS))
    raw, _cookie = server.call("open_socket", "AF_INET", "SOCK_RAW", TCP)
    handle, _cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.is_swallowed(handle, "127.0.0.1", DNS)
    assert programs.find_flow(resolver_flow("127.0.0.1"))
    segment = list(struct.pack("!HHIIBBHHH", DNS, LOCAL_PORT, 1, 1, 5 << 4, 0x18, 1024, 0, 0))
    server.call("send_raw", raw, "127.0.0.1", segment)
    assert re.findall(r"^\[(\d+):\d+\] -A INPUT .* bpf", place.run("iptables-save", "-c"), re.MULTILINE)[0] == "0"
