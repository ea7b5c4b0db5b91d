""""""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bpf.packet_place import HERE, PacketPlace, entered
from tests.lab.patience import wait_until
from tinysnitch.core.model.errors import Malformed, SnitchError
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.kernel.netlink.sock_diag import (
    ANY_V4,
    ANY_V6,
    LOOPBACK,
    TCP_LISTEN,
    TCP_TIME_WAIT,
    DiagSocket,
    SocketDiag,
    check_lists,
    find_home,
    is_vrf,
    parse_socket,
    parse_table,
    read_kind,
    read_raw_sockets,
)
from tinysnitch.kernel.netlink.socket import NetlinkSocket, pack_attribute

V4, V6, FAR = parse_address("127.0.0.1"), parse_address("::1"), parse_address("127.0.0.9")
RAW = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer
    1: 0100007F:0001 00000000:0000 07 00000300:00000000 00:00000000 00000000  1000        0 4242 2 0000000000000000
"""
PING6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue ...
  77: 00000000000000000000000001000000:004D 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 \
00000000     0        0 15 2 0000000000000000 0
"""


@pytest.fixture
def diag() -> Iterator[SocketDiag]:
    with SocketDiag() as opened:
        yield opened


def port_of(opened: socket.socket) -> int:
    return int(opened.getsockname()[1])


def check_identity(found: DiagSocket | None, opened: socket.socket) -> None:
    assert found
    cookie = int.from_bytes(opened.getsockopt(socket.SOL_SOCKET, 57, 8), sys.byteorder)  # SO_COOKIE
    assert (found.cookie, found.inode) == (cookie, os.fstat(opened.fileno()).st_ino)
    assert found.uid == os.getuid()


@pytest.mark.parametrize(("bound", "local"), [("127.0.0.1", V4), ("::1", V6), ("::", V4), ("::", V6)])
def test_tcp_connection_and_listener(diag: SocketDiag, bound: str, local: bytes) -> None:
    """`::` takes IPv4 too: an AF_INET6 socket with an IPv4-mapped address."""
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    with socket.create_server((bound, 0), family=family, dualstack_ipv6=bound == "::") as server:
        address = "127.0.0.1" if local == V4 else "::1"
        with socket.create_connection((address, port_of(server))) as client:
            flow = Flow(TCP, Direction.OUTBOUND, local, port_of(client), local, port_of(server))
            found = diag.find_receiver(flow)
            check_identity(found, client)
            assert found
            assert found.is_connected_as(flow)
        found = diag.find_receiver(Flow(TCP, Direction.INBOUND, local, port_of(server), local, 1))
        check_identity(found, server)
        assert found
        assert found.state == TCP_LISTEN


@pytest.mark.privileged
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_connection_is_ended_for_its_program(diag: SocketDiag, address: str) -> None:
    """Only the socket with this cookie is ended: another one may have its ports by now."""
    local = parse_address(address)
    with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as server:
        with socket.create_connection((address, port_of(server))) as client:
            flow = Flow(TCP, Direction.OUTBOUND, local, port_of(client), local, port_of(server))
            found = diag.find_receiver(flow)
            assert found
            assert not diag.end_connection(flow, found.cookie + 1)
            client.send(b"x")
            assert diag.end_connection(flow, found.cookie)
            with pytest.raises(ConnectionAbortedError):
                client.send(b"x")
        assert not diag.end_connection(flow, found.cookie)  # it has ended


def test_what_the_kernel_has_no_list_of_is_told(diag: SocketDiag) -> None:
    """As if tcp_diag were a module that is not loaded and cannot be loaded any more (kernel.modules_disabled)."""
    with pytest.raises(SnitchError, match="the kernel lists no sockets of 200") as refused:
        diag.list_sockets(200)
    assert "modprobe tcp_diag" in refused.value.hint


def test_an_ipv4_mapped_client(diag: SocketDiag) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", port_of(server)))
        flow = Flow(TCP, Direction.OUTBOUND, V4, port_of(client), V4, port_of(server))
        check_identity(diag.find_receiver(flow), client)


