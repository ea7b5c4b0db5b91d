"""Several sockets send between the same two endpoints, and their packets are held at the same time: each packet is
judged once, for its own socket.
"""

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import read_line, wait_until
from tests.lab.world import HOST4, MORE_WORLD4, WORLD4

pytestmark = [pytest.mark.privileged]

REMOTE, PORT = MORE_WORLD4[0], 9
TCP, MPTCP = 6, 262
HEAR = f"""
import socket
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind(("{REMOTE}", {PORT}))
print("ready", flush=True)
while True:
    print(heard.recv(10).decode(), flush=True)
"""
# Each of COUNT sockets, all on one port, sends its number.
SEND = f"""
import socket, sys
kept = []
for number in range(int(sys.argv[1])):
    used = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    used.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    used.bind(("{HOST4}", 5353))
    used.sendto(b"%d" % number, ("{REMOTE}", {PORT}))
    kept.append(used)
"""
# Connects from one port, and gives up at once.
GIVE_UP = f"""
import socket, sys
for _time in range(int(sys.argv[2])):
    used = socket.socket(socket.AF_INET, socket.SOCK_STREAM, int(sys.argv[1]))
    used.setblocking(False)
    used.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    used.bind(("{HOST4}", 5353))
    used.connect_ex(("{REMOTE}", {PORT}))
    used.close()
"""


def is_idle(daemon: Daemon) -> bool:
    return "connections 0, names 0" in daemon.cli("status").stdout


@pytest.mark.parametrize("count", [2, 5])
def test_each_datagram_arrives(lab: Lab, count: int) -> None:
    """The rule names an interface, so the verdict is remembered for the flow, not for the program."""
    daemon = lab.start_daemon(f"allow iface=eth0 {REMOTE} {PORT} udp\n", timeout_s=0)
    hearing = lab.spawn_world([PYTHON, "-c", HEAR])
    assert read_line(hearing) == "ready\n"
    assert lab.run([PYTHON, "-c", SEND, str(count)], user=ATTACKER).returncode == 0
    assert {read_line(hearing) for _ in range(count)} == {f"{number}\n" for number in range(count)}
    wait_until(lambda: is_idle(daemon))


@pytest.mark.parametrize("protocol", [TCP, MPTCP])
def test_connections_given_up_while_held_stay_their_programs_and_are_denied(lab: Lab, protocol: int) -> None:
    daemon = lab.start_daemon("", timeout_s=0)
    assert lab.run([PYTHON, "-c", GIVE_UP, str(protocol), "20"], user=ATTACKER).returncode == 0
    wait_until(lambda: is_idle(daemon))
    decided = {(record["program"], record["verdict"]) for record in daemon.records("connection")}
    assert {verdict for _program, verdict in decided} == {"deny"}
    assert not {program for program, _verdict in decided} & {"kernel", "unknown"}


@pytest.mark.parametrize("protocol", [TCP, MPTCP])
def test_a_connection_given_up_while_it_is_asked_about_is_not_asked_about_again(lab: Lab, protocol: int) -> None:
    daemon = lab.start_daemon("ask - - tcp kernel\n")
    assert lab.run([PYTHON, "-c", GIVE_UP, str(protocol), "1"], user=ATTACKER).returncode == 0
    daemon.answer(daemon.wait_ask(remote_address=REMOTE), "yes", "--for", "once")
    lab.spawn([PYTHON, "-c", f"import socket; socket.create_connection(('{WORLD4}', 80))"])
    daemon.wait_ask(remote_address=WORLD4)  # a second question about the first one would have come before this
    assert len(daemon.records("ask")) == 2, daemon.records("ask")
