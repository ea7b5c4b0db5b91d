"""Binds a port and hands the socket on: `pass_on.py WAY tcp|mptcp|udp ADDRESS PORT`.

Prints `bound PID`. For each line `take` on stdin it takes one visit itself; after any other line it hands the socket
on. The process that has the socket then prints `serving PID`, and takes what comes.
"""

import os
import signal
import socket
import subprocess
import sys

NOBODY = 65534
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "mptcp": socket.IPPROTO_MPTCP, "udp": socket.IPPROTO_UDP}


def open_bound(kind: str, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM, PROTOCOLS[kind])
    bound.bind((address, port))
    if kind != "udp":
        bound.listen()
    return bound


def take(used: socket.socket) -> None:
    if used.type == socket.SOCK_STREAM:
        visitor, _address = used.accept()
        visitor.recv(1)
        visitor.close()
    else:
        used.recv(10)


def serve(used: socket.socket) -> None:
    print("serving", os.getpid(), flush=True)
    while True:
        take(used)


def execute(used: socket.socket) -> None:
    """As systemd hands a socket to the service that it starts: descriptor 3 (sd_listen_fds(3))."""
    os.dup2(used.fileno(), 3)
    os.set_inheritable(3, True)
    os.execv(sys.executable, [sys.executable, __file__, "inherited", *sys.argv[2:]])


def activate(used: socket.socket) -> None:
    """The activator keeps its copy, to start the service anew when that has ended."""
    if os.fork() == 0:
        execute(used)
    signal.pause()


def activate_and_close(used: socket.socket) -> None:
    if os.fork() == 0:
        execute(used)
    used.close()
    signal.pause()


def pass_on(used: socket.socket) -> None:
    """SCM_RIGHTS, to a program that has no other socket of ours; the process that passed it ends."""
    mine, others = socket.socketpair()
    subprocess.Popen([sys.executable, __file__, "passed", *sys.argv[2:]], stdin=others)
    socket.send_fds(mine, [b"x"], [used.fileno()])
    mine.recv(1)


def pass_on_and_close(used: socket.socket) -> None:
    pass_on(used)
    used.close()
    signal.pause()


def pass_on_and_keep(used: socket.socket) -> None:
    pass_on(used)
    signal.pause()


def become_daemon(used: socket.socket) -> None:
    if os.fork() == 0:
        serve(used)


def change_user(used: socket.socket) -> None:
    os.setuid(NOBODY)
    serve(used)


def fork_worker(used: socket.socket) -> None:
    """As nginx does: root binds, and a worker of another user takes what comes."""
    if os.fork() == 0:
        change_user(used)
    signal.pause()


def receive() -> socket.socket:
    sender = socket.socket(fileno=0)
    _data, (descriptor,), _flags, _address = socket.recv_fds(sender, 1, 1)
    sender.send(b"x")
    return socket.socket(fileno=descriptor)


def main(way: str, kind: str, address: str, port: int) -> None:
    if way == "inherited":
        serve(socket.socket(fileno=3))
    if way == "passed":
        serve(receive())
    bound = open_bound(kind, address, port)
    print("bound", os.getpid(), flush=True)
    while sys.stdin.readline() == "take\n":
        take(bound)
    globals()[way](bound)


main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