@pytest.mark.parametrize(("bound", "local"), [("127.0.0.1", V4), ("0.0.0.0", V4), ("::", V4), ("::", V6)])
def test_unconnected_udp(diag: SocketDiag, bound: str, local: bytes) -> None:
    with socket.socket(socket.AF_INET6 if ":" in bound else socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind((bound, 0))
        flow = Flow(UDP, Direction.INBOUND, local, port_of(opened), local, 9)
        found = diag.find_receiver(flow)
        check_identity(found, opened)
        assert found
        assert found.takes(flow)
        assert found.remote in (ANY_V4, ANY_V6)


def test_connected_udp_takes_its_remote_only(diag: SocketDiag) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.connect(("127.0.0.1", 9))
        port = port_of(opened)
        check_identity(diag.find_receiver(Flow(UDP, Direction.INBOUND, V4, port, V4, 9)), opened)
        assert diag.find_receiver(Flow(UDP, Direction.INBOUND, V4, port, FAR, 9)) is None
        assert [each.local_port for each in diag.list_sockets(UDP, port)] == [port]


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_nobody_listens(diag: SocketDiag, protocol: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == TCP else socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))  # the port is nobody else's, but on another address
        assert diag.find_receiver(Flow(protocol, Direction.INBOUND, FAR, port_of(opened), V4, 9)) is None


@pytest.mark.privileged
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_listener_bound_to_an_interface(diag: SocketDiag, kind: int) -> None:
    """The exact look-up passes over a socket that is bound to another interface."""
    with socket.socket(socket.AF_INET, kind) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        opened.bind(("0.0.0.0", 0))
        if kind == socket.SOCK_STREAM:
            opened.listen()
        protocol = TCP if kind == socket.SOCK_STREAM else UDP
        check_identity(diag.find_receiver(Flow(protocol, Direction.INBOUND, V4, port_of(opened), V4, 9)), opened)


@pytest.mark.privileged
def test_a_connection_bound_to_an_interface(diag: SocketDiag) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        client.connect(server.getsockname())
        flow = Flow(TCP, Direction.OUTBOUND, V4, port_of(client), V4, port_of(server))
        check_identity(diag.find_receiver(flow, socket.if_nametoindex("lo")), client)
        check_identity(diag.find_receiver(flow), client)


