"""DNS over TCP is read on every established connection to a resolver, whatever other programs do, and on no other."""

import re
import subprocess
import sys

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until, wait_until
from tests.lab.queue_counter import count_queued
from tests.lab.world import HOST4, MORE_WORLD4, WORLD4

pytestmark = [pytest.mark.privileged]

# Connects to the resolver; after a line on stdin asks it for a name, and connects to the address in the answer.
ASK = f"""
import socket, sys
import dns.message, dns.query
resolver = socket.create_connection(("{WORLD4}", 53))
print("ready", flush=True)
sys.stdin.readline()
answer = dns.query.tcp(dns.message.make_query("shop.test", "A"), "{WORLD4}", sock=resolver, timeout=60)
socket.create_connection((answer.answer[0][0].address, 80))
"""
# Begins more flows than the table `flows` has room for. All of them are denied.
FLOOD = f"""
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(120_000):
    try:
        sender.sendto(b"x", (("{WORLD4}", "{MORE_WORLD4[0]}")[number % 2], 1024 + number // 2))
    except OSError:
        pass
"""
REFUSED = f"""
import socket
with socket.socket() as client:
    client.bind(("{HOST4}", 7600))
    print(client.connect_ex(("{WORLD4}", 53)))
"""
# Makes a connection and ends it as usual (TIME_WAIT), or resets it.
OVER = f"""
import socket, struct, sys
with socket.socket() as client:
    client.bind(("{HOST4}", 7600))
    client.connect(("{WORLD4}", 53))
    if sys.argv[1] == "broken off":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        client.shutdown(socket.SHUT_WR)
        client.recv(1)
"""
# Sends TCP segments with data that belong to no connection, from the resolver's port. Their checksum is wrong.
STRAYS = 20
STRAY = f"""
import socket, struct
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
for number in range({STRAYS}):
    raw.sendto(struct.pack("!HHIIBBHHH", 53, 7600, number, 1, 5 << 4, 0x18, 1024, 0, 0) + b"data", ("{HOST4}", 0))
"""


def test_a_full_table_of_flows_does_not_keep_others_names_from_being_learned(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 53 tcp\nallow - 80 tcp\n", timeout_s=0)
    asking = lab.spawn([sys.executable, "-c", ASK], stdin=subprocess.PIPE)
    read_until(asking, lambda said: said)
    assert lab.run([PYTHON, "-c", FLOOD], timeout_s=3 * WAIT_S, user=ATTACKER).returncode == 0
    assert asking.communicate("\n", timeout=WAIT_S)[0] == ""
    assert daemon.wait_connection(remote_port=80)["name"] == "shop.test"


def test_what_follows_a_connection_that_was_denied_is_not_read(lab: Lab) -> None:
    lab.start_daemon(f"deny {WORLD4} 53 tcp\n")
    assert lab.run([PYTHON, "-c", REFUSED]).stdout == "111\n"
    assert_stray_is_not_read(lab)


@pytest.mark.parametrize("end", ["closed", "broken off"])
def test_what_follows_a_connection_that_is_over_is_not_read(lab: Lab, end: str) -> None:
    lab.start_daemon(f"allow {WORLD4} 53 tcp\n")
    assert lab.run([PYTHON, "-c", OVER, end]).returncode == 0
    assert_stray_is_not_read(lab)


def assert_stray_is_not_read(lab: Lab) -> None:
    queued, bad = count_queued(lab), count_bad_segments(lab)
    stray = lab.run_world([PYTHON, "-c", STRAY])
    assert stray.returncode == 0, stray.stderr
    wait_until(lambda: count_bad_segments(lab) == bad + STRAYS)
    assert count_queued(lab) == queued


def count_bad_segments(lab: Lab) -> int:
    """TCP segments with a wrong checksum that have come to the host, behind all netfilter rules."""
    names, numbers = re.findall(r"^Tcp: (.*)", lab.run_outside(["cat", "/proc/net/snmp"]).stdout, re.MULTILINE)
    return int(dict(zip(names.split(), numbers.split(), strict=True))["InCsumErrors"])
