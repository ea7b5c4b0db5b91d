"""A daemon that says what the test wants, whatever it is asked."""

import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

from tests.lab.patience import WAIT_S
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import Done, Refused, Welcome

# It lets the client in, answers that it attaches, and refuses what nobody asked.
UNASKED = b"".join(map(encode_frame, (Welcome(), Done(), Refused("go away", "ask root"))))


class OddDaemon:
    """Says the given bytes to the first client, then closes or is silent."""

    def __init__(self, path: Path, says: bytes, closes: bool = True, is_killed: bool = False) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(1)
        self._says = says
        self._closes = closes
        self._is_killed = is_killed
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._socket, self._socket.accept()[0] as peer:
            with suppress(OSError):  # a client may leave in the middle
                peer.sendall(self._says)
            if self._is_killed:  # with something unread, which resets the connection
                select.select([peer], [], [])
            if not self._closes:
                self._over.wait()

    def __enter__(self) -> "OddDaemon":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(WAIT_S)
