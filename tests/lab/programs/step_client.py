"""Makes one connection for each line `tcp ADDRESS PORT` or `udp ADDRESS PORT`; prints `ok` or the name of the error.

`resolve NAME PORT` looks the name up instead, and prints its IPv4 address. With `fork` in front of a line a forked
child does it, and ends.
"""

import errno
import os
import socket
import sys


def attempt(protocol: str, address: str, port: str) -> str:
    if protocol == "resolve":
        return str(socket.getaddrinfo(address, port, socket.AF_INET)[0][4][0])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as client:
        client.settimeout(60)
        try:
            client.connect((address, int(port)))
            if protocol == "udp":
                client.send(b"ping")
                client.recv(16)
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, "TIMEOUT")
        return "ok"


def attempt_in_fork(protocol: str, address: str, port: str) -> str:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, attempt(protocol, address, port).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(reader, 64).decode()


for line in sys.stdin:
    first, *rest = line.split()
    print(attempt_in_fork(*rest) if first == "fork" else attempt(first, *rest), flush=True)
