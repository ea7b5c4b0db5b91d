"""Which real packets the rules hold, and which they do not.

Held packets and verdicts: tests/kernel/nfqueue/test_verdicts.py.
"""

import re
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bpf.packet_place import HERE, LABEL, QUEUES, THERE, PacketPlace, Wire, entered, is_ready, wait_packets
from tests.lab import cgroup
from tests.lab.leftovers import own_name
from tests.lab.patience import WAIT_S
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.netfilter.rules import Family, RuleSet, RuleWriter
from tinysnitch.kernel.nfqueue.packet_events import LOCAL_IN, LOCAL_OUT, POST_ROUTING

V4, V6 = socket.AF_INET, socket.AF_INET6
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
TCP_REPAIR = 19  # linux/tcp.h: a socket that is closed in repair mode says nothing to the other end
SO_MARK = 36  # asm-generic/socket.h
IGMP = 2
READ = re.compile(f"-j NFQUEUE|-g {LABEL}-READIN$")


def send_raw(wire: Wire, source: str, family: int, protocol: int, packet: bytes) -> None:
    with entered(source), socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        raw.sendto(packet, (wire.address(wire.there if source == wire.here else wire.here, family), 0))


def send_udp(wire: Wire, source: str, family: int, ports: tuple[int, int]) -> None:
    destination = wire.address(wire.there if source == wire.here else wire.here, family)
    client = wire.open_socket(source, family, socket.SOCK_DGRAM, (wire.address(source, family), ports[0]))
    client.sendto(b"x", (destination, ports[1]))


def pack_segment(flags: int) -> bytes:
    """A bare TCP header; netfilter does not look at its checksum here."""
    return struct.pack("!HHIIBBHHH", 4000, 5000, 1, 0, 5 << 4, flags, 1024, 0, 0)


def connect(wire: Wire, server: socket.socket, port: int = 0) -> socket.socket:
    client = wire.open_socket(wire.here, V4, socket.SOCK_STREAM, (HERE[V4], port))
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    return client


# No state of conntrack opens a way round


@pytest.mark.privileged
def test_a_new_socket_on_the_ports_of_a_vanished_one_is_held(wire: Wire) -> None:
    """To conntrack its SYN belongs to the ESTABLISHED connection before it."""
    server = wire.listener(wire.there, V4)
    client = connect(wire, server)
    wire.verdicts.issue(wire.wait_packet().packet_id, Verdict.ALLOW)
    wire.verdicts.flush()
    served, address = server.accept()
    client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    client.close()
    connect(wire, server, address[1])
    assert wire.has_packet()  # at once: the answer to a SYN that got through would make its successor NEW
    assert wire.wait_packet().payload[33] == SYN
    served.close()


@pytest.mark.privileged
@pytest.mark.parametrize("source", ["here", "there"])
@pytest.mark.parametrize("flags", [SYN, SYN | FIN, SYN | PSH, SYN | FIN | PSH])
def test_whatever_may_open_a_connection_is_held(wire: Wire, source: str, flags: int) -> None:
    send_raw(wire, getattr(wire, source), V4, socket.IPPROTO_TCP, pack_segment(flags))
    assert wire.wait_packet().payload[33] == flags


@pytest.mark.privileged
@pytest.mark.parametrize("source", ["here", "there"])
@pytest.mark.parametrize("flags", [ACK, SYN | ACK, FIN | ACK, RST, RST | ACK])
def test_the_middle_of_an_unknown_connection_is_not_held(wire: Wire, source: str, flags: int) -> None:
    send_raw(wire, getattr(wire, source), V4, socket.IPPROTO_TCP, pack_segment(flags))
    send_udp(wire, getattr(wire, source), V4, (4001, 5001))
    assert wire.wait_packet().payload[9] == socket.IPPROTO_UDP


