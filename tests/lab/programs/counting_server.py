"""Serves a folder's files by HTTP, and a stream by UDP at one address: `counting_server.py FOLDER STREAM_ADDRESS PORT`.

Once a connection is over, or a stream, it prints as JSON: its own address, and the bytes of the payload, in and out.
"""

import functools
import http.server
import json
import os
import socket
import sys
import threading

DATAGRAM = 1200


def tell(own_address: str, received: int, sent: int) -> None:
    os.write(1, f"{json.dumps([own_address, received, sent])}\n".encode())  # whole: the threads have one pipe


class Counted(socket.socket):
    received = sent = 0

    def recv_into(self, buffer: memoryview, size: int = 0, flags: int = 0) -> int:  # type: ignore[override]
        count = super().recv_into(buffer, size, flags)
        self.received += count
        return count

    def sendall(self, data: bytes, flags: int = 0, /) -> None:  # type: ignore[override]
        super().sendall(data, flags)
        self.sent += len(data)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 200

    def get_request(self) -> tuple[Counted, tuple[str, int]]:
        accepted, remote = self.socket.accept()
        return Counted(fileno=accepted.detach()), remote

    def shutdown_request(self, request: Counted) -> None:  # type: ignore[override]
        own_address = request.getsockname()[0]
        super().shutdown_request(request)
        tell(own_address, request.received, request.sent)


class Files(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # a connection may have several requests

    def log_message(self, *_words: object) -> None:
        pass


def stream(address: str, port: int) -> None:
    """Answer a number with so many datagrams; of one player at a time, until it says `end`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        received = sent = 0
        while True:
            data, player = server.recvfrom(2000)
            received += len(data)
            for _ in range(int(data) if data.isdigit() else 0):
                sent += server.sendto(bytes(DATAGRAM), player)
            if data == b"end":
                tell(address, received, sent)
                received = sent = 0


def main() -> None:
    folder, stream_address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    threading.Thread(target=stream, args=[stream_address, port], daemon=True).start()
    with Server(("0.0.0.0", port), functools.partial(Files, directory=folder)) as server:
        print("listening", flush=True)
        server.serve_forever()


main()
