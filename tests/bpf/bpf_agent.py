"""Runs inside the namespace and cgroup of a BPF test and does what it is told: a JSON call a line, a result a line."""

import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable

SO_COOKIE = 57  # socket(7), asm-generic/socket.h
_PATIENCE_S = 50.0  # for what is sure to come: less than whoever called waits for

_sockets: dict[int, socket.socket] = {}
_children: list[int] = []


def open_socket(family: str, kind: str, protocol: int = 0) -> list[int]:
    """The handle and the cookie of a new socket."""
    opened = socket.socket(getattr(socket, family), getattr(socket, kind), protocol)
    opened.settimeout(_PATIENCE_S)
    _sockets[opened.fileno()] = opened
    return [opened.fileno(), int.from_bytes(opened.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder)]


def send_frame(handle: int, interface: str, frame: list[int] | None = None) -> int:
    """Send a frame through a packet socket. None: one of an experimental type (IEEE 802)."""
    data = bytes(frame or [*bytes(12), 0x88, 0xB5, *bytes(46)])
    return _sockets[handle].sendto(data, (interface, int.from_bytes(data[12:14], "big")))


def bind(handle: int, address: str, port: int) -> int:
    _sockets[handle].bind((address, port))
    return int(_sockets[handle].getsockname()[1])


def listen(handle: int) -> None:
    _sockets[handle].listen()


def reuse_address(handle: int) -> None:
    _sockets[handle].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def set_option(handle: int, level: str, option: int, value: list[int]) -> str:
    return _attempt(lambda: _sockets[handle].setsockopt(getattr(socket, level), option, bytes(value)))


def local_port(handle: int) -> int:
    return int(_sockets[handle].getsockname()[1])


def connect(handle: int, address: str, port: int, timeout_s: float = _PATIENCE_S) -> str:
    """Connect; returns the name of the error, empty when it worked."""
    _sockets[handle].settimeout(timeout_s)
    return _attempt(lambda: _sockets[handle].connect((address, port)))


def wait_connected(handle: int) -> str:
    """Wait for the end of a connect() that timed out here and goes on in the kernel."""
    waiting = _sockets[handle]
    select.select([], [waiting], [], 60)
    number = waiting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode[number] if number else ""


def wait_subflow(handle: int, timeout_s: float = 60) -> bool:
    """Wait for another path of an MPTCP connection. No event tells of it, so ask (linux/mptcp.h, MPTCP_INFO)."""
    sol_mptcp, mptcp_info = 284, 1
    deadline_s = time.monotonic() + timeout_s
    while not _sockets[handle].getsockopt(sol_mptcp, mptcp_info, 1)[0]:  # mptcpi_subflows
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def disconnect(handle: int) -> str:
    """connect() with AF_UNSPEC, which Python's own cannot say: connect(2)."""
    address = struct.pack("=H14x", socket.AF_UNSPEC)
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.connect(handle, address, len(address))
    return errno.errorcode[ctypes.get_errno()] if failed else ""


def send_to(handle: int, address: str, port: int) -> str:
    return _attempt(lambda: _sockets[handle].sendto(b"x", (address, port)))


def send_many(address: str, port: int, seconds: float) -> None:
    """Send as fast as possible, whether anybody takes it or not."""
    end_s = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while time.monotonic() < end_s:
            sender.sendto(b"x", (address, port))


def send_to_each(handle: int, address: str, first: int, count: int) -> None:
    """Send to one port after the other as fast as possible, even if some refuse it."""
    for port in range(first, first + count):
        send_to(handle, address, port)


def send_as(handle: int, uid: int, address: str, port: int) -> None:
    """A child of another user sends."""
    pid = os.fork()
    if pid == 0:
        os.setuid(uid)
        send_to(handle, address, port)
        os._exit(0)
    os.waitpid(pid, 0)


