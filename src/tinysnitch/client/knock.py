"""Connects to the daemon's socket, whose queue of waiting connections (listen(2)) any user may fill.

A connect() to a full queue fails at once, so clients call `knock` again every AGAIN_S. After TIMEOUT_S in vain a
command ends with an error; a prompt says so, and goes on trying.
"""

import os
import socket
from pathlib import Path

AGAIN_S = 0.02
TIMEOUT_S = 10.0


def knock(sock: socket.socket, path: str | Path) -> bool:
    """Whether the socket is connected now; False if the queue is full. Raises OSError for any other failure."""
    try:
        sock.connect(os.fspath(path))
    except BlockingIOError:
        return False
    return True
