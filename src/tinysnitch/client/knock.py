"""What a client does before the daemon hears it: connects to its socket, and encodes requests that it will read.

Any user may fill the queue of waiting connections (listen(2)). A connect() to a full queue fails at once, so clients
call `knock` again every AGAIN_S. After TIMEOUT_S in vain a command ends with an error; a prompt says so, and goes on
trying.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tinysnitch.client.connection_error import error_of_connect, error_of_silence
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.framing import MAX_FRAME, encode_frame
from tinysnitch.protocol.messages import Request

AGAIN_S = 0.02
TIMEOUT_S = 10.0


@contextmanager
def connecting(path: str | Path, flags: int = 0) -> Iterator[socket.socket]:
    """A socket to connect in the `with` block; if that fails it is closed, and an OSError becomes a SnitchError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | flags)
    with ExitStack() as undo:
        undo.callback(sock.close)
        try:
            yield sock
        except TimeoutError:
            raise error_of_silence(path) from None
        except OSError as error:
            raise error_of_connect(error, path) from error
        undo.pop_all()


def knock(sock: socket.socket, path: str | Path) -> bool:
    """Whether the socket is connected now; False if the queue is full. Raises OSError for any other failure."""
    try:
        sock.connect(os.fspath(path))
    except BlockingIOError:
        return False
    return True


def connect_at_once(path: str | Path) -> socket.socket | None:
    """A connected socket, which does not block; None if the queue is full. Raises SnitchError.

    Does not wait: a Unix socket connects or fails at once (unix(7)).
    """
    with connecting(path, socket.SOCK_NONBLOCK) as connection:
        if knock(connection, path):
            return connection
    connection.close()
    return None


def encode_request(request: Request) -> bytes:
    """The frame of a request. Raises SnitchError if it is longer than the daemon takes."""
    frame = encode_frame(request)
    size = len(frame) - 1  # the limit does not count the newline
    if size > MAX_FRAME:
        problem = f"the request is too long: {size} bytes, and the daemon takes {MAX_FRAME}"
        raise SnitchError(problem, "shorten it")
    return frame
