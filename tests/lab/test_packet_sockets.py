"""What a packet socket sends passes no netfilter rule: so each program that has one is logged, once."""

import os
import subprocess

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line
from tests.lab.watched_lab import PYTHON

pytestmark = [pytest.mark.privileged]

OPENED = """
import socket, sys
used = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
print("open", flush=True)
"""
HOLDER = OPENED + "sys.stdin.read()\n"
SENDER = (
    OPENED
    + """
used.bind(("eth0", 0x88B5))  # a local experimental type (IEEE 802)
for _ in range(3):
    used.send(bytes(12) + b"\\x88\\xb5" + bytes(46))
"""
)


def start(lab: Lab, script: str) -> subprocess.Popen[str]:
    """Start the script; its packet socket is open when this returns."""
    client = lab.spawn([PYTHON, "-c", script], stdin=subprocess.PIPE)
    assert read_line(client) == "open\n"
    return client


def wait_note(daemon: Daemon, client: subprocess.Popen[str]) -> None:
    record = daemon.wait_for(lambda record: record["event"] == "packet_socket" and record["pid"] == client.pid)
    assert (record["uid"], record["program"]) == (0, os.path.realpath(PYTHON))


def test_a_holder_from_before_the_daemons_start_is_named_once(lab: Lab) -> None:
    holder = start(lab, HOLDER)
    daemon = lab.start_daemon("")
    wait_note(daemon, holder)
    assert daemon.stop() == 0
    assert len(daemon.records("packet_socket")) == 1


def test_a_sender_is_named_once_however_short_it_lives(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    for _ in range(2):
        sender = start(lab, SENDER)
        assert sender.wait(timeout=WAIT_S) == 0
        wait_note(daemon, sender)
    assert len(daemon.records("packet_socket")) == 2


def test_other_network_namespaces_are_not_ours(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    assert lab.run_world([PYTHON, "-c", SENDER]).returncode == 0
    sender = start(lab, SENDER)
    wait_note(daemon, sender)
    assert len(daemon.records("packet_socket")) == 1
