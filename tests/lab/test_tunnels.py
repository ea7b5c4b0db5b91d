"""Packets of a tunnel are attributed to the kernel, in both directions; the packets within it to the program that sends
them, and each of these is judged once.
"""

import os
import subprocess

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until
from tests.lab.watched_lab import PYTHON
from tests.lab.world import ECHO_PORT, HOST4, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

VXLAN, L2TP = 4789, 1701  # IANA
FROM = 5000  # the source port of the tunnel's packets, and in one test also of those within it
UDP_CLIENT = str(PROGRAMS / "udp_client.py")
OUTSIDE, INSIDE = "10.99.0.1", "10.99.0.2"
KEY = f"aead 'rfc4106(gcm(aes))' 0x{'07' * 20} 128"
SHARED_PORT = 4500
# Otherwise the tunnel sends IPv6 packets before the other end is there. And it would look for the neighbour's address
# for three seconds at most, which is too short where a verdict comes first.
QUIET = "echo 1 >/proc/sys/net/ipv6/conf/tunnel/disable_ipv6; echo 60 >/proc/sys/net/ipv4/neigh/tunnel/mcast_solicit"
SHARER = """
import socket, sys
shared = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
shared.bind(("", int(sys.argv[1])))
def talk():
    shared.sendto(b"hello", (sys.argv[2], int(sys.argv[3])))
    print(shared.recv(99).decode(), flush=True)
talk()
input()
shared.settimeout(5)
shared.recv(999)
print("frame")
talk()
"""
RULES = f"allow - {VXLAN} udp kernel\nallow - {VXLAN} udp-src kernel\n"


def tunnel(local: str, remote: str, address: str) -> list[str]:
    ports = f"srcport {FROM} {FROM + 1} dstport {VXLAN}"
    make = f"ip link add tunnel type vxlan id 7 remote {remote} local {local} {ports} dev eth0"
    return ["sh", "-ec", f"{make}; {QUIET}; ip addr add {address}/24 dev tunnel; ip link set tunnel up"]


def connected_tunnel(local: str, remote: str, address: str) -> list[str]:
    ids = f"{local[-1]} peer_%s_id {remote[-1]}"
    ends = f"local {local} remote {remote} udp_sport {L2TP} udp_dport {L2TP}"
    make = f"ip l2tp add tunnel tunnel_id {ids % 'tunnel'} encap udp {ends}"
    make += f"; ip l2tp add session name tunnel tunnel_id {local[-1]} session_id {ids % 'session'}"
    return ["sh", "-ec", f"{make}; {QUIET}; ip addr add {address}/24 dev tunnel; ip link set tunnel up"]


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
    make_tunnel(lab)  # makes the kernel's socket while `ip` runs: it must not be taken for that of `ip`
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


def test_a_run_judges_what_its_command_sends_in_a_tunnel_and_not_the_tunnel(lab: Lab) -> None:
    make_tunnel_outside(lab)
    assert lab.run_outside(tunnel(HOST4, WORLD4, INSIDE)).stderr == ""
    (lab.folder / "rules").write_text(f"allow {OUTSIDE} 80 tcp\n")
    knock = f"curl -sS --max-time 30 http://{OUTSIDE}/; curl -sS http://{OUTSIDE}:8080/"
    words = ["run", "--rules", str(lab.folder / "rules"), "--", "sh", "-c", knock]
    ran = lab.run_outside([str(BIN / "tinysnitch"), *words])
    assert ran.stdout == "welcome to the shop\n"
    told = [line.partition(" by ")[0] for line in ran.stderr.splitlines() if line.startswith("tinysnitch")]
    assert told == [f"tinysnitch: allowed tcp {OUTSIDE}:80", f"tinysnitch: refused tcp {OUTSIDE}:8080"]


def test_a_tunnel_from_before_the_daemons_start_is_the_kernels(lab: Lab) -> None:
    """For example WireGuard's when the daemon is restarted. What comes in is not for an unknown program."""
    make_tunnel_outside(lab)
    make_tunnel(lab)
    daemon = lab.start_daemon(f"allow - {VXLAN} udp-src kernel\n", timeout_s=0)
    lab.run_world(["ping", "-c1", "-W1", INSIDE])
    came = daemon.wait_connection(direction="inbound", remote_address=WORLD4)
    assert (came["program"], came["verdict"]) == ("kernel", "allow")


def protect(lab: Lab, mode: str) -> None:
    """Encrypt all that the two machines send to each other, by IPsec with keys that both have."""
    ways = [f"src {HOST4} dst {WORLD4}", f"src {WORLD4} dst {HOST4}"]
    states = [f"ip xfrm state add {way} proto esp spi {0x100 + n} mode {mode} {KEY}" for n, way in enumerate(ways)]
    for way_out, run in zip(ways, (lab.run_outside, lab.run_world), strict=True):
        policies = [
            f"ip xfrm policy add {way} dir {'out' if way == way_out else 'in'} tmpl {way} proto esp mode {mode}"
            for way in ways
        ]
        done = run(["sh", "-ec", "\n".join(states + policies)])
        if "not found" in done.stderr or "not supported" in done.stderr:
            pytest.skip("this kernel has no IPsec")
        assert done.stderr == ""


