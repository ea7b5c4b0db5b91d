"""sender.bpf.h: which process sends a packet, where no hook tells."""

import ctypes
import os
import socket
import struct
from pathlib import Path

import msgspec
import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.packet_place import wait_packets
from tests.bpf.pinned_tables import exchange_socket, read_boundness, read_noted_protocol
from tests.bpf.test_verdict import LOCAL_PORT, PORT, entry_of, judge, make_flow, open_bound
from tinysnitch.core.model.flow import TCP, UDP
from tinysnitch.kernel.bpf.layout import EXEC_ID_UNKNOWN
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.nfqueue.queue import NfVerdict, Queue

pytestmark = pytest.mark.privileged

PIDFD_GETFD = 438  # pidfd_getfd(2)


def take_socket(pid: int) -> int:
    """Our own descriptor of the one socket that the other process has."""
    (descriptor,) = (int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir() if each.readlink().match("socket:*"))
    pidfd = os.pidfd_open(pid)
    taken = int(ctypes.CDLL(None).syscall(PIDFD_GETFD, pidfd, descriptor, 0))
    os.close(pidfd)
    assert taken >= 0
    return taken


def read_by_another(programs: BpfPrograms) -> None:
    """The kernel's side knows another process as the reader, and not this one."""
    if (pid := os.fork()) == 0:
        programs.note_reader()
        os._exit(0)
    assert os.waitpid(pid, 0) == (pid, 0)


@pytest.mark.parametrize("is_known", [True, False])
def test_the_reader_of_the_queue_is_no_sender_whatever_it_has_open(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, queue: Queue, is_known: bool
) -> None:
    """Its descriptors are not searched, which would take 11 us for each datagram that it lets go."""
    judge(place, programs, "OUTPUT")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("send_to", handle, "127.0.0.1", PORT)
    (held,) = wait_packets(queue, 1)
    if not is_known:
        read_by_another(programs)
    with socket.socket(fileno=take_socket(agent.pid)):
        queue.queue_verdict(held.packet_id, NfVerdict.REPEAT)
        queue.flush()
    assert wait_packets(queue, 1)
    owner = programs.find_owner(cookie)
    assert owner
    assert owner.pid == (agent.pid if is_known else os.getpid())


def test_a_process_that_lets_go_a_packet_of_a_closed_socket_is_not_its_sender(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, queue: Queue
) -> None:
    """The packet walks the chain again in the context of the reader, some of whose files are no sockets."""
    judge(place, programs, "OUTPUT")
    cookies = []
    for who in (agent, place.start_agent()):  # the second one takes the place of the first one's flow
        handle, cookie = open_bound(who, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
        who.call("send_to", handle, "127.0.0.1", PORT)
        who.call("close", handle)
        cookies.append(cookie)
    held, _other = wait_packets(queue, 2)
    read_by_another(programs)
    with Path(os.devnull).open():
        queue.queue_verdict(held.packet_id, NfVerdict.REPEAT)
        queue.flush()
    assert wait_packets(queue, 1)
    assert programs.find_flow(make_flow(UDP, "127.0.0.1")) == entry_of(programs, agent, cookies[0])


def test_another_sender_changes_nothing_but_the_owner(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    """The protocol that the socket was made for must stay: it is needed to see whether the socket has left its port."""
    judge(place, programs, "OUTPUT")
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    agent.call("bind", handle, "127.0.0.1", LOCAL_PORT)
    agent.call("connect", handle, "127.0.0.1", PORT)
    noted = (read_noted_protocol(programs, cookie), read_boundness(programs, cookie))
    read_by_another(programs)
    with socket.socket(fileno=take_socket(agent.pid)) as taken:
        taken.send(b"x")  # which runs no hook
    owner = programs.find_owner(cookie)
    assert owner
    assert owner.pid == os.getpid()
    assert (read_noted_protocol(programs, cookie), read_boundness(programs, cookie)) == noted


def test_what_is_noted_of_another_socket_tells_no_sender(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    """An LRU map gives the memory of an entry to another one, while a program on another CPU still reads it."""
    judge(place, programs, "OUTPUT")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    agent.call("connect", handle, "127.0.0.1", PORT)
    exchange_socket(programs, cookie, open_bound(place.start_agent(), "AF_INET", "SOCK_DGRAM", "127.0.0.2")[1])
    agent.call("send", agent.call("move", handle, 2000), "x")  # where the descriptors are not searched
    found = programs.find_flow(make_flow(UDP, "127.0.0.1"))
    assert found
    assert found.owner.exec_id == EXEC_ID_UNKNOWN


@pytest.mark.parametrize("local_port", [LOCAL_PORT, TCP])
def test_a_syn_by_a_raw_socket_belongs_to_the_process_that_sends_it(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, local_port: int
) -> None:
    """Even from the port of a raw socket, which is the number of its protocol (inet_create())."""
    judge(place, programs, "OUTPUT")
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_RAW", TCP)
    syn = struct.pack("!HHIIBBHHH", local_port, PORT, 1, 0, 5 << 4, 2, 1024, 0, 0)
    sender = agent.call("fork_and_send", handle, "127.0.0.1", 0, list(syn))
    found = programs.find_flow(msgspec.structs.replace(make_flow(TCP, "127.0.0.1"), local_port=local_port))
    assert found
    assert (found.cookie, found.owner.pid) == (cookie, sender)
