"""UDP sockets of several programs share a port (SO_REUSEADDR). Each datagram is judged for the socket that takes it,
also one that follows another between the same ends; and none is judged for ever.
"""

import subprocess
import time

import pytest

from tests.evasion.stage import ATTACKER, PYTHON, Stage
from tests.evasion.test_ports import CONNECTED_FOR_A_WHILE, VISIT, assert_got_nothing, receiver
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, wait_listening, wait_until, write_line
from tests.lab.queue_counter import count_queued
from tests.lab.world import HOST4, WORLD4

pytestmark = [pytest.mark.privileged]

PORT, LOCAL = "7315", 29999
WORDS = ("udp", "0.0.0.0", PORT, "reuse_address")


def visit_again(stage: Stage) -> None:
    stage.lab.run_world([PYTHON, "-c", VISIT, "udp", HOST4, PORT, str(LOCAL)])


def test_a_second_users_socket_takes_the_next_datagram_of_a_flow(stage: Stage) -> None:
    """No hook tells when it is disconnected, and takes what comes to the port again."""
    evil = stage.folder / "connected.py"
    evil.write_text(CONNECTED_FOR_A_WHILE)
    taker = stage.lab.spawn([PYTHON, str(evil)], user="nobody", stdin=subprocess.PIPE)
    assert read_line(taker) == "listening\n"
    with receiver(stage, stage.receiver, *WORDS) as honest:
        for _time in range(3):
            visit_again(stage)
            assert read_line(honest) == "got\n"
        write_line(taker)
        assert read_line(taker) == "disconnected\n"
        visit_again(stage)
        record = stage.daemon.wait_connection(remote_port=LOCAL, verdict="deny")
        assert record["program"] == str(evil)
        assert_got_nothing(taker)
    taker.wait(timeout=WAIT_S)


SHOUT = f"""
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.bind(("{WORLD4}", {LOCAL}))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("{WORLD4}"))
    client.sendto(b"x", (sys.argv[1], {PORT}))
"""


@pytest.mark.parametrize("address", ["224.0.0.1", "255.255.255.255"])
def test_what_all_sockets_get_is_looked_up_once(stage: Stage, address: str) -> None:
    """As mDNS, for a resolver and browsers; each host is in the group of all."""
    with (
        receiver(stage, stage.evil_receiver, *WORDS, user="nobody"),
        receiver(stage, stage.receiver, *WORDS) as honest,
    ):
        stage.lab.run_world([PYTHON, "-c", SHOUT, address])
        assert read_line(honest) == "got\n"
        before = count_queued(stage.lab)
        for _time in range(3):
            stage.lab.run_world([PYTHON, "-c", SHOUT, address])
            assert read_line(honest) == "got\n"
        assert count_queued(stage.lab) == before


# A socket without a holder, since it is on its way to another process: what comes to it is held for a moment.
ON_ITS_WAY = f"""
import socket, sys
given = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
given.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
given.bind(("{HOST4}", {PORT}))
given.connect(("{WORLD4}", {LOCAL}))
way, _end = socket.socketpair()
socket.send_fds(way, [b"x"], [given.fileno()])
given.close()
print("listening", flush=True)
sys.stdin.readline()
"""
# Another one between the same ends, which the look-up finds from now on.
SECOND = f"""
import socket, sys
sys.stdin.readline()
second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
second.bind(("{HOST4}", {PORT}))
second.connect(("{WORLD4}", {LOCAL}))
print("connected", flush=True)
sys.stdin.readline()
"""
SEND = f"""
import socket, sys
sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sending.bind(("{WORLD4}", {LOCAL}))
print("ready", flush=True)
sys.stdin.readline()
sending.sendto(b"x", ("{HOST4}", {PORT}))
"""


def test_a_datagram_for_a_socket_that_the_lookup_finds_no_more_does_not_go_round(lab: Lab) -> None:
    """Early demux had found that socket; whether it is held long enough for the second one to connect is a race."""
    daemon = lab.start_daemon("", timeout_s=0)
    first = lab.spawn([PYTHON, "-c", ON_ITS_WAY], user=ATTACKER, stdin=subprocess.PIPE)
    wait_listening(first)
    second = lab.spawn([PYTHON, "-c", SECOND], user=ATTACKER, stdin=subprocess.PIPE)
    sending = lab.spawn_world([PYTHON, "-c", SEND], stdin=subprocess.PIPE)
    assert read_line(sending) == "ready\n"
    write_line(sending)
    wait_until(lambda: count_queued(lab))
    write_line(second)
    assert read_line(second) == "connected\n"
    daemon.wait_connection(direction="inbound")
    time.sleep(0.2)
    before = count_queued(lab)
    time.sleep(0.5)
    assert count_queued(lab) == before