@pytest.mark.parametrize("mode", ["transport", "tunnel"])
def test_what_ipsec_sends_is_the_kernels(lab: Lab, mode: str) -> None:
    protect(lab, mode)
    daemon = lab.start_daemon(f"allow {WORLD4} - 50 kernel\nallow {WORLD4} 80 tcp /usr/bin/curl\n", timeout_s=0)
    assert lab.run(["curl", "-sS", "--max-time", "30", f"http://{WORLD4}/"]).returncode == 0, daemon.describe()
    told = {(record["direction"], record["program"]) for record in daemon.stop_and_tell("connection")}
    assert told == {("outbound", "kernel"), ("outbound", "/usr/bin/curl")}


@pytest.mark.core_lab
def test_what_answers_a_tunnel_that_is_connected_is_no_connection_of_its_own(lab: Lab) -> None:
    """L2TP's socket is connected, so the kernel finds it for a packet before that is judged."""
    make_tunnel_outside(lab, connected_tunnel(WORLD4, HOST4, OUTSIDE))
    rules = f"allow - {L2TP} udp kernel\nallow {OUTSIDE} 80 tcp /usr/bin/curl\n"
    daemon = lab.start_daemon(rules, timeout_s=0)
    assert lab.run(connected_tunnel(HOST4, WORLD4, INSIDE)).stderr == ""
    assert lab.run(["curl", "-sS", "--max-time", "30", f"http://{OUTSIDE}/"]).returncode == 0, daemon.describe()
    told = {(record["direction"], record["program"]) for record in daemon.stop_and_tell("connection")}
    assert told == {("outbound", "kernel"), ("outbound", "/usr/bin/curl")}


def test_what_a_tunnel_sends_from_a_programs_port_takes_no_answer_from_it(lab: Lab) -> None:
    """With IPsec behind NAT the kernel sends ESP from the port of the program that exchanges keys, and answers come to
    that port."""
    rules = f"allow - {ECHO_PORT} udp kernel\nallow - {ECHO_PORT} udp {PYTHON}\nallow {OUTSIDE} - icmp /usr/bin/ping\n"
    daemon = lab.start_daemon(rules, timeout_s=0)
    make = f"ip link add tunnel type vxlan id 7 remote {WORLD4} local {HOST4} dstport {ECHO_PORT} dev eth0"
    tunnel = f"{make} srcport {SHARED_PORT} {SHARED_PORT + 1}; ip addr add {INSIDE}/24 dev tunnel; {QUIET}"
    assert lab.run(["sh", "-ec", f"{tunnel}; ip neigh add {OUTSIDE} lladdr 02:00:00:00:00:07 dev tunnel"]).stderr == ""
    client = lab.spawn([PYTHON, "-c", SHARER, str(SHARED_PORT), WORLD4, str(ECHO_PORT)], stdin=subprocess.PIPE)
    assert read_until(client, lambda said: said)[-1] == "hello\n"
    assert lab.run(["sh", "-ec", f"ip link set tunnel up; ping -c1 -W1 {OUTSIDE}"]).returncode == 1
    assert client.communicate("now\n", timeout=WAIT_S)[0] == "frame\nhello\n", daemon.describe()
    told = {(record["direction"], record["program"]) for record in daemon.stop_and_tell("connection")}
    assert {("outbound", "kernel"), ("outbound", os.path.realpath(PYTHON))} <= told
    assert "inbound" not in {direction for direction, _program in told}


SEND = "import socket, sys; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', (sys.argv[1], int(sys.argv[2])))"


def test_a_tunnel_is_the_kernels_also_when_it_carries_a_datagram_of_a_closed_socket(lab: Lab) -> None:
    make_tunnel_outside(lab)
    daemon = lab.start_daemon(f"{RULES}allow {OUTSIDE} - icmp\n")
    make_tunnel(lab)
    assert lab.run(["ping", "-c1", "-W30", OUTSIDE]).returncode == 0  # so that the neighbour's address is known
    for port in (9, 10):
        assert lab.run([PYTHON, "-c", SEND, OUTSIDE, str(port)]).returncode == 0
        ask = daemon.wait_ask(remote_port=port)
        if port == 9:
            daemon.answer(ask, "yes")
            daemon.wait_connection(remote_port=port)
    assert {record["remote_address"] for record in daemon.records("ask")} == {OUTSIDE}, daemon.describe()


def test_a_held_datagram_stays_its_programs_when_the_socket_is_closed(lab: Lab) -> None:
    """A closed socket has no port any more, as if its packet were within a tunnel's, whose port is another one."""
    daemon = lab.start_daemon("")
    assert lab.run([PYTHON, "-c", SEND, WORLD4, "9"]).returncode == 0
    daemon.answer(daemon.wait_ask(remote_port=9), "yes")
    daemon.wait_for(lambda record: record["event"] == "connection" and record["remote_port"] == 9)
    assert lab.run([PYTHON, "-c", SEND, WORLD4, "10"]).returncode == 0
    daemon.wait_ask(remote_port=10)  # the first datagram, queued once more, would stand before this in the queue
    asks = [record["program"] for record in daemon.records("ask") if record["remote_port"] == 9]
    assert asks == [os.path.realpath(PYTHON)]
    assert len(daemon.records("connection")) == 1
