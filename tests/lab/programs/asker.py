"""Asks a resolver, then connects: asker.py RESOLVER NAME COUNT ADDRESS ... takes so many datagrams first.

Prints how many datagrams came.
"""

import contextlib
import socket
import struct
import sys

TIMEOUT_S = 20


def main() -> None:
    resolver, name, count, *addresses = sys.argv[1:]
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack("!6H", 0x1234, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT_S)
        client.sendto(question, (resolver, 53))
        came = [client.recv(65535) for _ in range(int(count))]
    for address in addresses:
        with contextlib.suppress(OSError), socket.create_connection((address, 80), timeout=TIMEOUT_S):
            pass
    print(len(came))


if __name__ == "__main__":
    main()
