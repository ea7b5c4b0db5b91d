"""One send() that the kernel cuts into several datagrams (udp(7), UDP_SEGMENT): netfilter sees them as one packet."""

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.evasion.test_flood import count_losses
from tests.lab.lab import Lab
from tests.lab.world import MORE_WORLD4, PAGE_NAMES, WORLD4
from tinysnitch.daemon.requests.counters import KERNEL_LOSSES

pytestmark = [pytest.mark.privileged]

HARMLESS, DENIED = 1, 6  # names of the same length, since all segments have one size
# Asks for both names by one call, and connects to the denied name's address, which it knows, once both are answered.
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
asks.settimeout(2)
asks.send(b"".join(questions))
try:
    for _ in names:
        assert asks.recv(4096)[7] == 1
except TimeoutError:
    sys.exit("not answered")
sys.exit(socket.socket().connect_ex((remote, 80)))
"""


def test_several_questions_in_one_call_do_not_hide_a_denied_name(lab: Lab) -> None:
    daemon = lab.start_daemon(f"deny {PAGE_NAMES[DENIED]} - -\nallow {WORLD4} 53 udp\nallow - 80 tcp\n")
    words = [WORLD4, MORE_WORLD4[DENIED], PAGE_NAMES[HARMLESS], PAGE_NAMES[DENIED]]
    done = lab.run([PYTHON, "-c", ASK_AND_CONNECT, *words], user=ATTACKER)
    assert (done.returncode, done.stderr) == (1, "not answered\n"), daemon.describe()
    assert count_losses(daemon)[KERNEL_LOSSES["lost_messages"]] == 1
