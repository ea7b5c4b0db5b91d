"""Services that all machines of the link speak to (DHCP, DNS, SSDP, LLMNR): one question for all, not one for each."""

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S
from tests.lab.proposal import answer_as_proposed
from tests.lab.test_attribution_inbound import receiver
from tests.lab.watched_lab import PYTHON
from tests.lab.world import HOST4, MORE_WORLD4, WORLD4

pytestmark = [pytest.mark.privileged]

GROUP, PORT = "239.255.255.250", 1900  # SSDP's
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
    one.settimeout(60)
    one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    one.bind((address, {PORT}))
    one.sendto(b"who?", ("{GROUP}", {PORT}))
    asking.append(one)
for one in asking:
    one.recv(100)
"""


# A DHCP server, which sends an ICMP echo to an address before it offers it.
GIVE = ["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--log-facility=-", "--user=root", "--port=0"]
GIVE += ["--interface=eth0", "--bind-interfaces", "--dhcp-range=10.77.0.100,10.77.0.120,255.255.255.0,1h"]
# Sends a DHCPDISCOVER (RFC 2131) for the given hardware address, from a machine without an address, that is to be
# answered by broadcast; prints the address that is offered.
DISCOVER = """
import socket, struct, sys
message = struct.pack("!BBBxIHH16x6s202xI", 1, 1, 6, 7, 0, 0x8000, bytes.fromhex(sys.argv[1]), 0x63825363)
message = struct.pack("!HHHH", 68, 67, 8 + len(message) + 4, 0) + message + bytes([53, 1, 1, 255])
head = [0x4500, 20 + len(message), 0, 0, 64 << 8 | 17, 0, 0, 0, 0xffff, 0xffff]
head[5] = 0xffff - sum(head) % 0xffff
with (
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
    socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as sending,
):
    asking.settimeout(60)
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    asking.bind(("", 68))
    sending.sendto(struct.pack("!10H", *head) + message, ("eth0", 0x0800, 0, 0, bytes([255] * 6)))
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
    assert "allow lan - icmp /usr/sbin/dnsmasq\n" in daemon.read_rules()


# A DHCP and DNS server for the link, as libvirt, NetworkManager and podman (aardvark-dns) run one.
SERVE_LINK = [
    "dnsmasq",
    "--conf-file=/dev/null",
    "--keep-in-foreground",
    "--log-facility=-",
    "--user=root",
    "--no-resolv",
]
SERVE_LINK += ["--no-hosts", "--address=/link.test/192.0.2.9", f"--listen-address={HOST4}", "--bind-interfaces"]
SERVE_LINK += ["--no-ping", "--dhcp-authoritative", "--dhcp-range=10.77.0.3,10.77.0.120,255.255.255.0,1h"]
# A machine that got its address a while ago renews that (RFC 2131 4.4.5), and asks for a name over UDP and TCP.
RENEW_AND_ASK = f"""
import socket, struct, subprocess, sys
own = socket.inet_aton(sys.argv[1])
message = struct.pack("!BBBxIHH4s12x6s202xI", 1, 1, 6, 7, 0, 0, own, bytes([2, 0, *own]), 0x63825363)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(60)
    asking.bind((sys.argv[1], 68))
    asking.sendto(message + bytes([53, 1, 3, 255]), ("{HOST4}", 67))
    print("acknowledged" if asking.recv(1500)[242] == 5 else "refused", flush=True)
for way in ("+notcp", "+tcp"):
    subprocess.run(["dig", "+short", "+timeout=60", way, "-b", sys.argv[1], "@{HOST4}", "link.test"], check=True)
"""


def test_a_server_for_the_link_is_asked_about_once_for_each_service(lab: Lab) -> None:
    """Its clients are many machines or containers: one gets an address, others renew theirs and ask for names."""
    daemon = lab.start_daemon("")
    command = [*lab.namespaces.enter_host(), *SERVE_LINK, f"--dhcp-leasefile={lab.folder}/leases"]
    lab.namespaces.start_server(command, "IP range")
    new = lab.spawn_world([PYTHON, "-c", DISCOVER, "020000000001"])
    lines = answer_as_proposed(daemon, new)
    assert new.returncode == 0, daemon.describe()
    for machine in MORE_WORLD4[:3]:
        renewing = lab.spawn_world([PYTHON, "-c", RENEW_AND_ASK, machine])
        lines += answer_as_proposed(daemon, renewing)
        assert renewing.communicate(timeout=WAIT_S)[0].split() == ["acknowledged", "192.0.2.9", "192.0.2.9"]
    told = [line.split()[:4] for line in lines]
    services = [["67", "udp-src"], ["68", "udp"], ["53", "udp-src"], ["53", "tcp-src"]]
    assert told == [["allow", "lan", *service] for service in services], daemon.describe()


