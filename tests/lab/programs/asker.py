"""Asks a resolver for a name, waits for COUNT messages, and connects to port 80 of each address; prints COUNT.

asker.py udp|twice|tcp RESOLVER NAME COUNT ADDRESS ...

`twice` sends the question twice over UDP, as programs do that had no answer in time.
"""

import contextlib
import socket
import struct
import sys

TIMEOUT_S = 60


def receive(client: socket.socket) -> bytes:
    """The next DNS message: a datagram, or what follows its length in a stream."""
    if client.type == socket.SOCK_DGRAM:
        return client.recv(65535)
    return read_whole(client, int.from_bytes(read_whole(client, 2)))


def read_whole(client: socket.socket, size: int) -> bytes:
    """Read so many bytes. MSG_WAITALL would not wait: Python makes a socket with a time limit non-blocking."""
    came = bytearray()
    while len(came) < size:
        piece = client.recv(size - len(came))
        assert piece, "the stream has ended"
        came += piece
    return bytes(came)


def main() -> None:
    protocol, resolver, name, count, *addresses = sys.argv[1:]
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack("!6H", 0x1234, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if ":" in resolver else socket.AF_INET, kind) as client:
        client.settimeout(TIMEOUT_S)
        if protocol == "tcp":
            client.connect((resolver, 53))
            client.send(len(question).to_bytes(2) + question)
        else:
            client.sendto(question, (resolver, 53))  # not connected: then what comes from elsewhere is heard, too
            if protocol == "twice":
                client.sendto(question, (resolver, 53))
        came = [receive(client) for _ in range(int(count))]
    for address in addresses:
        with contextlib.suppress(OSError), socket.create_connection((address, 80), timeout=TIMEOUT_S):
            pass
    print(len(came))


if __name__ == "__main__":
    main()
