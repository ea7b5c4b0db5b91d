"""A service that all the link speaks to (Avahi, SSDP): one question for all machines there, not one for each."""

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S
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


# Addresses for who asks for one, each only after an ICMP echo to it.
GIVE = ["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--log-facility=-", "--user=root", "--port=0"]
GIVE += ["--interface=eth0", "--bind-interfaces", "--dhcp-range=10.77.0.100,10.77.0.120,255.255.255.0,1h"]
# DHCPDISCOVER (RFC 2131) of the hardware address that is named, to be answered by broadcast; says what is offered.
DISCOVER = """
import socket, struct, sys
message = struct.pack("!BBBxIHH16x6s202xI", 1, 1, 6, 7, 0, 0x8000, bytes.fromhex(sys.argv[1]), 0x63825363)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(60)
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    asking.bind(("", 68))
    asking.sendto(message + bytes([53, 1, 1, 255]), ("255.255.255.255", 67))
    print(socket.inet_ntoa(asking.recv(1500)[16:20]))
"""


def test_one_answer_is_for_each_address_that_is_given_out(lab: Lab) -> None:
    daemon = lab.start_daemon("allow - 67 udp-src\nallow - 68 udp\n")
    command = [*lab.namespaces.enter_host(), *GIVE, f"--dhcp-leasefile={lab.folder}/leases"]
    lab.namespaces.start_server(command, "IP range")
    first = lab.spawn_world([PYTHON, "-c", DISCOVER, "020000000001"])
    daemon.answer(daemon.wait_ask(protocol="icmp"), "yes", "--domain", "--any-args", "--for", "forever")
    offered = [first.communicate(timeout=WAIT_S)[0], lab.run_world([PYTHON, "-c", DISCOVER, "020000000002"]).stdout]
    echoes = daemon.wait_for_count(lambda record: record["event"] == "connection" and record["protocol"] == "icmp", 2)
    assert [f"{echo['remote_address']}\n" for echo in echoes] == offered
    assert offered[0] != offered[1]
    assert len(daemon.records("ask")) == 1
    assert "allow lan - icmp /usr/sbin/dnsmasq\n" in daemon.rules.read_text()


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