COME_IN = f"import socket, sys; socket.create_connection(('{HOST4}', {PORT}), 60, (sys.argv[1], 0)).close()"


def test_one_answer_each_way_is_for_all_machines_of_the_link(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    lab.namespaces.start_server([*lab.namespaces.enter_host(), PYTHON, "-c", SERVE], "serving")
    asking = lab.spawn_world([PYTHON, "-c", ASK_ALL, *MACHINES])
    for direction in ("inbound", "outbound"):
        daemon.answer(daemon.wait_ask(direction=direction), "yes", "--domain", "--any-args", "--for", "forever")
    assert asking.wait(timeout=WAIT_S) == 0, daemon.describe()
    assert lab.run_world([PYTHON, "-c", ASK_ALL, *MORE_WORLD4[10:15]]).returncode == 0, daemon.describe()
    assert daemon.asks() == []
    written = [line.split()[:4] for line in daemon.read_rules().splitlines()]
    assert written == [["allow", "lan", str(PORT), protocol] for protocol in ("udp-src", "udp")]


# A broadcast from a port that the kernel chose, as Syncthing looks for others.
SAY_TO_ALL = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as said:
    said.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    said.sendto(b"here", (sys.argv[1], 21027))
"""


def test_an_answer_about_broadcasts_also_holds_in_the_next_network(lab: Lab) -> None:
    script = lab.folder / "say_to_all.py"
    script.write_text(SAY_TO_ALL)
    daemon = lab.start_daemon("")
    lab.run([PYTHON, str(script), "10.77.0.255"])
    daemon.answer(daemon.wait_ask(), "yes", "--domain", "--any-args", "--for", "forever")
    assert daemon.read_rules() == f"allow lan 21027 udp {script}\n"
    assert lab.run_outside(["ip", "address", "add", "192.168.50.7/24", "dev", "eth0"]).returncode == 0
    lab.run([PYTHON, str(script), "192.168.50.255"])
    assert daemon.wait_connection(remote_address="192.168.50.255")["verdict"] == "allow"
    assert len(daemon.records("ask")) == 1


# Asks by LLMNR as systemd-resolved does, from port 5355; each machine with that name answers to this port.
ASK_FOR_NAME = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(60)
    asking.bind(("", 5355))
    asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("{HOST4}"))
    asking.sendto(b"who?", ("224.0.0.252", 5355))
    print(len({{asking.recvfrom(100)[1] for machine in range({len(MACHINES)})}}))
"""
ANSWER_FROM_EACH = f"""
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
    asked.bind(("224.0.0.252", 5355))
    asked.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.252") + socket.inet_aton("{WORLD4}")
    )
    print("listening", flush=True)
    asker = asked.recvfrom(100)[1]
for address in sys.argv[1:]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((address, 5355))
        one.sendto(b"me", asker)
"""


def test_a_program_that_asks_the_link_for_a_name_is_asked_about_once_for_all_answers(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    lab.namespaces.start_server([*lab.namespaces.enter_world(), PYTHON, "-c", ANSWER_FROM_EACH, *MACHINES], "listening")
    asking = lab.spawn([PYTHON, "-c", ASK_FOR_NAME])
    lines = answer_as_proposed(daemon, asking)
    assert asking.communicate(timeout=WAIT_S)[0] == f"{len(MACHINES)}\n", daemon.describe()
    assert [line.split()[:4] for line in lines] == [
        ["allow", "lan", "5355", "udp"],
        ["allow", "lan", "5355", "udp-src"],
    ]


def test_all_machines_of_the_lan_may_be_let_in_to_a_port(lab: Lab) -> None:
    """For containers, each with another address. Without `--domain` the answer would be for the one that came."""
    daemon = lab.start_daemon("")
    with receiver(lab, "tcp", HOST4, str(PORT)):
        first = lab.spawn_world([PYTHON, "-c", COME_IN, MORE_WORLD4[0]])
        ask = daemon.wait_ask(direction="inbound")
        daemon.answer(ask, "yes", "--domain", "--any-args", "--for", "forever")
        assert first.wait(timeout=WAIT_S) == 0
        assert lab.run_world([PYTHON, "-c", COME_IN, MORE_WORLD4[1]]).returncode == 0
    assert len(daemon.records("ask")) == 1
    (line,) = daemon.read_rules().splitlines()
    assert line.split()[:4] == ["allow", "lan", str(PORT), "tcp-src"]
