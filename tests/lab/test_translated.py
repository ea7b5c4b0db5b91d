"""Destinations translated on the way out (DNAT in nat OUTPUT), as for a cluster's services or the resolver of a VPN.

An answer comes from the translated address, and must be recognised as one.
"""

import pytest

from tests.lab.lab import Lab
from tests.lab.world import ECHO_PORT, PROGRAMS, WORLD4, WORLD6
from tinysnitch.kernel.nfqueue.nat_replies import MAX_TRIES

pytestmark = [pytest.mark.privileged]

CLIENT = str(PROGRAMS / "udp_client.py")
MADE_UP = {WORLD4: "192.0.2.53", WORLD6: "2001:db8::53"}


ASK_FROM_123 = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.bind(("", 123))
    asking.connect(("{MADE_UP[WORLD4]}", {ECHO_PORT}))
    asking.settimeout(60)
    asking.send(b"what time is it?")
    asking.recv(100)
"""


# Sends each echo only when the last one was answered: of several translated packets that are held together, the kernel
# lets only the first one go.
PING = """
import socket, sys
family, protocol, echo = (socket.AF_INET6, 58, 128) if ":" in sys.argv[1] else (socket.AF_INET, 1, 8)
with socket.socket(family, socket.SOCK_DGRAM, protocol) as pinging:
    pinging.settimeout(60)
    pinging.connect((sys.argv[1], 0))
    for number in range(3):
        pinging.send(bytes([echo, 0, 0, 0, 0, 0, 0, number]))
        pinging.recv(100)
"""


def translate(lab: Lab, made_up: str, address: str) -> None:
    iptables = "iptables" if address == WORLD4 else "ip6tables"
    assert lab.run(["ip", "route", "replace", made_up, "via", address]).returncode == 0
    nat = [iptables, "-t", "nat", "-A", "OUTPUT", "-d", made_up, "-j", "DNAT", "--to", address]
    assert lab.run(nat).returncode == 0


def expect_answer(lab: Lab, made_up: str, kind: str) -> None:
    """Assert that the client gets its answer, and that no inbound packet was judged."""
    daemon = lab.start_daemon(f"allow {made_up} - {kind}\n")
    assert lab.run_outside(["sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"]).returncode == 0
    words = [CLIENT, made_up, str(ECHO_PORT)] if kind == "udp" else ["-c", PING, made_up]
    done = lab.run(["/usr/bin/python3", *words])
    assert done.returncode == 0, done.stdout + daemon.describe()
    assert [record["direction"] for record in daemon.stop_and_tell("connection")] == ["outbound"]


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
@pytest.mark.parametrize("kind", ["udp", "icmp"])
def test_the_answer_arrives_and_is_no_question(lab: Lab, address: str, kind: str) -> None:
    translate(lab, MADE_UP[address], address)
    expect_answer(lab, MADE_UP[address], kind)


def test_a_program_that_asks_from_one_port_again_and_again_gets_every_answer(lab: Lab) -> None:
    """A time server is asked so, now and then, for months."""
    translate(lab, MADE_UP[WORLD4], WORLD4)
    daemon = lab.start_daemon(f"allow {MADE_UP[WORLD4]} - udp\n")
    for _ in range(MAX_TRIES + 1):
        done = lab.run(["/usr/bin/python3", "-c", ASK_FROM_123])
        assert done.returncode == 0, done.stderr + daemon.describe()
    assert {record["direction"] for record in daemon.stop_and_tell("connection")} == {"outbound"}


# Is refused by the translated address, and answered all the same by the one that stands for it.
ASK_BOTH = f"""
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
for address in sys.argv[1:]:
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(60)
        try:
            asking.connect((address, {ECHO_PORT}))
            asking.send(b"x")
            print(len(asking.recv(100)))
        except ConnectionRefusedError:
            print("refused")
"""


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_the_answer_arrives_where_the_translated_address_is_denied(lab: Lab, address: str) -> None:
    made_up = MADE_UP[address]
    translate(lab, made_up, address)
    daemon = lab.start_daemon(f"allow {made_up} - udp\n", timeout_s=0)
    done = lab.run(["/usr/bin/python3", "-c", ASK_BOTH, address, made_up, address])
    assert done.stdout.split() == ["refused", "1", "refused"], done.stderr + daemon.describe()


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
@pytest.mark.parametrize("kind", ["udp", "icmp"])
def test_the_answer_arrives_where_the_source_was_translated_too(lab: Lab, address: str, kind: str) -> None:
    """Docker translates the source for ports that are published on 127.0.0.1, a cluster for its services: the client
    has an address that the server could not answer to."""
    own, added = ("10.78.0.1", "10.78.0.1/32") if address == WORLD4 else ("fd78::1", "fd78::1/128 nodad")
    iptables = "iptables" if address == WORLD4 else "ip6tables"
    made_up = MADE_UP[address]
    setup = f"""
ip address add {added} dev lo
ip route replace {made_up} via {address} src {own}
{iptables} -t nat -A OUTPUT -d {made_up} -j DNAT --to {address}
{iptables} -t nat -A POSTROUTING -s {own} -j MASQUERADE
"""
    done = lab.run(["sh", "-ec", setup])
    assert done.returncode == 0, done.stderr
    expect_answer(lab, made_up, kind)
