"""Every protocol, address family and direction: held, then allowed or refused, and attributed to the right program."""

import itertools
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_listening
from tests.lab.queue_counter import count_waiting
from tests.lab.world import ECHO_PORT, HOST4, HOST6, PROGRAMS, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

PYTHON = "/usr/bin/python3"
UDP_CLIENT = str(PROGRAMS / "udp_client.py")
TCP_CLIENT = str(PROGRAMS / "tcp_client.py")
TCP_SERVER = str(PROGRAMS / "tcp_server.py")
UDP_ECHO = str(PROGRAMS / "udp_echo.py")
SERVER_PORT = "7000"
PATIENT_S = str(int(4 * WAIT_S))  # how long clients wait, so that only an answer or a refusal ends them
REFUSED = {"tcp": "connectionrefusederror", "udp": "connectionrefusederror", "icmp": "port unreachable"}


@dataclass(frozen=True)
class Way:
    """One kind of traffic: what the client runs (`{}` is the remote address), and the program of the question."""

    protocol: str
    client: tuple[str, ...]
    program: str
    port: int
    server: tuple[str, ...] = ()

    def command(self, address: str) -> list[str]:
        return [word.replace("{}", address) for word in self.client]


UDP_WORDS = (PYTHON, UDP_CLIENT, "{}", str(ECHO_PORT))
PING = ("ping", "-n", "-c1", f"-W{PATIENT_S}", "{}")
OUTBOUND = {
    "tcp": Way("tcp", (PYTHON, TCP_CLIENT, "{}", "80"), TCP_CLIENT, 80),
    "udp": Way("udp", (*UDP_WORDS, PATIENT_S), UDP_CLIENT, ECHO_PORT),
    "udp-connected": Way("udp", (*UDP_WORDS, "connected", PATIENT_S), UDP_CLIENT, ECHO_PORT),
    "icmp": Way("icmp", PING, "/usr/bin/ping", 0),
}
UDP_SERVER = (PYTHON, UDP_ECHO, SERVER_PORT)
INBOUND = {
    "tcp": Way("tcp", (PYTHON, TCP_CLIENT, "{}", SERVER_PORT), TCP_SERVER, 7000, (PYTHON, TCP_SERVER, SERVER_PORT)),
    "udp": Way("udp", (PYTHON, UDP_CLIENT, "{}", SERVER_PORT, PATIENT_S), UDP_ECHO, 7000, UDP_SERVER),
    "icmp": Way("icmp", PING, "kernel", 0),
}
PEERS = {HOST4: WORLD4, HOST6: WORLD6}


def cases(kinds: Iterable[str], addresses: Iterable[str]) -> list[object]:
    """On other kernels only IPv6 is tried, once for each protocol."""
    return [
        pytest.param(kind, address, marks=[pytest.mark.core_lab] if ":" in address and kind in INBOUND else [])
        for kind, address in itertools.product(kinds, addresses)
    ]


@pytest.mark.parametrize(("kind", "address"), cases(OUTBOUND, (WORLD4, WORLD6)))
def test_each_way_out_is_held_told_and_answered(lab: Lab, kind: str, address: str) -> None:
    way = OUTBOUND[kind]
    daemon = lab.start_daemon("")
    for answer in ("no", "yes"):
        client = lab.spawn(way.command(address))
        ask = daemon.wait_ask(pid=client.pid)
        assert client.poll() is None
        assert (ask["protocol"], ask["direction"], ask["remote_address"]) == (way.protocol, "outbound", address)
        assert (ask["program"], ask["attribution"], ask["remote_port"]) == (way.program, "bpf", way.port)
        daemon.answer(ask, answer, "--for", "once")
        check_end(lab, daemon, client, way, answer)