def test_who_has_closed_what_goes_by_an_interface_is_not_looked_for_among_all(
    diag: SocketDiag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a flood each packet that waited too long is looked up so: 0.03 ms, not 0.4."""
    monkeypatch.delattr(SocketDiag, "list_sockets")
    flow = Flow(TCP, Direction.OUTBOUND, V4, 9, FAR, 9)
    assert diag.find_receiver(flow, socket.if_nametoindex("lo")) is None


@pytest.mark.privileged
def test_who_takes_what_comes_by_an_interface(diag: SocketDiag) -> None:
    """A socket bound to the interface is preferred; one that is not bound is found as well."""
    loopback = socket.if_nametoindex("lo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain, socket.socket(type=socket.SOCK_DGRAM) as bound:
        for each in (plain, bound):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        plain.bind(("0.0.0.0", 0))
        flow = Flow(UDP, Direction.INBOUND, V4, port_of(plain), FAR, 9)
        check_identity(diag.find_receiver(flow, loopback), plain)
        bound.bind(plain.getsockname())
        check_identity(diag.find_receiver(flow, loopback), bound)
        check_identity(diag.find_receiver(flow, loopback + 1), plain)
        check_identity(diag.find_receiver(flow), plain)


def test_a_connection_that_has_been_takes_nothing(diag: SocketDiag) -> None:
    """A SYN from the same remote port goes to the socket that listens now."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted = server.accept()[0]
        accepted.close()  # first: so it is this end that waits (RFC 9293 3.6)
        assert client.recv(1) == b""
        flow = Flow(TCP, Direction.INBOUND, V4, port_of(server), V4, port_of(client))
        client.close()
        wait_until(lambda: TCP_TIME_WAIT in [each.state for each in diag.list_sockets(TCP, port_of(server))])
        check_identity(diag.find_receiver(flow), server)


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM, errno.EPERM])
def test_where_the_kernel_does_not_answer_no_socket_is_taken_for_absent(
    diag: SocketDiag, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_words: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(diag._netlink, "query", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        diag.find_receiver(Flow(TCP, Direction.INBOUND, V4, 80, FAR, 40000))


@pytest.mark.parametrize(
    ("local", "port", "remote", "remote_port", "takes"),
    [
        ("127.0.0.1", 80, "0.0.0.0", 0, True),
        ("0.0.0.0", 80, "0.0.0.0", 0, True),
        ("::", 80, "::", 0, True),
        ("127.0.0.1", 80, "127.0.0.9", 40000, True),
        ("127.0.0.1", 81, "0.0.0.0", 0, False),
        ("127.0.0.9", 80, "0.0.0.0", 0, False),
        ("127.0.0.1", 80, "127.0.0.9", 40001, False),
        ("127.0.0.1", 80, "127.0.0.1", 40000, False),
        ("127.0.0.1", 80, "127.0.0.9", 0, False),  # connected without a port
    ],
)
def test_what_a_socket_takes(local: str, port: int, remote: str, remote_port: int, takes: bool) -> None:
    ends = {"local": parse_address(local), "remote": parse_address(remote)}
    ports = {"local_port": port, "remote_port": remote_port}
    found = DiagSocket(protocol=UDP, state=TCP_LISTEN, interface=0, inode=1, uid=0, unsent_bytes=0, **ends, **ports)
    assert found.takes(Flow(UDP, Direction.INBOUND, V4, 80, FAR, 40000)) is takes


def test_icmp_has_no_receiver(diag: SocketDiag) -> None:
    assert diag.find_receiver(Flow(ICMP, Direction.INBOUND, V4, 5, V4, 0)) is None


@pytest.mark.privileged
def test_raw_sockets_are_listed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, ICMP) as opened:
        inode = os.fstat(opened.fileno()).st_ino
        assert [each.protocol for each in read_raw_sockets() if each.inode == inode] == [ICMP]


def test_lines_of_proc_net() -> None:
    (raw,) = parse_table(RAW)
    assert (raw.protocol, raw.local, raw.local_port, raw.remote) == (ICMP, V4, 0, ANY_V4)
    assert (raw.uid, raw.inode, raw.unsent_bytes) == (1000, 4242, 0x300)
    (ping,) = parse_table(PING6, 58)
    assert (ping.protocol, ping.local, ping.local_port, ping.inode) == (58, V6, 77, 15)


@given(st.text(alphabet="0123456789ABCDEF: \n", max_size=200))
def test_a_table_is_parsed_or_malformed(text: str) -> None:
    with suppress(Malformed):
        assert all(isinstance(each, DiagSocket) for each in parse_table(text))


@given(st.binary(max_size=100))
def test_an_answer_is_parsed_or_malformed(payload: bytes) -> None:
    try:
        assert len(parse_socket(TCP, payload).local) == 16
    except Malformed:
        assert len(payload) < 72


_HEAD = bytes(16)
_NAME = pack_attribute(3, b"red\0")


def test_the_loopback_and_what_is_not_there_are_none() -> None:
    with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        assert not is_vrf(netlink, socket.if_nametoindex("lo"))
        assert not is_vrf(netlink, 2**31 - 1)


def test_the_kind_that_a_message_tells_of() -> None:
    of_vrf = pack_attribute(18, pack_attribute(1, b"vrf\0") + pack_attribute(2, b""))
    assert read_kind(_HEAD + _NAME + of_vrf) == "vrf"
    assert read_kind(_HEAD + _NAME) == ""
    assert read_kind(_HEAD + pack_attribute(18, b"")) == ""


def test_a_message_that_is_cut_is_malformed() -> None:
    with pytest.raises(Malformed):
        read_kind(_HEAD + _NAME[:-5])


pytestmark = pytest.mark.privileged


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_interface_that_has_the_address_though_the_way_there_is_by_lo(
    packet_place: PacketPlace, family: socket.AddressFamily
) -> None:
    with entered(packet_place.here), NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        assert find_home(netlink, parse_address(HERE[family])) == socket.if_nametoindex("eth0")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "203.0.113.1", "2001:db8::1"])
def test_lo_has_its_own_and_what_nobody_has(packet_place: PacketPlace, address: str) -> None:
    with entered(packet_place.here), NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        assert find_home(netlink, parse_address(address)) == LOOPBACK


def test_a_kernel_that_lists_no_sockets_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    check_lists()

    def fail(*_args: object, **_kinds: object) -> None:
        raise SnitchError("no module")

    monkeypatch.setattr(SocketDiag, "list_sockets", fail)
    with pytest.raises(SnitchError, match="no module"):
        check_lists()
