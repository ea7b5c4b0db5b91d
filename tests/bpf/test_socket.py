"""socket.bpf.c: who owns a socket, who has a port, and refusal inside connect() and sendto()."""

import errno
import socket
import time
from contextlib import closing

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.netns_visit import visit_netns
from tests.bpf.pinned_tables import find_listener, is_shared, open_listeners, read_changes, read_noted_protocol
from tests.lab.leftovers import NETNS_FOLDER
from tinysnitch.core.model.flow import TCP, UDP, Direction, parse_address
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.model.verdict import Verdict, VerdictKey
from tinysnitch.kernel.attribution.bootstrap import bootstrap
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.layout import Listener, ListenerKey, Owner, ProcessEntry
from tinysnitch.kernel.bpf.libbpf import U64, Map
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netlink.sock_diag import SocketDiag
from tinysnitch.kernel.nfqueue.queue import Queue

pytestmark = pytest.mark.privileged

REFUSED = errno.errorcode[errno.ECONNREFUSED]


def find_process(programs: BpfPrograms, agent: Agent) -> ProcessEntry:
    found = programs.find_process(agent.pid)
    assert found
    return found


def owner_of(programs: BpfPrograms, agent: Agent) -> Owner:
    process = find_process(programs, agent)
    return Owner(process.exec_id, process.started_ns, agent.pid, 0)


def deny(programs: BpfPrograms, agent: Agent, remote: str, port: int, protocol: int, expires_ns: int = 0) -> VerdictKey:
    exec_id = find_process(programs, agent).exec_id
    key = VerdictKey(exec_id, 0, protocol, Direction.OUTBOUND, parse_address(remote), port)
    programs.remember_verdict(key, Verdict.DENY, programs.generation, expires_ns)
    return key


def test_a_denial_of_every_remote_refuses_at_once(programs: BpfPrograms, agent: Agent) -> None:
    exec_id = find_process(programs, agent).exec_id
    key = VerdictKey(exec_id, 0, TCP, Direction.OUTBOUND, None, None)
    programs.remember_verdict(key, Verdict.DENY, programs.generation, 0)
    for family, remote in (("AF_INET", "127.0.0.1"), ("AF_INET", "127.0.0.2"), ("AF_INET6", "::1")):
        handle, _cookie = agent.call("open_socket", family, "SOCK_STREAM")
        assert agent.call("connect", handle, remote, 4000) == REFUSED
    assert programs.read_statistics()["hits_denied_early"] == 3


@pytest.mark.parametrize(("family", "kind"), [("AF_INET", "SOCK_STREAM"), ("AF_INET6", "SOCK_DGRAM")])
def test_a_cookie_leads_to_the_process(programs: BpfPrograms, agent: Agent, family: str, kind: str) -> None:
    handle, cookie = agent.call("open_socket", family, kind)
    assert programs.find_owner(cookie) == owner_of(programs, agent)
    agent.call("close", handle)
    assert programs.find_owner(cookie) is None


