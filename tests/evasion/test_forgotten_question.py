"""An attacker asks for thousands of names, so that another program's question is forgotten before its answer comes.

The answer's name would not be learned then, and a connection would pass that a rule denies by name.
"""

import subprocess

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.lab import Lab
from tests.lab.patience import read_line, wait_until
from tests.lab.stubs import set_resolvers
from tests.lab.world import MORE_WORLD4

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

RESOLVER, REMOTE = MORE_WORLD4[:2]
# A resolver that answers the question for slow.test only once it is asked for last.test, and no other question.
ANSWER_LATE = """
import socket, sys
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.bind((sys.argv[1], 53))
print("listening", flush=True)
waiting = []
while True:
    question, asker = resolver.recvfrom(4096)
    if b"\\x04slow" in question:
        waiting.append((question, asker))
        print("asked", flush=True)
    is_last = b"\\x04last" in question
    for question, asker in waiting if is_last else ():
        end = question.index(b"\\0", 12) + 5
        record = b"\\xc0\\x0c" + bytes([0, 1, 0, 1, 0, 0, 0, 60, 0, 4]) + socket.inet_aton(sys.argv[2])
        head = question[:2] + bytes([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
        resolver.sendto(head + question[12:end] + record, asker)
"""
# Asks for more names than are remembered, no faster than the daemon reads them.
ASK = """
import select, socket, sys, time
def ask(number, name):
    question = bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + bytes([len(name)]) + name + b"\\x04test\\0" + bytes([0, 1, 0, 1])
    try:
        each[number % 4].send((number & 0xFFFF).to_bytes(2, "big") + question)
    except OSError:
        time.sleep(0.01)
each = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
for asks in each:
    asks.connect((sys.argv[1], 53))
for number in range(8000):
    ask(number, b"n%d" % number)
    if number % 8 == 0:
        time.sleep(0.002)
while not select.select([sys.stdin], [], [], 0.1)[0]:
    ask(0, b"last")
"""
CONNECT = """
import socket, sys
found = socket.getaddrinfo("slow.test", 80, socket.AF_INET)
sys.exit(socket.socket().connect_ex(found[0][4]))
"""


def test_what_is_denied_by_its_name_is_denied(lab: Lab) -> None:
    resolver = lab.spawn_world([PYTHON, "-c", ANSWER_LATE, RESOLVER, REMOTE])
    assert read_line(resolver) == "listening\n"
    set_resolvers(lab, RESOLVER, options="timeout:30")
    rules = f"deny slow.test - -\nallow {RESOLVER} 53 udp\nallow - 80 tcp\n"
    daemon = lab.start_daemon(rules, "--resolver", RESOLVER)
    honest = lab.spawn([PYTHON, "-c", CONNECT])
    assert read_line(resolver) == "asked\n"
    attacker = lab.spawn([PYTHON, "-c", ASK, RESOLVER], user=ATTACKER, stdin=subprocess.PIPE)
    wait_until(lambda: honest.poll() is not None)
    assert attacker.stdin
    attacker.stdin.close()
    record = daemon.wait_connection(remote_port=80)
    assert (record["name"], record["verdict"]) == ("slow.test", "deny")
    assert honest.returncode
