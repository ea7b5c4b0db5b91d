"""A TLS client that says a name: for each line `ADDRESS PORT NAME SIZE` it sends a ClientHello in parts of SIZE bytes.

Says `answered`, or the name of the error. One process for all lines. Called with `mptcp` it connects by that.
"""

import errno
import socket
import ssl
import sys

PROTOCOL = socket.IPPROTO_MPTCP if sys.argv[1:] == ["mptcp"] else socket.IPPROTO_TCP


def make_hello(name: str) -> bytes:
    sent = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()
    raise AssertionError("a handshake needs an answer")


def attempt(address: str, port: str, name: str, size: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    hello = make_hello(name)
    with socket.socket(family, socket.SOCK_STREAM, PROTOCOL) as client:
        client.settimeout(60)
        try:
            client.connect((address, int(port)))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(hello), int(size)):
                client.send(hello[at : at + int(size)])
            return "answered" if client.recv(1) else "closed"
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, "TIMEOUT")


for line in sys.stdin:
    print(attempt(*line.split()), flush=True)
