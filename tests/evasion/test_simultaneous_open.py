"""Simultaneous open: both ends connect to each other's port (RFC 9293 3.5), and neither needs a listening socket.

The SYN that comes in is judged as any other.
"""

import subprocess

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.lab import Lab
from tests.lab.patience import read_line
from tests.lab.world import HOST4, WORLD4

pytestmark = [pytest.mark.privileged]

OURS, THEIRS = 7001, 7002
# Connects from a port of its own, again and again, until it is connected or its stdin is closed.
CONNECT = """
import select, socket, sys
own, remote, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("connecting", flush=True)
while not select.select([sys.stdin], [], [], 0.05)[0]:
    asks = socket.socket()
    asks.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    asks.settimeout(float(sys.argv[4]))
    asks.bind(("", own))
    if not asks.connect_ex((remote, port)):
        print("connected")
        break
    asks.close()
"""


@pytest.mark.parametrize(
    ("rules", "is_through"),
    [("", False), ("deny - - tcp-src\n", False), ("allow - - tcp-src\n", True)],
)
def test_what_comes_in_is_judged_though_nobody_listens(lab: Lab, rules: str, is_through: bool) -> None:
    """Our own SYN is held all the time. Only a rule that lets the remote in connects them, as with a listener."""
    daemon = lab.start_daemon(rules)
    words = [PYTHON, "-c", CONNECT]
    here = lab.spawn([*words, str(OURS), WORLD4, str(THEIRS), "60"], user=ATTACKER, stdin=subprocess.PIPE)
    assert read_line(here) == "connecting\n"
    daemon.wait_ask(direction="outbound", remote_port=THEIRS)
    there = lab.spawn_world([*words, str(THEIRS), HOST4, str(OURS), "1"], stdin=subprocess.PIPE)
    if rules:
        record = daemon.wait_connection(direction="inbound", local_port=OURS)
        assert record["verdict"] == ("allow" if is_through else "deny")
    else:
        daemon.wait_ask(direction="inbound", local_port=OURS)
    if is_through:
        assert read_line(here) == "connected\n"
    assert ("connected" in there.communicate()[0]) == is_through
