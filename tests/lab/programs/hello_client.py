"""A TLS client: for each line `ADDRESS PORT NAME SIZE` it sends a ClientHello for the name, in parts of SIZE bytes.

Prints `answered`, or the name of the error. With the argument `mptcp` it connects by MPTCP; with `fast_open` its SYN
has the first part already (RFC 7413), and the same socket is used for each connection.
"""

import ctypes
import errno
import socket
import ssl
import sys

PROTOCOL = socket.IPPROTO_MPTCP if sys.argv[1:] == ["mptcp"] else socket.IPPROTO_TCP
MSG_FASTOPEN, TCP_FASTOPEN_NO_COOKIE = 0x20000000, 34  # linux/socket.h, linux/tcp.h


def make_hello(name: str) -> bytes:
    sent = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()
    raise AssertionError("a handshake needs an answer")


def attempt(address: str, port: str, name: str, size: str) -> str:
    hello = make_hello(name)
    with connect(address, int(port)) as client:
        return talk(client, hello, int(size))


def connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM, PROTOCOL)
    client.connect((address, port))
    return client


def talk(client: socket.socket, hello: bytes, size: int) -> str:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(hello), size):
        client.send(hello[at : at + size])
    return "answered" if client.recv(1) else "closed"


def attempt_anew(address: str, port: str, name: str, size: str) -> str:
    """Connect again by the socket that was used before."""
    hello = make_hello(name)
    ctypes.CDLL(None).connect(used.fileno(), bytes(16), 16)  # AF_UNSPEC
    used.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    sent = used.sendto(hello[: int(size)], MSG_FASTOPEN, (address, int(port)))
    return talk(used, hello[sent:], int(size))


socket.setdefaulttimeout(60)
used = socket.socket()
if __name__ == "__main__":
    for line in sys.stdin:
        try:
            print((attempt_anew if "fast_open" in sys.argv else attempt)(*line.split()), flush=True)
        except OSError as error:
            print(errno.errorcode.get(error.errno or 0, "TIMEOUT"), flush=True)
