"""Uses a socket in one of many ways: `socket_user.py WAY ADDRESS PORT`. Prints the user's pid and the local port."""

import ctypes
import os
import socket
import struct
import subprocess
import sys
import threading

MSG_FASTOPEN = 0x20000000  # linux/socket.h
TCPI_OPT_SYN_DATA = 32  # linux/tcp.h
IPPROTO_MPTCP = 262
OTHER_UID = 65534
ECHO = struct.pack("!BBHHH", 8, 0, 0xF7FF - 0x4321, 0x4321, 0)  # type 8, checksum, identifier, sequence (RFC 792)
ECHO6 = struct.pack("!BBHHH", 128, 0, 0, 0x4321, 0)


def say(used: socket.socket, pid: int | None = None) -> None:
    print(pid or os.getpid(), used.getsockname()[1], flush=True)


def opened(address: str, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind, protocol)


def connect(remote: tuple[str, int], used: socket.socket | None = None) -> None:
    used = used or opened(remote[0])
    used.connect(remote)
    say(used)


def fork(remote: tuple[str, int]) -> None:
    """The socket is the parent's, the child connects it."""
    used = opened(remote[0])
    if os.fork() == 0:
        connect(remote, used)
        os._exit(0)
    os.wait()


def fork_datagram(remote: tuple[str, int]) -> None:
    used = opened(remote[0], socket.SOCK_DGRAM)
    if os.fork() == 0:
        used.sendto(b"x", remote)
        say(used)
        os._exit(0)
    os.wait()


def thread(remote: tuple[str, int]) -> None:
    """A thread connects: the connection belongs to its process."""
    worker = threading.Thread(target=connect, args=(remote,))
    worker.start()
    worker.join()


def vfork(remote: tuple[str, int]) -> None:
    """posix_spawn(): the child shares its parent's memory until the exec."""
    os.waitpid(os.posix_spawn(sys.executable, [sys.executable, __file__, "connect", remote[0], str(remote[1])], {}), 0)


def hand_on_by_exec(remote: tuple[str, int]) -> None:
    exec_with_3(opened(remote[0]), "take_3", remote)


def exec_with_3(used: socket.socket, way: str, remote: tuple[str, int]) -> None:
    """As systemd hands a socket to the service that it starts: descriptor 3 (sd_listen_fds(3))."""
    os.dup2(used.fileno(), 3)
    os.set_inheritable(3, True)
    os.execv(sys.executable, [sys.executable, __file__, way, remote[0], str(remote[1])])


def take_3(remote: tuple[str, int]) -> None:
    connect(remote, socket.socket(fileno=3))


def pass_on(remote: tuple[str, int]) -> None:
    pass_to(opened(remote[0]), "take_passed", remote)


def pass_to(used: socket.socket, way: str, remote: tuple[str, int]) -> None:
    """SCM_RIGHTS, to a program that did not inherit the socket."""
    mine, others = socket.socketpair()
    child = subprocess.Popen([sys.executable, __file__, way, remote[0], str(remote[1])], stdin=others)
    socket.send_fds(mine, [b"x"], [used.fileno()])
    child.wait()


def passed() -> socket.socket:
    _data, (descriptor,), _flags, _address = socket.recv_fds(socket.socket(fileno=0), 1, 1)
    return socket.socket(fileno=descriptor)


def take_passed(remote: tuple[str, int]) -> None:
    connect(remote, passed())


# From here on: sockets that are connected already. send() names no address, and so no cgroup hook runs for it.


def connected(remote: tuple[str, int]) -> socket.socket:
    used = opened(remote[0], socket.SOCK_DGRAM)
    used.connect(remote)
    return used


def send(used: socket.socket, data: bytes = b"x") -> None:
    used.send(data)
    say(used)


def fork_connected(remote: tuple[str, int]) -> None:
    used = connected(remote)
    if os.fork() == 0:
        send(used)
        os._exit(0)
    os.wait()


def fork_ping(remote: tuple[str, int]) -> None:
    used = opened_ping(remote[0])
    used.connect(remote)
    if os.fork() == 0:
        send(used, echo_for(remote[0]))
        os._exit(0)
    os.wait()


