"""Datagrams that the program leaves to the kernel to cut (udp(7), UDP_SEGMENT): netfilter sees many as one packet."""

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.lab import Lab
from tests.lab.world import MORE_WORLD4, PAGE_NAMES, WORLD4

pytestmark = [pytest.mark.privileged]

HARMLESS, DENIED = 1, 6  # whose names are as long
# Asks for both names by one call, waits for both answers, and connects to where the second leads.
ASK_AND_CONNECT = """
import socket, sys
resolver, remote, *names = sys.argv[1:]
questions = []
for number, name in enumerate(names):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    questions.append(bytes([0, number, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + labels + bytes([0, 0, 1, 0, 1]))
asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asks.connect((resolver, 53))
asks.setsockopt(socket.IPPROTO_UDP, 103, len(questions[0]))
asks.send(b"".join(questions))
for _ in names:
    assert asks.recv(4096)[7] == 1
sys.exit(socket.socket().connect_ex((remote, 80)))
"""


def test_each_question_is_read(lab: Lab) -> None:
    daemon = lab.start_daemon(f"deny {PAGE_NAMES[DENIED]} - -\nallow {WORLD4} 53 udp\nallow - 80 tcp\n")
    words = [WORLD4, MORE_WORLD4[DENIED], PAGE_NAMES[HARMLESS], PAGE_NAMES[DENIED]]
    done = lab.run([PYTHON, "-c", ASK_AND_CONNECT, *words], user=ATTACKER)
    assert not done.stderr, daemon.describe()
    record = daemon.wait_connection(remote_port=80)
    assert (record["name"], record["verdict"]) == (PAGE_NAMES[DENIED], "deny")
    assert done.returncode
