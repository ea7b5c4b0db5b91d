import errno
import os
import random
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bpf.packet_place import HERE, QUEUES, THERE, PacketPlace, Wire, entered, is_ready, wait_packets
from tests.lab.patience import WAIT_S
from tinysnitch.core.model.errors import SHORTAGE_HINT, NotPermitted, SnitchError
from tinysnitch.kernel.netlink.socket import NetlinkMessage, NetlinkSocket, pack_attribute, pack_message, parse_messages
from tinysnitch.kernel.nfqueue import queue as nfqueue
from tinysnitch.kernel.nfqueue.queue import (
    NfVerdict,
    Queue,
    QueuedPacket,
    QueueStatistics,
    QueueTaken,
    parse_packet_message,
    read_statistics,
)

V4 = socket.AF_INET
SO_SNDBUFFORCE = 32  # asm-generic/socket.h
PACKET = 3 << 8  # NFNL_SUBSYS_QUEUE, NFQNL_MSG_PACKET
GENERIC = bytes(4)


def header_of(packet_id: int) -> bytes:
    return pack_attribute(1, struct.pack("!IHB", packet_id, 0x800, 3))


HEADER = header_of(7)


def send_udp(wire: Wire, count: int) -> socket.socket:
    """Send numbered datagrams, each of which is held; returns the server."""
    server = wire.open_socket(wire.there, V4, socket.SOCK_DGRAM, (THERE[V4], 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    client = wire.open_socket(wire.here, V4, socket.SOCK_DGRAM, (HERE[V4], 0))
    client.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)  # what is held still counts as being sent
    for number in range(count):
        client.sendto(number.to_bytes(2, "big"), server.getsockname())
    return server


def receive_numbers(server: socket.socket, count: int) -> list[int]:
    return [int.from_bytes(server.recv(2), "big") for _ in range(count)]


@pytest.mark.privileged
def test_verdicts_may_come_in_any_order(wire: Wire) -> None:
    server = send_udp(wire, 50)
    packets = wait_packets(wire.connections, 50)
    random.Random(7).shuffle(packets)
    for packet in packets:
        wire.connections.queue_verdict(packet.packet_id, NfVerdict.ACCEPT)
        wire.connections.flush()
    assert receive_numbers(server, 50) == [int.from_bytes(packet.payload[28:], "big") for packet in packets]


@pytest.mark.privileged
def test_an_error_takes_nothing_away_that_was_read_before(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        """An error for want of memory, in place of the second packet."""

        results = iter((None, OSError(errno.ENOMEM, "no memory"), OSError(errno.ENOMEM, "no memory")))

        def recv_into(self, buffer: bytearray) -> int:
            error = next(self.results, None)
            if error:
                raise error
            return opened.recv_into(buffer)

    server, opened = send_udp(wire, 2), wire.connections._socket
    assert is_ready(wire.connections, WAIT_S)
    with monkeypatch.context() as short:
        short.setattr(wire.connections, "_socket", Failing())
        packets = wire.connections.read_packets()
        assert len(packets) == 1
        with pytest.raises(OSError, match="no memory"):
            wire.connections.read_packets()
    for packet in (*packets, *wait_packets(wire.connections, 1)):
        wire.connections.queue_verdict(packet.packet_id, NfVerdict.ACCEPT)
    wire.connections.flush()
    assert receive_numbers(server, 2) == [0, 1]


@pytest.mark.privileged
@pytest.mark.parametrize("mark", [None, 0x10000000])
def test_a_whole_queue_is_let_go_in_one_flush(wire: Wire, mark: int | None) -> None:
    """More verdicts than one message to the kernel may hold."""
    server = send_udp(wire, 10000)
    for packet in wait_packets(wire.connections, 10000):
        wire.connections.queue_verdict(packet.packet_id, NfVerdict.REPEAT if mark else NfVerdict.ACCEPT, mark)
    wire.connections.flush()
    with entered(wire.here):
        assert wire.connections.statistics() == QueueStatistics(0, 0, 0)
    assert is_ready(server, WAIT_S)


@pytest.mark.privileged
def test_a_verdict_for_a_packet_that_is_gone_harms_no_other(wire: Wire) -> None:
    server = send_udp(wire, 1)
    (packet,) = wait_packets(wire.connections, 1)
    for packet_id in (packet.packet_id + 1000, packet.packet_id, packet.packet_id):
        wire.connections.queue_verdict(packet_id, NfVerdict.ACCEPT)
    wire.connections.flush()
    assert receive_numbers(server, 1) == [0]
    assert wire.connections.read_packets() == []  # the kernel's errors are no packets
    assert wire.connections.gone == 2


@pytest.mark.privileged
def test_what_the_kernel_drops_with_its_interface_is_counted_with_the_verdict(wire: Wire) -> None:
    server = send_udp(wire, 3)
    packets = wait_packets(wire.connections, 3)
    wire.run("ip", "link", "set", "eth0", "down")
    wire.run("ip", "link", "set", "eth0", "up")
    for packet in packets:
        wire.connections.queue_verdict(packet.packet_id, NfVerdict.ACCEPT)
    wire.connections.flush()
    assert wire.connections.read_packets() == []
    assert wire.connections.gone == 3
    assert not is_ready(server, 0)


@pytest.mark.privileged
def test_what_does_not_fit_is_dropped_and_counted(wire: Wire) -> None:
    wire.connections.close()
    small = wire.queue(QUEUES[0], max_length=5)
    server = send_udp(wire, 20)
    packets = wait_packets(small, 5)
    with entered(wire.here):
        assert small.statistics() == QueueStatistics(waiting=5, dropped_full=15, dropped_unread=0)
    for packet in packets:
        small.queue_verdict(packet.packet_id, NfVerdict.ACCEPT)
    small.flush()
    assert receive_numbers(server, 5) == [0, 1, 2, 3, 4]
    assert not is_ready(server, 0)


@pytest.mark.privileged
def test_what_found_no_room_in_the_buffer_is_counted_and_the_rest_is_read(wire: Wire) -> None:
    with socket.socket(fileno=os.dup(wire.connections.fileno())) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    send_udp(wire, 100)
    with entered(wire.here):
        lost = wire.connections.statistics().dropped_unread
    assert 0 < lost < 100
    assert len(wait_packets(wire.connections, 100 - lost)) == 100 - lost
    assert wire.connections.read_packets() == []


@pytest.mark.privileged
def test_closing_drops_what_was_held(wire: Wire) -> None:
    server = send_udp(wire, 3)
    wait_packets(wire.connections, 3)
    wire.connections.close()
    send_udp(wire, 1)  # nobody reads the queue: closed
    with entered(wire.here):
        wire.netfilter.remove()
    assert not is_ready(server, 0)
    with entered(wire.here):
        assert QUEUES[0] not in read_statistics()


@pytest.mark.privileged
def test_a_queue_that_is_read_already_is_refused(packet_place: PacketPlace) -> None:
    packet_place.queue(7)
    with pytest.raises(SnitchError, match="queue 7 cannot be bound") as refused:
        packet_place.queue(7)
    assert "another program" in refused.value.hint


@pytest.mark.parametrize(
    ("number", "kind", "hint"),
    [
        (errno.EPERM, NotPermitted, "as its root"),
        (errno.EBUSY, QueueTaken, "another program"),
        (errno.EOPNOTSUPP, SnitchError, "modprobe nfnetlink_queue"),
        (errno.ENOBUFS, SnitchError, SHORTAGE_HINT),
    ],
)
def test_why_there_is_no_queue_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, number: int, kind: type[SnitchError], hint: str
) -> None:
    def refuse(*_words: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Queue, "_configure", refuse)
    monkeypatch.setattr(nfqueue, "read_statistics", dict)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(SnitchError, match="queue") as refused:
        Queue(7)
    assert (type(refused.value), hint in refused.value.hint) == (kind, True)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.privileged
def test_no_packet_is_lost_while_the_queue_is_set_up(wire: Wire) -> None:
    """Each packet that the kernel holds is returned with its payload, also the first ones."""
    is_over = threading.Event()
    client = wire.open_socket(wire.here, V4, socket.SOCK_DGRAM, (HERE[V4], 0))

    def send() -> None:
        while not is_over.is_set():
            client.sendto(b"x", (THERE[V4], 9))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        for _ in range(20):
            wire.connections.close()
            wire.connections = wire.queue(QUEUES[0], max_length=50)
            packets = wait_packets(wire.connections, 50)
            assert all(packet.payload[28:] == b"x" for packet in packets)
            assert len({packet.packet_id for packet in packets}) == 50
    finally:
        is_over.set()
        sender.join(WAIT_S)


@pytest.mark.privileged
def test_what_comes_before_the_queue_is_known_to_stand_comes_again(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet that is read with the acknowledgement would be held for ever without a verdict."""
    wire.connections.close()
    request = NetlinkSocket.request

    def acknowledge_late(netlink: NetlinkSocket, kind: int, payload: bytes) -> list[NetlinkMessage]:
        early = request(netlink, kind, payload)
        send_udp(wire, 1)
        return [*early, *parse_messages(netlink.receive())]

    monkeypatch.setattr(NetlinkSocket, "request", acknowledge_late)
    (packet,) = wait_packets(wire.queue(QUEUES[0]), 1)
    assert packet.payload[28:] == b"\0\0"


def test_a_packet_message_is_parsed() -> None:
    attributes = [HEADER, *(pack_attribute(kind, struct.pack("!I", kind)) for kind in (3, 5, 6, 16))]
    attributes += [pack_attribute(99, b"of a later kernel"), pack_attribute(10, b"\x45abc")]
    message = memoryview(pack_message(PACKET, 0, GENERIC + b"".join(attributes)))
    assert parse_packet_message(message) == QueuedPacket(7, 3, 5, 6, 3, b"\x45abc", 16)


def test_after_four_thousand_million_packets_one_has_the_number_0() -> None:
    packet = parse_packet_message(memoryview(pack_message(PACKET, 0, GENERIC + header_of(0))))
    assert packet
    assert packet.packet_id == 0


def test_what_is_no_packet_is_none() -> None:
    for message in (pack_message(2, 0, GENERIC + HEADER), pack_message(PACKET, 0, GENERIC), b""):
        assert parse_packet_message(memoryview(message)) is None


@pytest.mark.parametrize("size", [0, 4, 6])
def test_a_packet_whose_header_is_cut_short_is_none(size: int) -> None:
    cut = pack_attribute(1, bytes(range(1, 8))[:size])
    assert parse_packet_message(memoryview(pack_message(PACKET, 0, GENERIC + cut))) is None


@given(st.binary(max_size=120))
def test_random_bytes_raise_nothing(data: bytes) -> None:
    parse_packet_message(memoryview(data))
    parse_packet_message(memoryview(pack_message(PACKET, 0, GENERIC + data)))


@given(st.integers(0, 90), st.integers(0, 255), st.integers(0, 90))
def test_a_broken_packet_message_raises_nothing(at: int, value: int, size: int) -> None:
    message = bytearray(pack_message(PACKET, 0, GENERIC + HEADER + pack_attribute(10, bytes(60))))
    message[at % len(message)] = value
    parse_packet_message(memoryview(message)[:size])