@pytest.mark.parametrize(("family", "remote"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_a_released_socket_has_its_owner_while_a_datagram_of_it_is_held(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, queue: Queue, family: str, remote: str
) -> None:
    hold = ["-A", "OUTPUT", "-p", "udp", "--dport", "4000", "-j", "NFQUEUE", "--queue-num", str(queue.number)]
    place.run("iptables" if family == "AF_INET" else "ip6tables", *hold)
    held, held_cookie = agent.call("open_socket", family, "SOCK_DGRAM")
    sent, sent_cookie = agent.call("open_socket", family, "SOCK_DGRAM")
    agent.call("send_to", held, remote, 4000)
    agent.call("send_to", sent, remote, 4001)
    agent.call("wait_sent", sent)
    agent.call("close", held)
    agent.call("close", sent)
    assert programs.find_owner(held_cookie) == owner_of(programs, agent)
    assert programs.find_owner(sent_cookie) is None


def test_a_raw_socket_has_an_owner_too(programs: BpfPrograms, agent: Agent) -> None:
    _handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", 1)
    assert programs.find_owner(cookie) == owner_of(programs, agent)


def test_the_newest_user_wins(programs: BpfPrograms, agent: Agent) -> None:
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    child = agent.call("fork_and_send", handle, "127.0.0.1", 9)
    found = programs.find_owner(cookie)
    assert found
    assert (found.pid, found.exec_id) == (child, find_process(programs, agent).exec_id)


@pytest.mark.parametrize(
    ("kind", "protocol", "noted"),
    [
        ("SOCK_STREAM", 0, TCP),
        ("SOCK_DGRAM", 0, UDP),
        ("SOCK_RAW", UDP, 0),  # it sends whatever it likes
        ("SOCK_RAW", TCP, 0),
        ("SOCK_RAW", 1, 0),
        ("SOCK_STREAM", socket.IPPROTO_MPTCP, 0),  # 262, which is TCP's number in the last eight bits
    ],
)
def test_what_a_program_made_a_socket_for_stays_noted_whoever_uses_it(
    programs: BpfPrograms, agent: Agent, kind: str, protocol: int, noted: int
) -> None:
    handle, cookie = agent.call("open_socket", "AF_INET", kind, protocol)
    assert read_noted_protocol(programs, cookie) == noted
    agent.call("fork_and_send", handle, "127.0.0.1", 9)
    assert read_noted_protocol(programs, cookie) == noted


def test_a_process_from_before_the_start_is_noted_as_unknown_with_its_pid(place: BpfPlace) -> None:
    agent = place.start_agent()
    programs = place.load()
    _handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM")
    found = programs.find_owner(cookie)
    assert found
    assert (found.exec_id, found.pid) == (0, agent.pid)


def test_another_network_namespace_is_left_alone(place: BpfPlace) -> None:
    programs = BpfPrograms.load(place.pin_dir, place.cgroup, place.read_netns_cookie() + 10**6, Scope.MACHINE)
    try:
        _handle, cookie = place.start_agent().call("open_socket", "AF_INET", "SOCK_STREAM")
        assert programs.find_owner(cookie) is None
    finally:
        programs.remove()


@pytest.mark.parametrize(
    ("family", "kind", "protocol", "address"),
    [
        ("AF_INET", "SOCK_STREAM", TCP, "127.0.0.1"),
        ("AF_INET", "SOCK_DGRAM", UDP, "0.0.0.0"),
        ("AF_INET6", "SOCK_STREAM", TCP, "::"),
        ("AF_INET6", "SOCK_DGRAM", UDP, "::1"),
        ("AF_INET6", "SOCK_STREAM", TCP, "::ffff:127.0.0.1"),
    ],
)
def test_bind_notes_the_listener_and_close_forgets_it(
    programs: BpfPrograms, agent: Agent, family: str, kind: str, protocol: int, address: str
) -> None:
    handle, cookie = agent.call("open_socket", family, kind)
    port = agent.call("bind", handle, address, 0)
    found = find_listener(programs, protocol, port, parse_address(address))
    assert found
    assert (found.cookie, found.owner) == (cookie, owner_of(programs, agent))
    agent.call("close", handle)
    assert find_listener(programs, protocol, port, parse_address(address)) is None


def test_a_listener_is_forgotten_even_if_the_entry_of_its_socket_was_evicted(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    """An LRU map evicts an entry that was not used for long. The next use notes the owner, but not that it is bound."""
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    port = agent.call("bind", handle, "127.0.0.1", 0)
    (path,) = place.bpffs.glob("**/maps/sockets")
    with closing(Map(path, U64, layout.OwnedSocket)) as sockets:
        sockets.delete(cookie)
    agent.call("connect", handle, "127.0.0.1", 4000)
    assert programs.find_owner(cookie) == owner_of(programs, agent)
    agent.call("close", handle)
    assert find_listener(programs, UDP, port, parse_address("127.0.0.1")) is None


def test_a_listener_that_was_seeded_is_forgotten_at_close(programs: BpfPrograms, agent: Agent) -> None:
    """No hook tells of a port given by listen(); a daemon that starts finds it in the kernel's list of sockets."""
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM")
    agent.call("listen", handle)
    port, address, owner = agent.call("local_port", handle), parse_address("0.0.0.0"), owner_of(programs, agent)
    assert not programs.add_owner(cookie, owner, bytes(16), 0)
    assert programs.add_listener(TCP, port, address, Listener(cookie, owner))
    assert programs.find_owner(cookie) == owner
    agent.call("close", handle)
    assert find_listener(programs, TCP, port, address) is None


def test_a_listener_that_was_connected_is_forgotten_at_close(programs: BpfPrograms, agent: Agent) -> None:
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    port = agent.call("bind", handle, "0.0.0.0", 0)
    agent.call("connect", handle, "127.0.0.1", 9)  # its local address is 127.0.0.1 from now on
    agent.call("close", handle)
    assert find_listener(programs, UDP, port, parse_address("0.0.0.0")) is None


def test_a_listener_of_multipath_tcp_is_forgotten_too(programs: BpfPrograms, agent: Agent) -> None:
    """The port is that of a socket of the kernel's own, whose end no hook tells: anybody could fill the table so."""
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM", socket.IPPROTO_MPTCP)
    port = agent.call("bind", handle, "127.0.0.1", 0)
    found = find_listener(programs, TCP, port, parse_address("127.0.0.1"))
    assert found == Listener(cookie, owner_of(programs, agent))
    agent.call("close", handle)
    assert find_listener(programs, TCP, port, parse_address("127.0.0.1")) is None


def test_a_listener_of_multipath_tcp_that_was_seeded_is_forgotten_too(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    """In the kernel's list of sockets it is found by the subflow, even if the program's socket is known already."""
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM", socket.IPPROTO_MPTCP)
    port = agent.call("bind", handle, "127.0.0.1", 0)
    agent.call("listen", handle)
    with visit_netns(NETNS_FOLDER / place.name), SocketDiag() as sockets:
        bootstrap(programs, sockets)
    agent.call("close", handle)
    assert find_listener(programs, TCP, port, parse_address("127.0.0.1")) is None


def test_a_port_that_another_socket_has_too_stays(programs: BpfPrograms, agent: Agent) -> None:
    first, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    second, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    for handle in (first, second):
        agent.call("reuse_address", handle)
    port = agent.call("bind", first, "127.0.0.1", 0)
    agent.call("bind", second, "127.0.0.1", port)
    agent.call("close", first)
    found = find_listener(programs, UDP, port, parse_address("127.0.0.1"))
    assert found
    assert found.owner == programs.find_owner(cookie)
    agent.call("close", second)
    assert find_listener(programs, UDP, port, parse_address("127.0.0.1")) is None


def test_a_port_that_programs_share_stays_theirs_until_the_last_has_left(
    place: BpfPlace, programs: BpfPrograms
) -> None:
    """Else the next to bind it would be taken for the only one, and what is allowed for it go to the other."""
    agents = [place.start_agent() for _ in range(3)]
    handles = [agent.call("open_socket", "AF_INET", "SOCK_DGRAM")[0] for agent in agents]
    for agent, handle in zip(agents, handles, strict=True):
        agent.call("reuse_address", handle)
    port = agents[0].call("bind", handles[0], "127.0.0.1", 0)
    agents[1].call("bind", handles[1], "127.0.0.1", port)
    known = find_listener(programs, UDP, port, parse_address("127.0.0.1"))
    agents[0].call("close", handles[0])
    assert find_listener(programs, UDP, port, parse_address("127.0.0.1")) == known
    agents[2].call("bind", handles[2], "127.0.0.1", port)
    agents[1].call("close", handles[1])
    assert find_listener(programs, UDP, port, parse_address("127.0.0.1")) == known
    agents[2].call("close", handles[2])
    assert find_listener(programs, UDP, port, parse_address("127.0.0.1")) is None


def test_each_socket_that_comes_to_a_shared_port_or_leaves_it_is_a_change(
    place: BpfPlace, programs: BpfPrograms
) -> None:
    """Even one of the first program: a verdict for those who shared the port until then is not for others."""
    first, second = place.start_agent(), place.start_agent()
    changes = []
    for agent in (first, second, first, second):
        handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
        agent.call("reuse_address", handle)
        agent.call("bind", handle, "127.0.0.1", 4000)
        changes.append(read_changes(programs, UDP, 4000, parse_address("127.0.0.1")))
    second.call("close", handle)
    changes.append(read_changes(programs, UDP, 4000, parse_address("127.0.0.1")))
    assert changes[0] == 0
    assert len(set(changes)) == len(changes)


def test_a_shared_port_stays_shared_however_often_others_come_and_go(programs: BpfPrograms, agent: Agent) -> None:
    """The number of changes must not wrap to 0, for which a program would bind and close for an hour or two."""
    address = parse_address("127.0.0.1")
    with open_listeners(programs) as listeners:
        for changes in (2**32 - 1, 2**32 - 2):
            listeners.write(ListenerKey(address, 4000, UDP), Listener(1, Owner(1, 1, 1, 1), 1, is_shared=changes))
            handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
            agent.call("bind", handle, "127.0.0.1", 4000)
            assert is_shared(programs, UDP, 4000, address)
            agent.call("close", handle)
            assert is_shared(programs, UDP, 4000, address)


def test_a_socket_that_binds_a_port_that_is_being_forgotten_is_counted_as_lost(
    programs: BpfPrograms, agent: Agent
) -> None:
    """The entry is still there for a moment: a socket that joined it would be in no table afterwards."""
    nobody_left = 1 << 31  # bpf/identity/listener.bpf.h
    address, owner = parse_address("127.0.0.1"), owner_of(programs, agent)
    with open_listeners(programs) as listeners:
        listeners.write(ListenerKey(address, 4000, UDP), Listener(1, owner, members=nobody_left))
        handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
        agent.call("bind", handle, "127.0.0.1", 4000)
    with closing(Map(programs.maps_dir / "bindings", U64, ListenerKey)) as bindings:
        assert bindings.find(cookie) is None
    assert programs.read_statistics()["lost_listeners"] == 1


@pytest.mark.parametrize(
    ("family", "target", "bound"), [("AF_INET", "127.0.0.1", "0.0.0.0"), ("AF_INET6", "::1", "::")]
)
def test_sending_without_bind_notes_each_port(
    programs: BpfPrograms, agent: Agent, family: str, target: str, bound: str
) -> None:
    handle, cookie = agent.call("open_socket", family, "SOCK_DGRAM")
    ports = []
    for _ in range(2):
        agent.call("send_to", handle, target, 9)
        ports.append(agent.call("local_port", handle))
        assert find_listener(programs, UDP, ports[-1], parse_address(bound)).cookie == cookie  # type: ignore[union-attr]
        agent.call("connect", handle, target, 9)
        agent.call("disconnect", handle)  # so it loses the port: udp_disconnect()
    agent.call("close", handle)
    assert [find_listener(programs, UDP, port, parse_address(bound)) for port in ports] == [None, None]


def test_a_listener_that_was_connected_for_a_while_still_has_all_addresses(programs: BpfPrograms, agent: Agent) -> None:
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    port = agent.call("bind", handle, "0.0.0.0", 4000)  # a port that the kernel chose it would lose again
    agent.call("connect", handle, "127.0.0.1", 9)
    agent.call("send_to", handle, "127.0.0.1", 9)  # from 127.0.0.1, for now
    assert agent.call("disconnect", handle) == ""
    found = find_listener(programs, UDP, port, parse_address("0.0.0.0"))
    assert found
    assert found.cookie == cookie


@pytest.mark.parametrize(
    ("family", "kind", "protocol", "address", "remote"),
    [
        ("AF_INET", "SOCK_STREAM", TCP, "127.0.0.1", "127.0.0.1"),
        ("AF_INET6", "SOCK_STREAM", TCP, "::1", "::1"),
        ("AF_INET6", "SOCK_STREAM", TCP, "::ffff:127.0.0.1", "127.0.0.1"),
        ("AF_INET", "SOCK_DGRAM", UDP, "127.0.0.1", "127.0.0.1"),
        ("AF_INET6", "SOCK_DGRAM", UDP, "::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_connect_to_a_denied_remote_is_refused(
    place: BpfPlace,
    programs: BpfPrograms,
    agent: Agent,
    family: str,
    kind: str,
    protocol: int,
    address: str,
    remote: str,
) -> None:
    listening = place.start_agent()
    server, _cookie = listening.call("open_socket", family, kind)
    port = listening.call("bind", server, address, 0)
    if protocol == TCP:
        listening.call("listen", server)
    key = deny(programs, agent, remote, port, protocol)
    handle, _cookie = agent.call("open_socket", family, kind)
    assert agent.call("connect", handle, address, port) == REFUSED
    assert programs.read_statistics()["hits_denied_early"] == 1
    programs.forget_verdicts([key])
    assert agent.call("connect", handle, address, port) == ""


@pytest.mark.parametrize(
    ("family", "address", "remote"),
    [("AF_INET", "127.0.0.1", "127.0.0.1"), ("AF_INET6", "::1", "::1"), ("AF_INET6", "::ffff:127.0.0.1", "127.0.0.1")],
)
def test_sendto_a_denied_remote_is_refused(
    programs: BpfPrograms, agent: Agent, family: str, address: str, remote: str
) -> None:
    deny(programs, agent, remote, 9, UDP)
    handle, _cookie = agent.call("open_socket", family, "SOCK_DGRAM")
    assert agent.call("send_to", handle, address, 9) == REFUSED
    assert agent.call("send_to", handle, address, 10) == ""


def test_dissolving_a_connection_always_works(programs: BpfPrograms, agent: Agent) -> None:
    deny(programs, agent, "0.0.0.0", 0, UDP)
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    assert agent.call("disconnect", handle) == ""


@pytest.mark.parametrize("staleness", ["generation", "expiry", "another process"])
def test_a_stale_denial_refuses_nothing(place: BpfPlace, programs: BpfPrograms, agent: Agent, staleness: str) -> None:
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    deny(programs, agent, "127.0.0.1", 9, UDP, expires_ns=boot_ns if staleness == "expiry" else 0)
    if staleness == "generation":
        programs.set_generation(programs.generation + 1)
    if staleness == "another process":
        agent = place.start_agent()
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    assert agent.call("send_to", handle, "127.0.0.1", 9) == ""


def test_each_use_is_traced(programs: BpfPrograms, agent: Agent) -> None:
    programs.settings.set_tracing(True)
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    agent.call("bind", handle, "127.0.0.1", 0)
    agent.call("send_to", handle, "127.0.0.1", 9)
    agent.call("connect", handle, "127.0.0.1", 10)
    ours = [trace for trace in programs.read_traces() if trace.kind != layout.TRACE_EXEC]
    assert [trace.kind for trace in ours] == [layout.TRACE_BIND, layout.TRACE_SEND, layout.TRACE_CONNECT]
    assert {trace.cookie for trace in ours} == {cookie}
    assert {trace.owner for trace in ours} == {owner_of(programs, agent)}
    assert [(trace.port, trace.protocol) for trace in ours[1:]] == [(9, UDP), (10, UDP)]
    assert {trace.address for trace in ours} == {parse_address("127.0.0.1")}
