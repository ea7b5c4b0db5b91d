"""A listening socket whose queue of connections is full, until the test makes room."""

import socket
from pathlib import Path

from tinysnitch.client.knock import knock


class FullSocket:
    def __init__(self, path: Path) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(0)
        self._waiting: list[socket.socket] = []
        while self._waits(path):
            pass

    def _waits(self, path: Path) -> bool:
        self._waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        return knock(self._waiting[-1], path)

    def make_room(self) -> None:
        """Drop all waiting connections: what is accepted from now on came later."""
        for _ in self._waiting[:-1]:
            self.server.accept()[0].close()

    def __enter__(self) -> "FullSocket":
        return self

    def __exit__(self, *_: object) -> None:
        for each in (*self._waiting, self.server):
            each.close()
