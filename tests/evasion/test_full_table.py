"""Who has filled the table of ports is in it no more than anyone else who found no room: then the look-up tells."""

import subprocess

import pytest

from tests.evasion.stage import ATTACKER, PYTHON, Stage
from tests.evasion.test_ports import KINDS, receiver, visit

pytestmark = [pytest.mark.privileged]

# More ports than `listeners` has room for, by as many processes as need no more than the usual 1024 descriptors each.
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


@KINDS
def test_a_member_that_came_when_there_was_no_room(stage: Stage, kind: str) -> None:
    words = (kind, "0.0.0.0", "7305", "reuse_port")
    honest, evil = stage.receiver, stage.evil_receiver
    filling = stage.lab.spawn([PYTHON, "-c", FILL], user=ATTACKER, stdin=subprocess.PIPE)
    assert filling.stdin
    assert filling.stdout
    assert filling.stdout.readline() == "full\n"
    with receiver(stage, evil, *words):
        filling.stdin.close()  # and they end
        assert filling.stdout.read() == ""
        with receiver(stage, honest, *words):
            records = [visit(stage, kind, "7305") for _ in range(16)]
    verdicts = {(record["program"], record["verdict"]) for record in records}
    assert verdicts == {(str(honest), "allow"), (str(evil), "deny")}
