"""A datagram comes in while its receiver ends: the kernel frees the memory of a process before it closes its sockets.

In between the process can hardly be looked at, but its socket still takes what comes.
"""

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_listening
from tests.lab.watched_lab import PYTHON
from tests.lab.world import HOST4

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

# The server has as much memory as servers usually have, so that freeing it takes a moment. Each visit is a new flow.
SERVER = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("", 138))
    memory = b"x" * (100 << 20)
    print("listening", flush=True)
    while True:
        server.recv(99)
"""
VISITORS = """
import socket, sys, time
print("listening", flush=True)
while True:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as visitor:
        visitor.sendto(b"x", (sys.argv[1], 138))
    time.sleep(0.001)
"""


def test_nobody_is_asked_about_an_unknown_program_meanwhile(lab: Lab) -> None:
    path = lab.folder / "server.py"
    path.write_text(SERVER)
    daemon = lab.start_daemon(f"allow - 138 udp-src {path}\n")
    visitors = lab.spawn_world([PYTHON, "-c", VISITORS, HOST4])
    wait_listening(visitors)
    for _ in range(12):
        server = lab.spawn([PYTHON, str(path)])
        wait_listening(server)
        daemon.wait_connection(pid=server.pid, verdict="allow")  # all that came while the one before ended is judged
        assert daemon.records("ask") == []
        server.kill()
        server.wait(timeout=WAIT_S)
    visitors.kill()
