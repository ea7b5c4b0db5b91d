"""Takes what comes to a port, until it is killed: `receiver.py tcp|udp ADDRESS PORT [FLAG...] [called NAME]`.

Flags: `reuse_port`, `reuse_address`, `mptcp`; `device`: binds to eth0; `leaves`: binds to lo once something has come.
`called`: sets the process's name (comm). Prints `listening`, then `got` for each connection or datagram.
"""

import socket
import sys
from pathlib import Path

if "called" in sys.argv:
    Path("/proc/self/comm").write_text(sys.argv[-1])
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
protocol = socket.IPPROTO_MPTCP if "mptcp" in sys.argv else 0
with socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET, kind, protocol) as server:
    if "reuse_port" in sys.argv:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if kind == socket.SOCK_STREAM or "reuse_address" in sys.argv:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if "device" in sys.argv:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    server.bind((sys.argv[2], int(sys.argv[3])))
    if kind == socket.SOCK_STREAM:
        server.listen(1024)
    print("listening", flush=True)
    while True:
        if kind == socket.SOCK_STREAM:
            client, _remote = server.accept()
            with client:
                client.recv(1)
        else:
            server.recv(2048)
        if "leaves" in sys.argv:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        print("got", flush=True)
