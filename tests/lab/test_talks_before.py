"""UDP conversations from before the start: which side began them is unknown, unless an earlier daemon has noted it."""

import subprocess

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import read_until, wait_listening, wait_until, write_line
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]

PORT = 7001
# Goes on sending without being asked, as a download does: packets come before the daemon knows of the conversation.
SERVER = """
import socket, sys, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", int(sys.argv[1])))
print("listening", flush=True)
peer = server.recvfrom(16)[1]
while True:
    server.sendto(b"more", peer)
    time.sleep(0.0005)
"""
# Sends a datagram for each line on stdin, and prints a line for each one that comes.
CLIENT = """
import select, socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if sys.argv[3] == "connected":
    client.connect((sys.argv[1], int(sys.argv[2])))
while True:
    ready = select.select([client, sys.stdin], [], [])[0]
    if client in ready:
        client.recv(16)
        print("more", flush=True)
    elif sys.stdin.readline():
        client.sendto(b"ping", (sys.argv[1], int(sys.argv[2])))
"""


both_kinds = pytest.mark.parametrize("kind", ["connected", "unconnected"])


def begin_talk(lab: Lab, kind: str) -> subprocess.Popen[str]:
    """Start a client that has sent once, and is being answered."""
    wait_listening(lab.spawn_world(["/usr/bin/python3", "-c", SERVER, str(PORT)]))
    client = lab.spawn(["/usr/bin/python3", "-c", CLIENT, WORLD4, str(PORT), kind], stdin=subprocess.PIPE)
    write_line(client, "ping")
    read_until(client, lambda said: len(said) > 3)
    return client


@both_kinds
def test_a_successor_with_other_programs_goes_on_with_it(lab: Lab, kind: str) -> None:
    """As after most upgrades. Otherwise the answers would be asked about and held until the program sends again."""
    daemon = lab.start_daemon(f"allow {WORLD4} {PORT} udp\n")
    client = begin_talk(lab, kind)
    daemon.kill()
    seem_of_another_build(lab)
    successor = lab.restart_daemon(daemon.rules.parent)
    read_until(client, lambda said: len(said) > 200)
    assert successor.stop_and_tell("ask") == []


def seem_of_another_build(lab: Lab) -> None:
    """Rename the folder of what is pinned: its name has a digest of the BPF programs."""
    found = lab.run_outside(["find", "/sys/fs/bpf", "-mindepth", "2", "-maxdepth", "2", "-path", "*/tinysnitch-*"])
    (folder,) = found.stdout.splitlines()
    layout, _, digest = folder.rpartition("-")
    assert lab.run_outside(["mv", folder, f"{layout}-{digest[::-1]}"]).returncode == 0


@both_kinds
def test_what_comes_first_is_no_question_once_the_program_sends(lab: Lab, kind: str) -> None:
    client = begin_talk(lab, kind)
    daemon = lab.start_daemon(f"allow {WORLD4} {PORT} udp\n")
    ask = daemon.wait_ask()
    assert (ask["direction"], ask["pid"]) == ("inbound", client.pid)
    write_line(client, "ping")
    daemon.wait_connection(direction="outbound", verdict="allow")
    daemon.wait_connection(direction="inbound", verdict="allow", reason="it answers what was allowed")
    wait_until(lambda: not daemon.asks())
    read_until(client, lambda said: len(said) > 20)
    assert len(daemon.records("ask")) == 1
