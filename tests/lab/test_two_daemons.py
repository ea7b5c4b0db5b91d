"""A daemon of the machine and one of `tinysnitch run` hold the same packets: each sees them, and they leave."""

import subprocess

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until, write_line
from tests.lab.queue_counter import count_queued
from tests.lab.watched_lab import PYTHON
from tests.lab.world import ECHO_PORT, WORLD4

pytestmark = [pytest.mark.privileged]

RULES = "deny *.ads.test - -\nallow - - -\n"
# Sends the beginning of a TLS hello, which both daemons are to read, and a datagram.
TALK = f"""
import socket
stream = socket.create_connection(("{WORLD4}", 443))
stream.send(bytes.fromhex("16030102000100"))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.connect(("{WORLD4}", {ECHO_PORT}))
datagrams.send(b"x")
print(datagrams.recv(1).decode(), flush=True)
"""


def start_run(lab: Lab) -> subprocess.Popen[str]:
    rules, script = lab.folder / "run-rules", lab.folder / "talk.py"
    rules.write_text(RULES)
    script.write_text(TALK)
    judged = f"echo started; read -r line; {PYTHON} {script}; read -r line"
    words = [str(BIN / "tinysnitch"), "run", "--rules", str(rules), "--", "sh", "-c", judged]
    run = lab.spawn(words, stdin=subprocess.PIPE)
    read_until(run, lambda said: said[-1] == "started\n")
    return run


@pytest.mark.parametrize("is_run_first", [True, False])
def test_a_packet_that_both_hold_does_not_go_to_and_fro(lab: Lab, is_run_first: bool) -> None:
    run = start_run(lab) if is_run_first else None
    daemon = lab.start_daemon(RULES)
    run = run or start_run(lab)
    before = count_queued(lab)
    write_line(run)
    read_until(run, lambda said: said[-1] == "x\n")
    daemon.cli("status")  # once it answers, it has gone through its queues
    assert count_queued(lab) - before < 20
    run.communicate("over\n", timeout=WAIT_S)
