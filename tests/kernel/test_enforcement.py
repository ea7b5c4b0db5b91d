"""Real packets in the degraded mode: held, then allowed or refused. (With BPF: tests/lab.)"""

import errno
import re
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.kernel.packet_place import QUEUES, Wire, is_ready, wait_packets
from tinysnitch.core.verdict import Verdict
from tinysnitch.kernel.netfilter_rules import ALLOW_BIT

SO_MARK = 36  # asm-generic/socket.h
V4, V6 = socket.AF_INET, socket.AF_INET6
Outcome = Callable[[], str]

pytestmark = [pytest.mark.privileged]


@pytest.fixture(scope="module")
def shared() -> Iterator[Wire]:
    """Cases with sockets of their own do not meet: one place is enough for all."""
    with Wire() as made:
        yield made


def start_tcp(wire: Wire, source: str, destination: str, family: int) -> Outcome:
    server = wire.listener(destination, family)
    client = wire.open_socket(source, family, socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex(server.getsockname())

    def outcome() -> str:
        assert select.select([], [client], [], 5)[1]
        return errno.errorcode.get(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "through")

    return outcome


def start_udp(wire: Wire, source: str, destination: str, family: int) -> Outcome:
    server = wire.open_socket(destination, family, socket.SOCK_DGRAM, (wire.address(destination, family), 0))
    client = wire.open_socket(source, family, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    client.send(b"hello")

    def outcome() -> str:
        select.select([server, client], [], [], 5)
        if is_ready(server, 0):
            return "through" if server.recv(10) == b"hello" else "garbled"
        try:
            client.recv(1)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return "answered"

    return outcome


def start_ping(wire: Wire, source: str, destination: str, family: int) -> Outcome:
    ping = wire.start(source, "ping", "-n", "-c1", "-W5", wire.address(destination, family))

    def outcome() -> str:
        said, _ = ping.communicate(timeout=10)
        if re.search("port unreachable", said, re.IGNORECASE):
            return "ECONNREFUSED"
        return "through" if ping.returncode == 0 else said

    return outcome


@pytest.mark.parametrize("start", [start_tcp, start_udp, start_ping])
@pytest.mark.parametrize("family", [V4, V6])
@pytest.mark.parametrize("is_inbound", [False, True])
@pytest.mark.parametrize(("verdict", "expected"), [(Verdict.ALLOW, "through"), (Verdict.DENY, "ECONNREFUSED")])
def test_a_packet_is_held_then_decided(
    shared: Wire,
    start: Callable[[Wire, str, str, int], Outcome],
    family: int,
    is_inbound: bool,
    verdict: Verdict,
    expected: str,
) -> None:
    ends = (shared.there, shared.here) if is_inbound else (shared.here, shared.there)
    outcome = start(shared, *ends, family)
    packet = shared.wait_packet()
    assert bool(packet.in_interface) is is_inbound
    assert bool(packet.out_interface) is not is_inbound
    shared.enforcement.issue(packet.packet_id, verdict)
    shared.enforcement.flush()
    assert outcome() == expected
    assert not shared.has_packet()


def test_a_dropped_packet_is_gone_without_a_word(wire: Wire) -> None:
    server = wire.open_socket(wire.there, V4, socket.SOCK_DGRAM, (wire.address(wire.there, V4), 0))
    client = wire.open_socket(wire.here, V4, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    for verdict_of in (wire.enforcement.drop, lambda packet_id: wire.enforcement.issue(packet_id, Verdict.ALLOW)):
        client.send(b"dropped" if verdict_of == wire.enforcement.drop else b"allowed")
        verdict_of(wire.wait_packet().packet_id)
        wire.enforcement.flush()
    assert server.recv(10) == b"allowed"
    assert not is_ready(client, 0)


def test_the_mark_of_a_packet_survives_an_allow_and_ours_does_not(wire: Wire) -> None:
    rule = "-I OUTPUT 1 -p tcp -m mark ! --mark 0x1234 -j DROP"
    wire.run("iptables", *rule.split())
    server = wire.listener(wire.there, V4)
    client = wire.open_socket(wire.here, V4, socket.SOCK_STREAM)
    client.setsockopt(socket.SOL_SOCKET, SO_MARK, 0x1234)
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    packet = wire.wait_packet()
    assert packet.mark == 0x1234
    wire.enforcement.issue(packet.packet_id, Verdict.ALLOW)
    wire.enforcement.flush()
    server.accept()[0].close()


def test_a_packet_that_was_read_has_its_own_mark_and_ours(wire: Wire) -> None:
    wire.run("iptables", *["-I", "OUTPUT", "1", "-p", "udp", "-m", "mark", "!", "--mark", "0x10001234", "-j", "DROP"])
    rule = f"-t mangle -I OUTPUT 1 -p udp -m mark --mark 0/{ALLOW_BIT} -j NFQUEUE --queue-num {QUEUES[1]}"
    wire.run("iptables", *rule.split())
    wire.run("iptables", *f"-t mangle -I OUTPUT 2 -p udp -m mark --mark {ALLOW_BIT}/{ALLOW_BIT} -j ACCEPT".split())
    server = wire.open_socket(wire.there, V4, socket.SOCK_DGRAM, (wire.address(wire.there, V4), 0))
    client = wire.open_socket(wire.here, V4, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, SO_MARK, 0x1234)
    client.sendto(b"read", server.getsockname())
    (packet,) = wait_packets(wire.names, 1)
    wire.enforcement.note_shown_mark(packet.packet_id, packet.mark)
    wire.enforcement.show_more(packet.packet_id)
    wire.enforcement.flush()
    assert server.recv(10) == b"read"


def test_over_loopback_a_connection_is_asked_about_on_both_sides(wire: Wire) -> None:
    server = wire.listener(wire.here, V6)
    client = wire.open_socket(wire.here, V6, socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    hooks = []
    for _way in range(2):
        packet = wire.wait_packet()
        hooks.append(packet.hook)
        wire.enforcement.issue(packet.packet_id, Verdict.ALLOW)
        wire.enforcement.flush()
    server.accept()[0].close()
    assert hooks == [3, 1]  # NF_INET_LOCAL_OUT, NF_INET_LOCAL_IN