@pytest.mark.privileged
@pytest.mark.parametrize("service", [53, 5000])
def test_what_a_remote_forges_as_the_answer_to_a_held_syn_is_dropped(wire: Wire, service: int) -> None:
    """Also if it comes from port 53, from where answers of resolvers are read first."""
    server = wire.open_socket(wire.there, V4, socket.SOCK_STREAM, (THERE[V4], service))
    server.listen()
    client = connect(wire, server)
    syn = wire.wait_packet()
    port, remote_port, number = struct.unpack_from("!HHI", syn.payload, 20)
    answer = struct.pack("!HHIIBBHHH", remote_port, port, 1, number + 1 & 0xFFFFFFFF, 5 << 4, SYN | ACK, 1024, 0, 0)
    ends = socket.inet_aton(THERE[V4]) + socket.inet_aton(HERE[V4])
    total = checksum(ends + struct.pack("!II", len(answer), socket.IPPROTO_TCP) + answer)
    send_raw(wire, wire.there, V4, socket.IPPROTO_TCP, answer[:16] + struct.pack("!H", total) + answer[18:])
    send_udp(wire, wire.there, V4, (4001, 5001))
    wire.wait_packet()  # what came after it
    assert not is_writable(client, 0)
    assert not is_ready(wire.names, 0)
    wire.verdicts.issue(syn.packet_id, Verdict.ALLOW)
    wire.verdicts.flush()
    if service == 53:
        assert [pass_name(wire) for _syn_and_its_answer in range(2)] == [POST_ROUTING, LOCAL_IN]
    assert is_writable(client, WAIT_S)
    assert not client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def checksum(data: bytes) -> int:
    """RFC 1071"""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return ~((total >> 16) + (total & 0xFFFF)) & 0xFFFF


def is_writable(client: socket.socket, timeout_s: float) -> bool:
    return bool(select.select([], [client], [], timeout_s)[1])


@pytest.mark.privileged
def test_what_the_user_keeps_from_conntrack_is_held(wire: Wire) -> None:
    wire.run("iptables", "-t", "raw", "-A", "OUTPUT", "-p", "udp", "-j", "CT", "--notrack")
    for _ in range(2):
        send_udp(wire, wire.here, V4, (4000, 5000))
        assert wire.wait_packet().payload[9] == socket.IPPROTO_UDP


@pytest.mark.privileged
def test_an_answer_that_nobody_asked_for_is_held(wire: Wire) -> None:
    """ICMP echo reply and a datagram from port 53: INVALID and NEW."""
    send_raw(wire, wire.there, V4, socket.IPPROTO_ICMP, struct.pack("!BBHHH", 0, 0, 0xFFFF, 0, 0))
    assert wire.wait_packet().payload[9] == socket.IPPROTO_ICMP
    send_udp(wire, wire.there, V4, (53, 5000))
    assert wire.wait_packet().payload[9] == socket.IPPROTO_UDP


# What keeps the link alive is never held

LINK_PACKETS = [
    (V4, IGMP, b"\x11"),
    *((V4, socket.IPPROTO_ICMP, bytes([kind])) for kind in (3, 4, 5, 11, 12)),
    *((V6, socket.IPPROTO_ICMPV6, bytes([kind])) for kind in (1, 2, 3, 4, 130, 131, 132, 133, 134, 135, 136, 137, 143)),
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Wire]:
    with Wire() as made:
        yield made


@pytest.mark.privileged
@pytest.mark.parametrize("source", ["here", "there"])
@pytest.mark.parametrize(("family", "protocol", "kind"), LINK_PACKETS)
def test_link_packets_are_not_held(shared: Wire, source: str, family: int, protocol: int, kind: bytes) -> None:
    netns = getattr(shared, source)
    send_raw(shared, netns, family, protocol, kind + bytes(27))
    assert_nothing_was_held_before(shared, netns)


