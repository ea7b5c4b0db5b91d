"""A resolver that lies: liar.py ADDRESS OTHER_ADDRESS TRUTH LIE, over UDP and TCP.

The first label of a name in a question says how it is answered. False answers have the address LIE, true ones TRUTH.
"""

import select
import socket
import struct
import sys
from collections.abc import Iterator

BANK = b"\4bank\4test\0\0\1\0\1"


def open_socket(address: str, port: int = 53) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, port))
    return made


def answer(question: bytes, address: str, *, flip: int = 0, asked: bytes = b"", flags: int = 0x8180) -> bytes:
    identifier = int.from_bytes(question[:2]) ^ flip
    record = b"\xc0\x0c\0\1\0\1\0\0\2\x58\0\4" + socket.inet_aton(address)
    return struct.pack("!6H", identifier, flags, 1, 1, 0, 0) + (asked or question[12:]) + record


def lies(kind: str, question: bytes, lie: str) -> Iterator[bytes]:
    """The false answers that are sent before the true one."""
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


def messages(question: bytes, truth: str, lie: str) -> Iterator[bytes]:
    """All answers to a question: the false ones, then the true one."""
    kind = question[13 : 13 + question[12]].decode()
    yield from lies(kind, question, lie)
    yield answer(question, truth)
    if kind == "duplicate":
        yield answer(question, lie)


def serve_stream(client: socket.socket, truth: str, lie: str) -> None:
    """One question (RFC 1035 4.2.2: each message after its length)."""
    question = client.recv(512)[2:]
    for message in messages(question, truth, lie):
        client.sendall(len(message).to_bytes(2) + message)
    client.recv(1)  # until the client has enough
    client.close()


def main() -> None:
    address, other_address, truth, lie = sys.argv[1:]
    server, elsewhere, other_port = open_socket(address), open_socket(other_address), open_socket(address, 5300)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 53), family=family)
    print("listening", flush=True)
    while True:
        if listener in select.select([server, listener], [], [])[0]:
            serve_stream(listener.accept()[0], truth, lie)
            continue
        question, client = server.recvfrom(512)
        if question[13:].startswith(b"wrong-source"):
            for other in (elsewhere, other_port):
                other.sendto(answer(question, lie), client)
        for message in messages(question, truth, lie):
            server.sendto(message, client)


if __name__ == "__main__":
    main()
