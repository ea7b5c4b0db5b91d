"""A service that all the link speaks to (Avahi, SSDP): one question for all machines there, not one for each."""

import pytest

from tests.lab.lab import Lab
from tests.lab.watched_lab import PYTHON
from tests.lab.world import HOST4, MORE_WORLD4, WORLD4

pytestmark = [pytest.mark.privileged]

GROUP, PORT = "239.255.255.250", 1900  # of SSDP
MACHINES = [WORLD4, *MORE_WORLD4[:3]]

SERVE = f"""
import socket
group, own = socket.inet_aton("{GROUP}"), socket.inet_aton("{HOST4}")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
    served.bind(("", {PORT}))
    served.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + own)
    print("serving", flush=True)
    while True:
        served.sendto(b"here", served.recvfrom(100)[1])
"""
# Each machine asks; then all wait for their answers.
ASK_ALL = f"""
import socket, sys
asking = []
for address in sys.argv[1:]:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(20)
    one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    one.bind((address, {PORT}))
    one.sendto(b"who?", ("{GROUP}", {PORT}))
    asking.append(one)
for one in asking:
    one.recv(100)
"""


def test_one_answer_each_way_is_for_all_machines_of_the_link(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    lab.namespaces.start_server([*lab.namespaces.enter_host(), PYTHON, "-c", SERVE], "serving")
    asking = lab.spawn_world([PYTHON, "-c", ASK_ALL, *MACHINES])
    for direction in ("inbound", "outbound"):
        daemon.answer(daemon.wait_ask(direction=direction), "yes", "--domain", "--any-args", "--for", "forever")
    assert asking.wait(timeout=60) == 0, daemon.describe()
    assert lab.run_world([PYTHON, "-c", ASK_ALL, *MORE_WORLD4[10:15]]).returncode == 0, daemon.describe()
    assert daemon.asks() == []
    written = [line.split()[:4] for line in daemon.rules.read_text().splitlines()]
    assert written == [["allow", "lan", str(PORT), protocol] for protocol in ("udp-src", "udp")]
