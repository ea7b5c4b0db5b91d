"""A resolver that lies: liar.py ADDRESS TRUE_ADDRESS LIE [ADDRESS ...]; further addresses answer honestly on port 53.

The first label of a question says how it is answered. Each answer but the honest ones gives the LIE.
"""

import socket
import struct
import sys
from collections.abc import Iterator

BANK = b"\4bank\4test\0\0\1\0\1"


def open_socket(address: str, port: int = 53) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # another resolver has the port on every address
    made.bind((address, port))
    return made


def answer(question: bytes, address: str, *, flip: int = 0, asked: bytes = b"", flags: int = 0x8180) -> bytes:
    identifier = int.from_bytes(question[:2]) ^ flip
    record = b"\xc0\x0c\0\1\0\1\0\0\2\x58\0\4" + socket.inet_aton(address)
    return struct.pack("!6H", identifier, flags, 1, 1, 0, 0) + (asked or question[12:]) + record


def lies(kind: str, question: bytes, lie: str) -> Iterator[bytes]:
    """What is sent before the truth."""
    if kind == "unsolicited":
        yield answer(question, lie, flip=0x5555, asked=BANK)
    elif kind == "wrong-id":
        yield answer(question, lie, flip=1)
    elif kind == "wrong-question":
        yield answer(question, lie, asked=BANK)
    elif kind == "wrong-type":
        yield answer(question, lie, asked=question[12:-4] + b"\0\x1c\0\1")
    elif kind == "loop":
        yield answer(question, lie)[: -len(question[12:]) - 16] + b"\xc0\x0c\0\1\0\1" * 2
    elif kind == "oversized":
        yield answer(question, lie) + bytes(9000)
    elif kind == "cut":
        yield answer(question, lie)[:-2]
    elif kind == "garbage":
        yield b"\xff" * 40


def main() -> None:
    address, truth, lie, *_ = sys.argv[1:]
    server, elsewhere, other_port = open_socket(address), open_socket(lie), open_socket(address, 5300)
    print("listening", flush=True)
    while True:
        question, client = server.recvfrom(512)
        kind = question[13 : 13 + question[12]].decode()
        for wrong in lies(kind, question, lie):
            server.sendto(wrong, client)
        if kind == "wrong-source":
            for other in (elsewhere, other_port):
                other.sendto(answer(question, lie), client)
        server.sendto(answer(question, truth), client)
        if kind == "duplicate":
            server.sendto(answer(question, lie), client)


if __name__ == "__main__":
    main()