def bind_and_close(address: str, port: int, seconds: float, is_shared: bool = False) -> None:
    """Open one socket after the other. A closed one lives on while any process of the machine looks at /proc/PID/fd."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, is_shared)
            _attempt(lambda opened=opened: opened.bind((address, port)))


def send(handle: int, text: str) -> str:
    return _attempt(lambda: _sockets[handle].send(text.encode()))


def send_raw(handle: int, address: str, data: list[int]) -> str:
    return _attempt(lambda: _sockets[handle].sendto(bytes(data), (address, 0)))


def wait_sent(handle: int) -> None:
    """Wait until nothing that the socket sent is on its way (udp(7), SIOCOUTQ): a kernel thread may do the rest."""
    left = bytearray(4)
    while True:
        fcntl.ioctl(_sockets[handle], termios.TIOCOUTQ, left)
        if not any(left):
            return
        os.sched_yield()


def receive(handle: int, timeout_s: float = _PATIENCE_S) -> str:
    """What was received, empty when nothing came."""
    _sockets[handle].settimeout(timeout_s)
    try:
        return _sockets[handle].recv(4096).decode("latin1")
    except TimeoutError:
        return ""


def move(handle: int, least: int) -> int:
    """Move the socket to a descriptor that is no lower than `least`; its new handle."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (least + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    moved = fcntl.fcntl(handle, fcntl.F_DUPFD, least)
    close(handle)
    _sockets[moved] = socket.socket(fileno=moved)
    return moved


def close(handle: int) -> None:
    _sockets.pop(handle).close()


def fork() -> int:
    """A child that waits for its end."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    return pid


def run_thread() -> None:
    """Run a thread to its end, and wait until it is gone: by then the kernel has told of its end."""
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    while len(os.listdir("/proc/self/task")) > 1:
        os.sched_yield()


def fork_and_send(handle: int, address: str, port: int, data: list[int] | None = None) -> int:
    """A child that uses the socket once and is gone: its pid."""
    pid = os.fork()
    if pid == 0:
        _sockets[handle].sendto(bytes(data or b"x"), (address, port))
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def end_child(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def spawn_with(handle: int, *argv: str) -> int:
    """The pid of a program that was started with the socket, once it runs."""
    os.set_inheritable(handle, True)
    try:
        _children.append(os.posix_spawn(argv[0], argv, {}))
    finally:
        os.set_inheritable(handle, False)
    return _children[-1]


def run_with(handle: int, *argv: str) -> int:
    """The exit status of a program that was started with the socket."""
    status = os.waitpid(spawn_with(handle, *argv), 0)[1]
    _children.pop()
    return os.waitstatus_to_exitcode(status)


def accept_as(handle: int, uid: int) -> int:
    """The pid of a child, as another user, that accepts one connection, asks for its remote, says so, and stays."""
    pid = os.fork()
    if pid == 0:
        os.setuid(uid)
        _sockets[handle].settimeout(60)
        accepted, _address = _sockets[handle].accept()
        accepted.getpeername()
        accepted.send(b"x")
        signal.pause()
        os._exit(0)
    _children.append(pid)
    return pid


def accept(handle: int) -> int:
    accepted, _address = _sockets[handle].accept()
    accepted.settimeout(_PATIENCE_S)
    _sockets[accepted.fileno()] = accepted
    return accepted.fileno()


def ask_peer_as(handle: int, uid: int) -> None:
    """A child, as another user, that asks for the remote's address."""
    pid = os.fork()
    if pid == 0:
        os.setuid(uid)
        _sockets[handle].getpeername()
        os._exit(0)
    os.waitpid(pid, 0)


def end_children() -> None:
    while _children:
        end_child(_children.pop())


def run_many(count: int, *argv: str) -> None:
    for _ in range(count):
        os.waitpid(os.posix_spawn(argv[0], argv, {}), 0)


def netns_cookie() -> int:
    with socket.socket() as any_socket:
        so_netns_cookie = 71  # asm-generic/socket.h
        return int.from_bytes(any_socket.getsockopt(socket.SOL_SOCKET, so_netns_cookie, 8), sys.byteorder)


def _attempt(call: Callable[[], object]) -> str:
    try:
        call()
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def main() -> None:
    print(flush=True)  # noqa: T201  (all the execs that led here are done)
    for line in sys.stdin:
        name, *args = json.loads(line)
        print(json.dumps(globals()[name](*args)), flush=True)  # noqa: T201  (the way back to the test)


if __name__ == "__main__":
    main()
