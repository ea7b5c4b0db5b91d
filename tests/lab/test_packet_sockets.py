"""A packet socket sends past every netfilter rule: whoever has one at the daemon's start is named, once."""

import pytest

from tests.lab.lab import Lab
from tests.lab.watched_lab import PYTHON

pytestmark = [pytest.mark.privileged]

HOLDER = """
import socket, time
kept = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
print("open", flush=True)
time.sleep(60)
"""


def test_the_holder_is_named_once(lab: Lab) -> None:
    holder = lab.spawn([PYTHON, "-c", HOLDER])
    assert holder.stdout
    assert holder.stdout.readline() == "open\n"
    daemon = lab.start_daemon("")
    assert daemon.stop() == 0
    said = [line for line in daemon.describe().splitlines() if "packet socket" in line]
    assert len(said) == 1
    assert f"(pid {holder.pid}, uid 0)" in said[0]
