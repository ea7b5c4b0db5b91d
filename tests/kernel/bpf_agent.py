"""Runs inside the namespace and cgroup of a BPF test and does what it is told: one JSON call a line, one result a line."""

import errno
import json
import os
import signal
import socket
import sys
from typing import Any

SO_COOKIE = 57  # socket(7), asm-generic/socket.h
_TIMEOUT_S = 0.3  # for what netfilter swallows; a refusal comes at once

_sockets: dict[int, socket.socket] = {}


def open_socket(family: str, kind: str, protocol: int = 0) -> list[int]:
    """Its handle and its cookie."""
    opened = socket.socket(getattr(socket, family), getattr(socket, kind), protocol)
    opened.settimeout(_TIMEOUT_S)
    _sockets[opened.fileno()] = opened
    return [opened.fileno(), int.from_bytes(opened.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder)]


def bind(handle: int, address: str, port: int) -> int:
    _sockets[handle].bind((address, port))
    return int(_sockets[handle].getsockname()[1])


def listen(handle: int) -> None:
    _sockets[handle].listen()


def set_option(handle: int, level: int, option: int, value: int) -> None:
    _sockets[handle].setsockopt(level, option, value)


def local_port(handle: int) -> int:
    return int(_sockets[handle].getsockname()[1])


def connect(handle: int, address: str, port: int) -> str:
    """The error's name, empty when it worked."""
    return _attempt(_sockets[handle].connect, (address, port))


def connect_new(family: str, kind: str, address: str, port: int, local_port: int = 0) -> str:
    """On a fresh socket, closed again."""
    with socket.socket(getattr(socket, family), getattr(socket, kind)) as fresh:
        fresh.settimeout(_TIMEOUT_S)
        fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        fresh.bind(("", local_port))
        return _attempt(fresh.connect, (address, port))


def send_to(handle: int, address: str, port: int, text: str = "x") -> str:
    return _attempt(_sockets[handle].sendto, text.encode(), (address, port))


def send_raw(handle: int, address: str, data: list[int]) -> str:
    return _attempt(_sockets[handle].sendto, bytes(data), (address, 0))


def receive(handle: int) -> str:
    """What came, empty when nothing does."""
    try:
        return _sockets[handle].recv(4096).decode("latin1")
    except TimeoutError:
        return ""


def close(handle: int) -> None:
    _sockets.pop(handle).close()


def fork() -> int:
    """A child that waits for its end."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    return pid


def end_child(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def run_many(count: int, *argv: str) -> None:
    for _ in range(count):
        os.waitpid(os.posix_spawn(argv[0], argv, {}), 0)


def netns_cookie() -> int:
    with socket.socket() as any_socket:
        so_netns_cookie = 71  # asm-generic/socket.h
        return int.from_bytes(any_socket.getsockopt(socket.SOL_SOCKET, so_netns_cookie, 8), sys.byteorder)


def _attempt(call: Any, *args: Any) -> str:
    try:
        call(*args)
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def main() -> None:
    for line in sys.stdin:
        name, *args = json.loads(line)
        print(json.dumps(globals()[name](*args)), flush=True)  # noqa: T201  (the way back to the test)


if __name__ == "__main__":
    main()
