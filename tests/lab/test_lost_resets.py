"""The TCP reset that refuses a denied connection may be dropped by rules of others: then an ICMP error refuses it.

wg-quick drops what comes to the tunnel's address by another interface, and our reset comes by lo.
"""

import shutil

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE
from tests.lab.test_said_names import Talk
from tests.lab.watched_lab import PYTHON
from tests.lab.world import HOST4, HOST6, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

NOT_CONNECTED = 7  # curl(1)
TWICE = """
import errno, socket, sys
client = socket.socket()
for port in (80, 81):
    print(errno.errorcode[client.connect_ex((sys.argv[1], port))])
"""
WAYS = {WORLD4: ("iptables", HOST4), WORLD6: ("ip6tables", HOST6)}


def drop_resets(lab: Lab, address: str) -> None:
    """Add the rule that wg-quick(8) adds for a tunnel with a default route, with eth0 in the tunnel's place."""
    iptables, own = WAYS[address]
    words = ["-t", "raw", "-I", "PREROUTING", "!", "-i", "eth0", "-d", own]
    assert lab.run_outside([iptables, *words, "-m", "addrtype", "!", "--src-type", "LOCAL", "-j", "DROP"]).stderr == ""


def url(address: str) -> str:
    return f"http://[{address}]/" if ":" in address else f"http://{address}/"


def refuse(lab: Lab, address: str, number: int) -> None:
    """By a program of its own, for which no verdict is remembered."""
    program = shutil.copy("/usr/bin/curl", lab.folder / f"curl-{number}")
    done = lab.run([str(program), "-sS", "--connect-timeout", str(20 * PATIENCE), url(address)])
    assert done.returncode == NOT_CONNECTED, done.stderr


def count_resets(lab: Lab, address: str) -> int:
    listed = lab.run_outside([WAYS[address][0], "-nvxL", "TINYSNITCH-REJECT"]).stdout
    (count,) = [line.split()[0] for line in listed.splitlines() if "tcp-reset" in line]
    return int(count)


@pytest.fixture
def daemon(lab: Lab) -> Daemon:
    return lab.start_daemon("deny - 80,81 tcp\n", timeout_s=0)


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_what_is_denied_is_refused_all_the_same(lab: Lab, daemon: Daemon, address: str) -> None:
    """The first connection after a second, when its SYN is sent again; later ones at once, by an ICMP error."""
    drop_resets(lab, address)
    for number in range(3):
        refuse(lab, address, number)
    daemon.wait_connections(3)
    assert count_resets(lab, address) == 1
    assert len(daemon.records("connection")) == 3


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_where_resets_arrive_they_are_what_refuses(lab: Lab, daemon: Daemon, address: str) -> None:
    """The kernel limits ICMP errors (`icmp_msgs_per_sec`), so these are the second choice."""
    for number in range(3):
        refuse(lab, address, number)
    daemon.wait_connections(3)
    assert count_resets(lab, address) == len(daemon.records("connection")) == 3


def test_a_socket_that_is_refused_twice_is_reset_both_times(lab: Lab, daemon: Daemon) -> None:
    """Its first reset arrived, so the second attempt is no sign of a lost one."""
    assert lab.run([PYTHON, "-c", TWICE, WORLD4]).stdout == "ECONNREFUSED\n" * 2
    daemon.wait_connections(2)
    assert count_resets(lab, WORLD4) == len(daemon.records("connection")) == 2


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_connection_that_is_denied_by_the_name_in_its_tls_hello_ends_at_once(lab: Lab, address: str) -> None:
    lab.start_daemon("deny ads.test - -\nallow - - -\n")
    talk = Talk(lab)
    drop_resets(lab, address)
    assert talk.say("ads.test", address=address) == "ECONNABORTED"
    assert talk.say("shop.test", address=address) == "answered"


@pytest.mark.parametrize("flags", [(), ("--no-bpf",)])
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_reset_from_port_53_is_not_queued_as_a_dns_message(lab: Lab, address: str, flags: tuple[str, ...]) -> None:
    """The kernel would drop it in the queue, since it carries the conntrack of the packet that it refuses:
    7d8dc1c7be8d ("drop packets with cloned unconfirmed conntracks")."""
    lab.start_daemon("deny - 53 tcp\n", *flags, timeout_s=0)
    done = lab.run(["curl", "-sS", "--connect-timeout", str(20 * PATIENCE), url(address).removesuffix("/") + ":53/"])
    assert done.returncode == NOT_CONNECTED, done.stderr
