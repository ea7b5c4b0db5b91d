"""The attacker sends, and then starts the honest program with the same socket: the packet stays the attacker's.

Having a socket among its descriptors does not make the honest program the sender of what was sent before.
"""

import subprocess

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, write_line
from tests.lab.world import ECHO_PORT, WORLD4

pytestmark = [pytest.mark.privileged]

HONEST = "/usr/bin/cat"
RULES = f"allow - - tcp {HONEST}\nallow - - udp {HONEST}\n"
# Connects or sends. After a line on stdin it starts the honest program with the socket; after another one it goes on.
GIVE = """
import fcntl, resource, select, socket, subprocess, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
given = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
given.bind(("", 0))
given.set_inheritable(True)
given.setblocking(False)
given.connect_ex((address, port))
if kind == "held":
    given.send(b"x")
sys.stdin.readline()
heir = subprocess.Popen([sys.argv[4]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
heir.stdin.write(b"runs")
heir.stdin.flush()
# Its output shows that the exec is over: /proc/PID/exe changes earlier.
print("given" if heir.stdout.read(4) == b"runs" else "not given", flush=True)
if kind == "high":  # at a higher descriptor than those that are searched for the sender's socket
    resource.setrlimit(resource.RLIMIT_NOFILE, (2100, 2100))
    high = fcntl.fcntl(given.fileno(), fcntl.F_DUPFD, 2000)
    given.close()
    given = socket.socket(fileno=high)
    given.send(b"x")
if kind == "held":
    given.close()
    heir.kill()
    heir.wait()
    print("closed", flush=True)
sys.stdin.readline()
if kind == "tcp":
    select.select([], [given], [], 60)
    print(given.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
heir.kill()
"""

# Sends, and then lets the honest program send elsewhere by the same socket.
LEND = """
import socket, subprocess, sys
lent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
lent.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
sys.stdin.readline()
lent.connect((sys.argv[1], 9))
heir = subprocess.Popen([sys.argv[3]], stdin=subprocess.PIPE, stdout=lent)
heir.stdin.write(b"x")
heir.stdin.flush()
sys.stdin.readline()
heir.kill()
"""


def start(lab: Lab, kind: str, port: int) -> "subprocess.Popen[str]":
    return lab.spawn([PYTHON, "-c", GIVE, kind, WORLD4, str(port), HONEST], user=ATTACKER, stdin=subprocess.PIPE)


def go_on(evil: "subprocess.Popen[str]") -> str:
    write_line(evil)
    return read_line(evil).strip()


def test_a_syn_that_is_held_while_the_honest_program_starts(lab: Lab) -> None:
    daemon = lab.start_daemon(RULES)
    evil = start(lab, "tcp", 80)
    ask = daemon.wait_ask(remote_port=80)
    assert go_on(evil) == "given"
    daemon.answer(ask, "no")
    assert go_on(evil) not in ("", "0")
    daemon.wait_connection()
    (record,) = daemon.records("connection")
    assert (record["program"], record["verdict"]) == (ask["program"], "deny")


def test_a_datagram_that_is_held_until_its_sender_has_closed_the_socket(lab: Lab) -> None:
    daemon = lab.start_daemon(RULES)
    evil = start(lab, "held", ECHO_PORT)
    ask = daemon.wait_ask(remote_port=ECHO_PORT)
    assert go_on(evil) == "given"
    assert read_line(evil) == "closed\n"
    daemon.answer(ask, "no")
    start(lab, "tcp", 80)
    daemon.wait_ask(remote_port=80)
    (record,) = daemon.records("connection")
    assert (record["program"], record["verdict"]) == (ask["program"], "deny")


def test_the_sender_keeps_the_socket_at_a_descriptor_that_is_not_searched(lab: Lab) -> None:
    daemon = lab.start_daemon(RULES)
    evil = start(lab, "high", ECHO_PORT)
    assert go_on(evil) == "given"
    assert daemon.wait_ask(remote_port=ECHO_PORT)["program"] == "unknown"
    assert evil.communicate("\n", timeout=WAIT_S)[0] == ""


def test_a_datagram_that_is_held_until_the_honest_program_has_used_its_socket(lab: Lab) -> None:
    daemon = lab.start_daemon(RULES)
    words = [PYTHON, "-c", LEND, WORLD4, str(ECHO_PORT), HONEST]
    evil = lab.spawn(words, user=ATTACKER, stdin=subprocess.PIPE)
    ask = daemon.wait_ask(remote_port=ECHO_PORT)
    write_line(evil)
    assert daemon.wait_connection(remote_port=9)["verdict"] == "allow"
    daemon.answer(ask, "no")
    start(lab, "tcp", 80)
    daemon.wait_ask(remote_port=80)
    decided = [record for record in daemon.records("connection") if record["remote_port"] == ECHO_PORT]
    assert [(record["program"], record["verdict"]) for record in decided] == [(ask["program"], "deny")]
