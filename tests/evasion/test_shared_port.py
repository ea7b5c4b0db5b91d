"""UDP sockets of two users share a port (SO_REUSEADDR). Each datagram is judged for the socket that takes it, also one
that follows another between the same ends.
"""

import subprocess

import pytest

from tests.evasion.stage import PYTHON, Stage
from tests.evasion.test_ports import CONNECTED_FOR_A_WHILE, VISIT, assert_got_nothing, receiver
from tests.lab.patience import WAIT_S, read_line, write_line
from tests.lab.world import HOST4

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
