"""A client of the control socket that sends whatever the test gives it, and reads frames as JSON."""

import json
import socket
from contextlib import suppress

from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import Hello, Request

Reply = dict[str, object]


class RawClient:
    """Sends what the test gives it, and reads frames as JSON."""

    def __init__(self, running: RunningServer, *requests: Request) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(running.path))
        self._lines = self.socket.makefile("rb")
        self.send(*requests)

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self.socket.close()

    def send(self, *requests: Request) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # who is refused may read why
            self.socket.sendall(b"".join(map(encode_frame, requests)))

    def read(self, count: int) -> list[Reply]:
        return [json.loads(self._lines.readline()) for _ in range(count)]

    def read_to_end(self) -> list[Reply]:
        replies = []
        try:
            for line in self._lines:
                replies.append(json.loads(line))
        except ConnectionResetError:
            pass
        return replies


def talk(running: RunningServer, *requests: Request) -> list[Reply]:
    """Send requests; all replies but the greeting. The last reply to each request is `done` or `refused`."""
    with RawClient(running, Hello(), *requests) as client:
        client.socket.shutdown(socket.SHUT_WR)
        replies = client.read_to_end()
    assert replies[0]["type"] == "welcome"
    return replies[1:]


def kinds(replies: list[Reply]) -> list[object]:
    return [reply.get("type") or reply["event"] for reply in replies]
