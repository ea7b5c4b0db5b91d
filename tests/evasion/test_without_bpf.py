"""Without BPF a datagram's program is found by the socket that it was sent from.

If that socket is gone or connected elsewhere, the datagram is `unknown`: it is not taken for that of another program
which has a socket on the same port.
"""

import subprocess
from collections.abc import Iterator

import pytest

from tests.evasion.stage import ATTACKER, ELSEWHERE, PYTHON
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import read_line
from tests.lab.world import MORE_WORLD4, WORLD4

pytestmark = [pytest.mark.privileged]

SHARED, FAR = 5353, 9  # programs share the port of mDNS
WAYS = {"closes": WORLD4, "leaves": MORE_WORLD4[1]}  # each with a remote of its own
# Shares the port and sends to an address; then closes its socket or connects it elsewhere, so that none fits any more.
SENDER = f"""
import socket, sys
used = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
used.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
used.bind(("0.0.0.0", {SHARED}))
used.sendto(b"x", (sys.argv[1], {FAR}))
match sys.argv[2]:
    case "closes":
        used.close()
    case "leaves":
        used.connect(("127.0.0.1", 1))
print("sent", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def daemon(lab: Lab) -> Daemon:
    """Allows what the honest program sends, but for its datagram to ELSEWHERE, which is held all the time."""
    honest = lab.folder / "honest.py"
    honest.write_text(SENDER)
    daemon = lab.start_daemon(f"allow - {FAR} udp {honest}\nask {ELSEWHERE} {FAR} udp {honest}\n", "--no-bpf")
    lab.spawn([PYTHON, str(honest), ELSEWHERE, "stays"], stdin=subprocess.PIPE)
    assert daemon.wait_ask(remote_address=ELSEWHERE)["program"] == str(honest)
    return daemon


@pytest.mark.parametrize("way", WAYS)
def test_a_datagram_from_a_shared_port_is_not_its_other_users(lab: Lab, daemon: Daemon, way: str) -> None:
    sender = lab.spawn([PYTHON, "-c", SENDER, WAYS[way], way], user=ATTACKER, stdin=subprocess.PIPE)
    assert read_line(sender) == "sent\n"
    record = daemon.wait_for(lambda record: record.get("remote_address") == WAYS[way])
    assert (record["event"], record["program"]) == ("ask", "unknown")
    sender.kill()
