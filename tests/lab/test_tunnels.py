"""A tunnel's packets are the kernel's own, both ways; what is in them is of the program that sends it, once."""

import os

import pytest

from tests.lab.lab import Lab
from tests.lab.watched_lab import PYTHON
from tests.lab.world import ECHO_PORT, HOST4, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

VXLAN, L2TP = 4789, 1701  # IANA
FROM = 5000  # where the tunnel's packets come from, as some of what is in them
UDP_CLIENT = str(PROGRAMS / "udp_client.py")
OUTSIDE, INSIDE = "10.99.0.1", "10.99.0.2"
RULES = f"allow - {VXLAN} udp kernel\nallow - {VXLAN} udp-src kernel\n"


def tunnel(local: str, remote: str, address: str) -> list[str]:
    ports = f"srcport {FROM} {FROM + 1} dstport {VXLAN}"
    make = f"ip link add tunnel type vxlan id 7 remote {remote} local {local} {ports} dev eth0"
    quiet = "echo 1 >/proc/sys/net/ipv6/conf/tunnel/disable_ipv6"  # else it speaks before the other end is there
    return ["sh", "-ec", f"{make}; {quiet}; ip addr add {address}/24 dev tunnel; ip link set tunnel up"]


def connected_tunnel(local: str, remote: str, address: str) -> list[str]:
    ids = f"{local[-1]} peer_%s_id {remote[-1]}"
    ends = f"local {local} remote {remote} udp_sport {L2TP} udp_dport {L2TP}"
    make = f"ip l2tp add tunnel tunnel_id {ids % 'tunnel'} encap udp {ends}"
    make += f"; ip l2tp add session name tunnel tunnel_id {local[-1]} session_id {ids % 'session'}"
    quiet = "echo 1 >/proc/sys/net/ipv6/conf/tunnel/disable_ipv6"
    return ["sh", "-ec", f"{make}; {quiet}; ip addr add {address}/24 dev tunnel; ip link set tunnel up"]


def make_tunnel_outside(lab: Lab, words: list[str] | None = None) -> None:
    done = lab.run_world(words or tunnel(WORLD4, HOST4, OUTSIDE))
    if any(text in done.stderr for text in ("Unknown device type", "not supported", "No such file")):
        pytest.skip("this kernel has no such tunnel")
    assert done.stderr == ""


def make_tunnel(lab: Lab) -> None:
    assert lab.run(tunnel(HOST4, WORLD4, INSIDE)).stderr == ""


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (["curl", "-sS", "--max-time", "30", f"http://{OUTSIDE}/"], "/usr/bin/curl"),
        (["curl", "-sS", "--max-time", "30", "--local-port", str(FROM), f"http://{OUTSIDE}/"], "/usr/bin/curl"),
        ([PYTHON, UDP_CLIENT, OUTSIDE, str(ECHO_PORT)], UDP_CLIENT),
        (["ping", "-c1", "-W30", OUTSIDE], "/usr/bin/ping"),  # by a raw socket
    ],
)
def test_a_tunnel_is_the_kernels_and_what_is_in_it_the_programs(lab: Lab, command: list[str], program: str) -> None:
    make_tunnel_outside(lab)
    daemon = lab.start_daemon(f"{RULES}allow {OUTSIDE} - - {program}\n", timeout_s=0)
    make_tunnel(lab)  # its socket is made here, by `ip` one could think
    assert lab.run(command).returncode == 0
    told = {
        (record["remote_address"], record["direction"], record["program"], record["verdict"])
        for record in daemon.stop_and_tell("connection")
        if record["remote_address"] in (OUTSIDE, WORLD4)
    }
    inner = (OUTSIDE, "outbound", program, "allow")
    assert inner in told
    assert told - {inner} <= {(WORLD4, "outbound", "kernel", "allow"), (WORLD4, "inbound", "kernel", "allow")}
    assert (WORLD4, "outbound", "kernel", "allow") in told


def test_a_tunnel_that_was_there_before_the_daemon_is_the_kernels_too(lab: Lab) -> None:
    """As WireGuard's is that is up when the firewall is started anew: what comes in is not from an unknown program."""
    make_tunnel_outside(lab)
    make_tunnel(lab)
    daemon = lab.start_daemon(f"allow - {VXLAN} udp-src kernel\n", timeout_s=0)
    lab.run_world(["ping", "-c1", "-W1", INSIDE])
    came = daemon.wait_connection(direction="inbound", remote_address=WORLD4)
    assert (came["program"], came["verdict"]) == ("kernel", "allow")


@pytest.mark.core_lab
def test_what_answers_a_tunnel_that_is_connected_is_no_connection_of_its_own(lab: Lab) -> None:
    """As L2TP's socket is, which is found before anything is judged."""
    make_tunnel_outside(lab, connected_tunnel(WORLD4, HOST4, OUTSIDE))
    rules = f"allow - {L2TP} udp kernel\nallow {OUTSIDE} 80 tcp /usr/bin/curl\n"
    daemon = lab.start_daemon(rules, timeout_s=0)
    assert lab.run(connected_tunnel(HOST4, WORLD4, INSIDE)).stderr == ""
    # The neighbour's address is asked for within three seconds, which may be too short for what is decided first.
    patient = ["--max-time", "30", "--retry", "5", "--retry-all-errors"]
    assert lab.run(["curl", "-sS", *patient, f"http://{OUTSIDE}/"]).returncode == 0, daemon.describe()
    told = {(record["direction"], record["program"]) for record in daemon.stop_and_tell("connection")}
    assert told == {("outbound", "kernel"), ("outbound", "/usr/bin/curl")}


SEND = "import socket, sys; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', (sys.argv[1], int(sys.argv[2])))"


def test_what_a_tunnel_sends_is_the_kernels_also_of_a_socket_that_was_closed(lab: Lab) -> None:
    make_tunnel_outside(lab)
    daemon = lab.start_daemon(f"{RULES}allow {OUTSIDE} - icmp\n")
    make_tunnel(lab)
    assert lab.run(["ping", "-c1", "-W30", OUTSIDE]).returncode == 0  # the neighbour is known by then
    for port in (9, 10):
        assert lab.run([PYTHON, "-c", SEND, OUTSIDE, str(port)]).returncode == 0
        ask = daemon.wait_ask(remote_port=port)
        if port == 9:
            daemon.answer(ask, "yes")
            daemon.wait_connection(remote_port=port)
    assert {record["remote_address"] for record in daemon.records("ask")} == {OUTSIDE}, daemon.describe()


def test_a_held_datagram_is_its_programs_when_the_socket_is_closed(lab: Lab) -> None:
    """A closed socket has no port any more, and so could pass for one whose packet is in a tunnel."""
    daemon = lab.start_daemon("")
    assert lab.run([PYTHON, "-c", SEND, WORLD4, "9"]).returncode == 0
    daemon.answer(daemon.wait_ask(remote_port=9), "yes")
    daemon.wait_for(lambda record: record["event"] == "connection" and record["remote_port"] == 9)
    assert lab.run([PYTHON, "-c", SEND, WORLD4, "10"]).returncode == 0
    daemon.wait_ask(remote_port=10)  # what came around again is in the queue before it
    asks = [record["program"] for record in daemon.records("ask") if record["remote_port"] == 9]
    assert asks == [os.path.realpath(PYTHON)]
    assert len(daemon.records("connection")) == 1