@pytest.mark.privileged
@pytest.mark.parametrize("source", ["here", "there"])
@pytest.mark.parametrize(("family", "client", "server"), [(V4, 68, 67), (V6, 546, 547)])
def test_neither_a_dhcp_client_nor_what_it_is_sent_is_held(
    wire: Wire, source: str, family: int, client: int, server: int
) -> None:
    """A lease that is offered to a group is no answer to conntrack. Here nothing was asked before it."""
    netns, ports = (wire.here, (client, server)) if source == "here" else (wire.there, (server, client))
    send_udp(wire, netns, family, ports)
    assert_nothing_was_held_before(wire, netns)


@pytest.mark.privileged
@pytest.mark.parametrize(("family", "client", "server"), [(V4, 68, 67), (V6, 546, 547)])
def test_a_dhcp_server_is_asked_about(wire: Wire, family: int, client: int, server: int) -> None:
    send_udp(wire, wire.there, family, (client, server))
    wire.wait_packet()
    send_udp(wire, wire.here, family, (server, client + 1))
    wire.wait_packet()


def assert_nothing_was_held_before(wire: Wire, netns: str) -> None:
    """A datagram that must be held is sent behind it: that is the first one in the queue."""
    send_udp(wire, netns, V4, (0, 5000))
    wire.verdicts.drop(wire.wait_packet().packet_id)
    wire.verdicts.flush()


@pytest.mark.privileged
def test_a_mark_cannot_be_borrowed_to_deny_someone_else(wire: Wire) -> None:
    """Packets with others' marks pass: WireGuard's 0xca6c, Docker's, Tailscale's, a VPN's whole word, and all bits."""
    client = wire.open_socket(wire.here, V4, socket.SOCK_DGRAM, (HERE[V4], 4000))
    for mark in (0xCA6C, 0x4000, 0x80000, 0x6D6F6C65, 0x6FFFFFFF):
        client.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        client.sendto(b"x", (THERE[V4], mark & 0xFFF | 1))
        assert wire.wait_packet().mark == mark


