"""An attacker fills the kernel-side tables of ports and of conversations.

A port that found no room in the table is not attributed to its other user: sock_diag is asked instead. Conversations
that an attacker begins by the thousand go into a second table, so that they evict nobody else's.
"""

import subprocess
from collections.abc import Iterator

import pytest

from tests.evasion.stage import ATTACKER, PYTHON, Stage
from tests.evasion.test_beside_port import VISIT
from tests.evasion.test_ports import ANSWER_S, KINDS, SILENCE_S, assert_got_nothing, receiver, talk, visit
from tests.lab.patience import WAIT_S, read_line, read_rest, wait_listening
from tests.lab.world import HOST4, WORLD4

pytestmark = [pytest.mark.privileged]

# Binds more ports than `listeners` has room for, in so many processes that none needs more than 1024 descriptors.
FILL = """
import os, socket, sys
end, other_end = os.pipe()
for process in range(20):
    if os.fork():
        continue
    taken = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(900)]
    for number, each in enumerate(taken):
        each.bind((f"127.0.1.{process}", 10000 + number))
    os.write(other_end, b"x")
    os.read(0, 1)
    os._exit(0)
for _ in range(20):
    os.read(end, 1)
print("full", flush=True)
os.read(0, 1)
"""


def visit_many(stage: Stage, kind: str, port: str) -> set[tuple[str, str]]:
    """Which programs got a visit, with the verdicts. The kernel chooses by the visitor's port: many may go to one."""
    met: set[tuple[str, str]] = set()
    for number in range(64):
        if number < 16 or len(met) < 2:
            record = visit(stage, kind, port)
            met.add((record["program"], record["verdict"]))
    return met


# Gets its port by sending, and waits for the answer.
ASK = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(float(sys.argv[3]))
client.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
print(client.recv(100).decode())
"""
ANSWER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 7314))
print("listening", flush=True)
server.sendto(b"answer", server.recvfrom(100)[1])
"""
ANSWER_LATER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 7316))
print("listening", flush=True)
asker = server.recvfrom(100)[1]
print("asked", flush=True)
input()
server.sendto(b"answer", asker)
"""
# Begins more conversations than there is room for: one remote, and another source of 127.0.0.0/8 each (in_pktinfo).
TALK = """
import socket, struct
server, talker = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
server.bind(("127.0.0.1", 7315))
for number in range(100_000):
    source = struct.pack("=i", 0) + struct.pack("!I", 0x7F100000 + number) + bytes(4)
    talker.sendmsg([b"x"], [(socket.IPPROTO_IP, socket.IP_PKTINFO, source)], 0, server.getsockname())
"""


def fill(stage: Stage) -> "subprocess.Popen[str]":
    filling = stage.lab.spawn([PYTHON, "-c", FILL], user=ATTACKER, stdin=subprocess.PIPE)
    assert read_line(filling) == "full\n"
    return filling


def end(filling: "subprocess.Popen[str]") -> None:
    assert filling.stdin
    filling.stdin.close()
    assert read_rest(filling) == ""


@KINDS
def test_a_member_of_a_port_group_that_came_when_the_table_was_full(stage: Stage, kind: str) -> None:
    words = (kind, "0.0.0.0", "7305", "reuse_port")
    honest, evil = stage.receiver, stage.evil_receiver
    filling = fill(stage)
    with receiver(stage, evil, *words):
        end(filling)
        with receiver(stage, honest, *words):
            assert visit_many(stage, kind, "7305") == {(str(honest), "allow"), (str(evil), "deny")}


@pytest.mark.parametrize("is_over", [True, False])
def test_a_program_gets_its_answer_though_the_table_is_or_was_full(stage: Stage, *, is_over: bool) -> None:
    honest = stage.script.with_name(f"ask_{is_over}.py")
    honest.write_text(ASK)
    stage.daemon.edit_rules(f"{stage.daemon.read_rules()}allow - 7314 udp {honest}\n")
    filling = fill(stage)
    if is_over:
        end(filling)
    server = stage.lab.spawn_world([PYTHON, "-c", ANSWER])
    wait_listening(server)
    asked = stage.lab.run([PYTHON, str(honest), WORLD4, "7314", str(ANSWER_S)])
    assert asked.stdout == "answer\n", asked.stderr
    server.wait(timeout=WAIT_S)
    if not is_over:
        end(filling)


def test_endless_conversations_of_an_attacker_keep_nobody_elses_answer_out(stage: Stage) -> None:
    honest = stage.script.with_name("ask_later.py")
    honest.write_text(ASK)
    rules = f"{stage.daemon.read_rules()}allow - 7316 udp {honest}\nallow localhost - -\nallow localhost - -src\n"
    stage.daemon.edit_rules(rules)
    server = stage.lab.spawn_world([PYTHON, "-c", ANSWER_LATER], stdin=subprocess.PIPE)
    wait_listening(server)
    asked = stage.lab.spawn([PYTHON, str(honest), WORLD4, "7316", str(ANSWER_S)])
    assert read_line(server) == "asked\n"
    assert stage.lab.run([PYTHON, "-c", TALK], user=ATTACKER).returncode == 0
    server.communicate("\n", timeout=WAIT_S)
    assert asked.communicate(timeout=2 * WAIT_S)[0] == "answer\n"


@pytest.fixture
def fresh_stage(_clean_machine: None) -> Iterator[Stage]:
    """Of whose ports none was ever lost."""
    with Stage() as made:
        yield made


@pytest.mark.parametrize("address", [HOST4, "0.0.0.0"])
def test_a_second_user_takes_an_older_port_while_the_table_is_full(fresh_stage: Stage, address: str) -> None:
    """It is refused at once: no verdict for the honest program counts, and nothing is judged again and again."""
    stage, honest, evil = fresh_stage, fresh_stage.receiver, fresh_stage.evil_receiver
    words = ("7317", "reuse_address")
    with receiver(stage, honest, "udp", "0.0.0.0", *words):
        assert visit(stage, "udp", "7317")["verdict"] == "allow"
        filling = fill(stage)
        with receiver(stage, evil, "udp", address, *words, user=ATTACKER) as taker:
            refused = stage.lab.run_world([PYTHON, "-c", VISIT, "udp", HOST4, "7317"])
            assert refused.stdout == "refused\n", refused.stderr
            assert_got_nothing(taker)
        end(filling)


def test_a_second_user_joins_a_port_while_neither_socket_is_in_the_table(fresh_stage: Stage) -> None:
    """What was found out for the honest one does not count for a later datagram between the same ends."""
    stage, words = fresh_stage, ("udp", "0.0.0.0", "7318", "reuse_address")
    filling = fill(stage)
    with receiver(stage, stage.receiver, *words) as honest:
        talk(stage, "7318", 7319, "x", SILENCE_S)
        assert read_line(honest) == "got\n"
        with receiver(stage, stage.evil_receiver, *words, user=ATTACKER) as taker:
            talk(stage, "7318", 7319, "x", SILENCE_S)
            assert_got_nothing(taker)
    end(filling)