@pytest.mark.parametrize(("kind", "address"), cases(INBOUND, PEERS))
def test_each_way_in_is_held_told_and_answered(lab: Lab, kind: str, address: str) -> None:
    way = INBOUND[kind]
    daemon = lab.start_daemon("")
    server = lab.spawn([*way.server]) if way.server else None
    if server:
        wait_listening(server)
    for count, answer in enumerate(("no", "yes"), start=1):
        client = lab.spawn_world(way.command(address))
        ask = daemon.wait_for_count(lambda record: record["event"] == "ask", count)[-1]
        assert client.poll() is None
        assert (ask["protocol"], ask["direction"], ask["remote_address"]) == (way.protocol, "inbound", PEERS[address])
        assert (ask["program"], ask["pid"]) == (way.program, server.pid if server else None)
        assert way.protocol == "icmp" or ask["local_port"] == way.port
        daemon.answer(ask, answer, "--for", "once")
        check_end(lab, daemon, client, way, answer)


def check_end(lab: Lab, daemon: Daemon, client: subprocess.Popen[str], way: Way, answer: str) -> None:
    """Assert that the client got the answer, that the log has it, and that nothing is held any more."""
    told = client.communicate(timeout=WAIT_S)[0]
    assert client.returncode == 0 if answer == "yes" else REFUSED[way.protocol] in told.casefold(), told
    daemon.wait_connection(verdict={"yes": "allow", "no": "deny"}[answer])
    assert count_waiting(lab) == 0


def test_a_server_that_was_there_before_is_asked_about(lab: Lab) -> None:
    server = lab.spawn([PYTHON, TCP_SERVER, SERVER_PORT])
    wait_listening(server)
    daemon = lab.start_daemon("")
    client = lab.spawn_world([PYTHON, TCP_CLIENT, HOST4, SERVER_PORT])
    ask = daemon.wait_ask(direction="inbound")
    assert (ask["program"], ask["pid"], ask["local_port"]) == (TCP_SERVER, server.pid, 7000)
    daemon.answer(ask, "yes")
    assert client.wait(timeout=WAIT_S) == 0


def test_a_port_that_nobody_listens_on_is_no_question(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    assert lab.run_world([PYTHON, TCP_CLIENT, HOST4, "7001"]).returncode == 1
    assert daemon.asks() == []


@pytest.mark.core_lab
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_rules_decide_without_a_question(lab: Lab, address: str) -> None:
    daemon = lab.start_daemon(f"allow {address} 80 tcp {TCP_CLIENT}\ndeny {address} 8080 tcp\n")
    assert lab.run([PYTHON, TCP_CLIENT, address, "80"]).stdout == "connected\n"
    assert "ConnectionRefusedError" in lab.run([PYTHON, TCP_CLIENT, address, "8080"]).stderr
    assert [record["verdict"] for record in daemon.wait_connections(2)] == ["allow", "deny"]


TALK_IN_PIECES = """\
import socket, sys
client = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(60)
client.sendto(b"x" * 4000, (sys.argv[1], int(sys.argv[2])))
print(len(client.recv(5000)))
"""


@pytest.mark.parametrize(("address", "peer"), [(HOST4, WORLD4), (HOST6, WORLD6)])
def test_a_datagram_in_fragments_is_one_question(lab: Lab, address: str, peer: str) -> None:
    """Only the first fragment holds the ports, and LOCAL_IN sees those of IPv6 one by one."""
    wait_listening(lab.spawn([PYTHON, UDP_ECHO, SERVER_PORT]))
    daemon = lab.start_daemon("")
    client = lab.spawn_world([PYTHON, "-c", TALK_IN_PIECES, address, SERVER_PORT])
    ask = daemon.wait_ask()
    assert (ask["remote_address"], ask["local_port"], ask["program"]) == (peer, int(SERVER_PORT), UDP_ECHO)
    daemon.answer(ask, "yes")
    assert client.communicate(timeout=WAIT_S)[0] == "4000\n"
    assert len(daemon.stop_and_tell("connection")) == 1