@pytest.mark.privileged
def test_nobody_out_there_has_an_address_of_ours(wire: Wire) -> None:
    """The kernel itself checks this for IPv4 alone."""
    there, here = (socket.inet_pton(V6, addresses[V6]) for addresses in (THERE, HERE))
    datagram = struct.pack("!HHHH", 4000, 5000, 8, 0)
    with entered(wire.there), socket.socket(V6, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for source in (here, there):
            header = struct.pack("!IHBB", 6 << 28, len(datagram), socket.IPPROTO_UDP, 64)
            raw.sendto(header + source + here + datagram, (HERE[V6], 0))
    assert wire.wait_packet().payload[8:24] == there


@pytest.mark.privileged
@pytest.mark.parametrize(("family", "own"), [(V4, "127.0.0.1"), (V6, "fd99::1")])
def test_what_is_sent_to_ourselves_does_not_leave(wire: Wire, family: int, own: str) -> None:
    wire.run("ip", "address", "add", "fd99::1/128", "dev", "lo")
    wire.run("ip", "-6", "route", "add", "default", "via", THERE[V6])
    for way, told in (("", "^local"), (" oif eth0", "via")):  # the kernel makes the route to a new address later
        is_there = f"ip -6 route get fd99::1{way} | grep -q {told}"
        wire.run("timeout", "60", "sh", "-c", f"until {is_there}; do sleep 0.1; done")
    client = wire.open_socket(wire.here, family, socket.SOCK_DGRAM)
    client.sendto(b"x", (own, 5000))
    assert wire.wait_packet().hook == LOCAL_OUT
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    with pytest.raises(PermissionError):
        client.sendto(b"x", (own, 5001))


# A scope


@contextmanager
def scoped_place(place: PacketPlace) -> Iterator[Path]:
    """Our rules for one cgroup alone, without BPF."""
    folder = cgroup.find_root() / own_name("nf")
    folder.mkdir()
    try:
        with entered(place.here):
            Netfilter(LABEL, QUEUES, None, folder.name).add()
        yield folder
    finally:
        cgroup.remove(folder)


def send_from(place: PacketPlace, folder: Path, port: int) -> None:
    script = f"echo $$ >{folder}/cgroup.procs && exec bash -c 'echo x >/dev/udp/{THERE[V4]}/{port}'"
    place.run("sh", "-c", script)


@pytest.mark.privileged
def test_only_the_scope_is_judged(packet_place: PacketPlace) -> None:
    with scoped_place(packet_place) as folder:
        queue = packet_place.queue(QUEUES[0])
        send_from(packet_place, cgroup.find_root(), 5000)
        send_from(packet_place, folder, 5001)
        (packet,) = wait_packets(queue, 1)
        assert struct.unpack_from("!H", packet.payload, 22) == (5001,)


@pytest.mark.privileged
def test_without_bpf_a_scope_leaves_what_comes_in_alone(packet_place: PacketPlace) -> None:
    with scoped_place(packet_place):
        server = packet_place.listener(packet_place.here, V4)
        client = packet_place.open_socket(packet_place.there, V4, socket.SOCK_STREAM)
        client.connect(server.getsockname())


def build_rules(
    family: Family, *, program_path: Callable[[str], Path] | None, cgroup: str | None, has_security: bool
) -> RuleSet:
    writer = RuleWriter(
        family=family, label=LABEL, queues=QUEUES, program_path=program_path, cgroup=cgroup, has_security=has_security
    )
    return writer.build("")


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("program_path", [None, Path("/pins").joinpath])
def test_a_packet_without_a_socket_is_in_no_scope(family: Family, program_path: object) -> None:
    """xt_cgroup never matches a packet without a socket, negated or not (net/netfilter/xt_cgroup.c)."""
    path = program_path if callable(program_path) else None
    rules = build_rules(family, program_path=path, cgroup="x", has_security=True)
    for part in ("OUT", "LINKOUT"):
        judging = rules.chains["mangle"][f"{LABEL}-{part}"]
        assert not any("NFQUEUE" in rule for rule in judging)
        assert judging[-1] == f'-m cgroup --path "x" -g {LABEL}-JUDGEOUT'


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("program_path", [None, Path("/pins").joinpath])
@pytest.mark.parametrize(("cgroup", "has_security"), [(None, True), ("x", False), ("x", True)])
def test_a_scope_reads_names_behind_a_daemon_of_the_machine(
    family: Family, program_path: object, cgroup: str | None, has_security: bool
) -> None:
    """Reading a packet ends its way through the table: of two readers in one table the second would learn no names."""
    path = program_path if callable(program_path) else None
    rules = build_rules(family, program_path=path, cgroup=cgroup, has_security=has_security)
    lines = [(table, line) for table, chains in rules.chains.items() for body in chains.values() for line in body]
    lines += [(jump.table, jump.rule) for jump in rules.jumps]
    answered = {table for table, line in lines if "--sport 53 " in line and READ.search(line)}
    asked = {table for table, line in lines if "--dport 53 " in line and line.endswith(f"{LABEL}-ASKED")}
    assert answered == asked == {"security" if cgroup and has_security else "mangle"}


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("cgroup", [None, "x"])
@pytest.mark.parametrize(("match", "is_for_bpf"), [("-m conntrack", False), ("-m socket", False), ("-m bpf", True)])
def test_what_is_asked_with_bpf_or_without_it_alone(
    family: Family, cgroup: str | None, match: str, is_for_bpf: bool
) -> None:
    """One rule has conntrack follow all packets; another one has the kernel reassemble fragments; and a kernel without
    BPF may lack the match, and would take none of our rules."""
    for program_path in (None, Path("/pins").joinpath):
        rules = build_rules(family, program_path=program_path, cgroup=cgroup, has_security=True)
        lines = [rule for table in rules.chains.values() for chain in table.values() for rule in chain]
        lines += [jump.rule for jump in rules.jumps]
        assert any(match in line for line in lines) == (bool(program_path) == is_for_bpf)


@pytest.mark.parametrize("family", list(Family))
def test_the_cache_is_asked_before_the_queue(family: Family) -> None:
    rules = build_rules(family, program_path=Path("/pins").joinpath, cgroup=None, has_security=False)
    watched = [f"-m bpf --object-pinned /pins/out_watched -g {LABEL}-WATCH"]
    for part, way, passed, read in (("OUT", "out", "-j RETURN", watched), ("IN", "in", f"-g {LABEL}-PASSIN", [])):
        judging = [rule for rule in rules.chains["mangle"][f"{LABEL}-JUDGE{part}"] if "DROP" not in rule]
        assert judging == [
            f"-m bpf --object-pinned /pins/{way}_allowed {passed}",
            f"-m bpf --object-pinned /pins/{way}_denied -g {LABEL}-DENY",
            *read,
            f"-j NFQUEUE --queue-num {QUEUES[0]}",
        ]


@pytest.mark.parametrize("family", list(Family))
def test_what_has_to_wait_until_it_is_read_waits_also_while_nobody_reads(family: Family) -> None:
    rules = build_rules(family, program_path=Path("/pins").joinpath, cgroup=None, has_security=False).chains["mangle"]
    *_before, guarded, noted = rules[f"{LABEL}-WATCH"]
    assert guarded == f"-m bpf --object-pinned /pins/out_guarded -j NFQUEUE --queue-num {QUEUES[1]}"
    assert noted == f"-j NFQUEUE --queue-num {QUEUES[1]} --queue-bypass"


# Names


@pytest.mark.privileged
@pytest.mark.parametrize("family", [V4, V6])
def test_a_talk_over_tcp_is_looked_at_piece_by_piece(wire: Wire, family: int) -> None:
    server = wire.open_socket(wire.there, family, socket.SOCK_STREAM, (wire.address(wire.there, family), 53))
    server.listen()
    client = wire.open_socket(wire.here, family, socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    wire.verdicts.issue(wire.wait_packet().packet_id, Verdict.ALLOW)
    wire.verdicts.flush()
    hooks = [pass_name(wire) for _syn_and_its_answer in range(3)]
    assert hooks == [POST_ROUTING, LOCAL_IN, POST_ROUTING]
    with server.accept()[0] as served:
        served.send(b"answer")
        assert is_ready(wire.names, WAIT_S)
        assert not is_ready(client, 0)  # not delivered before it is learned
        assert pass_name(wire) == LOCAL_IN
        assert is_ready(client, WAIT_S)


def pass_name(wire: Wire) -> int:
    """Let the next message go on, and what may have been sent again meanwhile; returns the hook."""
    packets = wait_packets(wire.names, 1)
    for packet in packets:
        wire.verdicts.pass_message(packet.packet_id)
    wire.verdicts.flush()
    return packets[0].hook


@pytest.mark.privileged
def test_segments_of_no_connection_are_not_looked_at(wire: Wire) -> None:
    segment = struct.pack("!HHIIBBHHH", 53, 5000, 1, 0, 5 << 4, ACK, 1024, 0, 0)
    send_raw(wire, wire.there, V4, socket.IPPROTO_TCP, segment)
    send_udp(wire, wire.there, V4, (4001, 5000))
    wire.wait_packet()  # what came after it
    assert not is_ready(wire.names, 0)


@pytest.mark.privileged
def test_a_syn_from_the_port_of_resolvers_is_judged(wire: Wire) -> None:
    syn = struct.pack("!HHIIBBHHH", 53, 5000, 1, 0, 5 << 4, SYN, 1024, 0, 0)
    send_raw(wire, wire.there, V4, socket.IPPROTO_TCP, syn)
    assert wire.wait_packet().hook == LOCAL_IN


@pytest.mark.privileged
@pytest.mark.parametrize("port", [5353, 5355])
def test_questions_to_the_link_are_looked_at(wire: Wire, port: int) -> None:
    send_udp(wire, wire.here, V4, (4001, port))
    wire.verdicts.issue(wire.wait_packet().packet_id, Verdict.ALLOW)
    wire.verdicts.flush()
    assert pass_name(wire) == POST_ROUTING