def exec_connected(remote: tuple[str, int]) -> None:
    exec_with_3(connected(remote), "send_3", remote)


def send_3(_remote: tuple[str, int]) -> None:
    send(socket.socket(fileno=3))


def pass_connected(remote: tuple[str, int]) -> None:
    pass_to(connected(remote), "send_passed", remote)


def send_passed(_remote: tuple[str, int]) -> None:
    send(passed())


def pass_raw(remote: tuple[str, int]) -> None:
    pass_to(opened(remote[0], socket.SOCK_RAW, 200), "send_raw", remote)


def send_raw(remote: tuple[str, int]) -> None:
    passed().sendto(b"x" * 20, (remote[0], 0))
    print(os.getpid(), 0, flush=True)


def change_uid_connected(remote: tuple[str, int]) -> None:
    used = connected(remote)
    os.setuid(OTHER_UID)
    send(used)


def change_uid(remote: tuple[str, int]) -> None:
    used = opened(remote[0])
    os.setuid(OTHER_UID)
    connect(remote, used)


def datagram(remote: tuple[str, int]) -> None:
    with opened(remote[0], socket.SOCK_DGRAM) as used:
        used.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        used.sendto(b"x", remote)
        say(used)


def connected_datagram(remote: tuple[str, int]) -> None:
    with opened(remote[0], socket.SOCK_DGRAM) as used:
        used.connect(remote)
        used.send(b"x")
        say(used)


def fast_open(remote: tuple[str, int]) -> None:
    used = opened(remote[0])
    used.sendto(b"x", MSG_FASTOPEN, remote)
    used.recv(1)
    options = used.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5]
    assert options & TCPI_OPT_SYN_DATA, "the server did not take the data of the SYN"
    say(used)


def multipath(remote: tuple[str, int]) -> None:
    connect(remote, opened(remote[0], protocol=IPPROTO_MPTCP))


def hand_on_multipath(remote: tuple[str, int]) -> None:
    exec_with_3(opened(remote[0], protocol=IPPROTO_MPTCP), "take_3", remote)


def pass_on_multipath(remote: tuple[str, int]) -> None:
    pass_to(opened(remote[0], protocol=IPPROTO_MPTCP), "take_passed", remote)


def mapped(remote: tuple[str, int]) -> None:
    """An IPv6 socket that connects to an IPv4 address."""
    used = socket.socket(socket.AF_INET6)
    used.connect((f"::ffff:{remote[0]}", remote[1]))
    say(used)


def mapped_datagram(remote: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as used:
        used.sendto(b"x", (f"::ffff:{remote[0]}", remote[1]))
        say(used)


def ping(remote: tuple[str, int]) -> None:
    """A ping socket (icmp(7)): the kernel writes the socket's port into the echo's identifier."""
    with opened_ping(remote[0]) as used:
        used.sendto(echo_for(remote[0]), (remote[0], 0))
        say(used)


def opened_ping(address: str) -> socket.socket:
    return opened(address, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if ":" in address else socket.IPPROTO_ICMP)


def echo_for(address: str) -> bytes:
    return ECHO6 if ":" in address else ECHO


def raw_echo(remote: tuple[str, int]) -> None:
    protocol = socket.IPPROTO_ICMPV6 if ":" in remote[0] else socket.IPPROTO_ICMP
    with opened(remote[0], socket.SOCK_RAW, protocol) as used:
        used.sendto(echo_for(remote[0]), (remote[0], 0))
        print(os.getpid(), 0x4321, flush=True)


def raw(remote: tuple[str, int]) -> None:
    """A raw socket of a protocol that nothing else uses: 200."""
    with opened(remote[0], socket.SOCK_RAW, 200) as used:
        used.sendto(b"x" * 20, (remote[0], 0))
        print(os.getpid(), 0, flush=True)


def late_answer(remote: tuple[str, int]) -> None:
    """Send one datagram, and end before anyone can look."""
    used = opened(remote[0], socket.SOCK_DGRAM)
    used.sendto(b"x", remote)
    say(used)
    ctypes.CDLL(None)._exit(0)


globals()[sys.argv[1]]((sys.argv[2], int(sys.argv[3])))
