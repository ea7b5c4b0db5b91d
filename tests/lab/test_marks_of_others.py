"""A denied packet carries a mark until the filter table refuses it; rules of others that overwrite the mark let nothing
pass.
"""

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, read_rest, read_until, wait_listening
from tests.lab.test_run import start_run
from tests.lab.watched_lab import PYTHON
from tests.lab.world import ECHO_PORT, HOST4, HOST6, MORE_WORLD4, WORLD4, WORLD6
from tinysnitch.daemon.requests.counters import KERNEL_LOSSES

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

TIMED_OUT = 28  # curl(1)
LOST_MARKS = KERNEL_LOSSES["lost_marks"]
SEND = """
import socket, sys
client = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(1)
client.connect((sys.argv[1], int(sys.argv[2])))
client.send(b"ping")
try:
    client.recv(10)
    print("answered")
except TimeoutError:
    print("silence")
"""


ECHO = """
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 8001))
print("listening", flush=True)
while True:
    said, sender = server.recvfrom(10)
    server.sendto(said, sender)
"""


def set_other_marks(lab: Lab, chain: str) -> None:
    """Add a rule that sets another mark: after the chain that judges, and before ours that refuses."""
    for program in ("iptables", "ip6tables"):
        command = [program, "-t", "filter", "-I", chain, "1", "-j", "MARK", "--set-mark", "1"]
        assert lab.run_outside(command).returncode == 0


def url(address: str) -> str:
    return f"http://[{address}]/" if ":" in address else f"http://{address}/"


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_what_is_denied_stays_here(lab: Lab, address: str) -> None:
    daemon = lab.start_daemon(f"deny {address} 80 tcp\ndeny {address} {ECHO_PORT} udp\nallow - - tcp\n")
    set_other_marks(lab, "OUTPUT")
    assert lab.run(["curl", "-sS", "--max-time", "1", url(address)]).returncode == TIMED_OUT
    assert lab.run([PYTHON, "-c", SEND, address, str(ECHO_PORT)]).stdout == "silence\n"
    assert lab.run(["curl", "-sSk", url(address).replace("http", "https")]).returncode == 0
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == LOST_MARKS)
    assert {record["verdict"] for record in daemon.records("connection") if record["remote_port"] != 443} == {"deny"}


RECEIVE = """
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 8002))
print("listening", flush=True)
while True:
    print(server.recv(10).decode(), flush=True)
"""


SEND_PAST = """
import socket, sys
client = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
client.connect((sys.argv[1], 9))
client.sendto(b"denied", (sys.argv[2], 8002))
client.sendto(b"allowed", (sys.argv[2], 8003))
"""


@pytest.mark.parametrize(("allowed", "denied"), [(MORE_WORLD4[0], WORLD4), ("fd77::3", WORLD6)])
def test_what_is_denied_stays_here_though_its_socket_is_connected_elsewhere(
    lab: Lab, allowed: str, denied: str
) -> None:
    """It is not taken for a packet whose destination others translated."""
    daemon = lab.start_daemon(f"deny {denied} 8002 udp\nallow - - udp\n")
    set_other_marks(lab, "OUTPUT")
    receivers = [lab.spawn_world([PYTHON, "-c", RECEIVE.replace("8002", port)]) for port in ("8002", "8003")]
    for receiver in receivers:
        wait_listening(receiver)
    assert lab.run([PYTHON, "-c", SEND_PAST, allowed, denied]).returncode == 0
    assert read_line(receivers[1]) == "allowed\n"
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == LOST_MARKS)
    receivers[0].kill()
    assert read_rest(receivers[0]) == ""


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_what_is_denied_in_a_run_stays_here_and_what_others_send_leaves(lab: Lab, address: str) -> None:
    receiver = lab.spawn_world([PYTHON, "-c", RECEIVE])
    read_until(receiver, lambda said: said == ["listening\n"])
    (lab.folder / "send.py").write_text(SEND)
    judged = start_run(lab, f"{PYTHON} {lab.folder}/send.py {address} 8002")
    set_other_marks(lab, "OUTPUT")
    assert "silence\n" in judged.communicate("go\n", timeout=WAIT_S)[0]
    others = SEND.replace("ping", "others")
    assert lab.run_outside([PYTHON, "-c", others, address, "8002"]).stdout == "silence\n"
    assert read_until(receiver, len) == ["others\n"]


@pytest.mark.parametrize("address", [HOST4, HOST6])
def test_what_is_denied_does_not_come_in(lab: Lab, address: str) -> None:
    server = lab.spawn([PYTHON, "-u", "-m", "http.server", "--bind", "::", "8000"])
    assert "Serving" in read_line(server)
    daemon = lab.start_daemon("deny - 8000 tcp-src\n")
    set_other_marks(lab, "INPUT")
    knock = ["curl", "-sS", "--max-time", "1", url(address)[:-1] + ":8000/"]
    assert lab.run_world(knock).returncode == TIMED_OUT
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == LOST_MARKS)


@pytest.mark.parametrize("address", [HOST4, HOST6])
def test_a_datagram_that_is_denied_does_not_come_in(lab: Lab, address: str) -> None:
    wait_listening(lab.spawn([PYTHON, "-c", ECHO]))
    daemon = lab.start_daemon("deny - 8001 udp-src\nallow - - udp\n")
    set_other_marks(lab, "INPUT")
    assert lab.run_world([PYTHON, "-c", SEND, address, "8001"]).stdout == "silence\n"
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == LOST_MARKS)


KNOCK = f"""
import socket, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("knocking", flush=True)
while True:
    client.sendto(b"ping", ("{HOST4}", 8001))
    time.sleep(0.0002)
"""


def test_a_stop_counts_no_marks_as_overwritten_by_others(lab: Lab) -> None:
    """Packets are judged in one table and checked again in another one. At a stop these go one after the other."""
    wait_listening(lab.spawn([PYTHON, "-c", ECHO]))
    daemon = lab.start_daemon("deny - 8001 udp-src\n")
    knocking = lab.spawn_world([PYTHON, "-c", KNOCK])
    assert read_line(knocking) == "knocking\n"
    daemon.wait_connection(direction="inbound", verdict="deny")
    assert daemon.stop_and_tell("lost") == []
