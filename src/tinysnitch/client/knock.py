"""The first step to the daemon's socket. Anyone may knock there as fast as they like, and whoever finds all places in
which to wait for the daemon taken (listen(2)) is turned away at once. So whoever is to come in knocks again. Where that
is in vain for TIMEOUT_S a command ends with an error; a prompt says so, and goes on.
"""

import os
import socket
from pathlib import Path

AGAIN_S = 0.02
TIMEOUT_S = 10.0


def knock(sock: socket.socket, path: str | Path) -> bool:
    """Whether it is connected; else there is no place for it just now. Raises OSError where that is not why."""
    try:
        sock.connect(os.fspath(path))
    except BlockingIOError:
        return False
    return True
