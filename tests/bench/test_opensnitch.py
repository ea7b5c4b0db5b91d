"""OpenSnitch beside us in `make bench`: its row is worth something only when it judges every connection there."""

import os
import shutil

import pytest

from bench.opensnitch import PROGRAM, OpenSnitch, find_version
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S
from tests.lab.queue_counter import count_queued
from tests.lab.world import WORLD4

FETCH = ["-sS", "-o", "/dev/null", f"http://{WORLD4}/"]
TIMED_OUT = 28  # curl(1)
CURL = "/usr/bin/curl"

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which(PROGRAM), reason="OpenSnitch is not installed"),
]


def test_it_asks_its_rules_and_leaves_nothing(lab: Lab) -> None:
    assert find_version(lab)
    opensnitch = OpenSnitch(lab, CURL)
    assert os.readlink(f"/proc/{opensnitch.process.pid}/ns/net") != os.readlink("/proc/self/ns/net")
    assert lab.run([CURL, *FETCH, "--max-time", str(WAIT_S)]).returncode == 0
    assert 1 <= count_queued(lab) <= 3  # its SYN, which is sent again where the machine is late
    other = shutil.copy(CURL, str(lab.folder / "other"))
    assert lab.run([other, *FETCH, "--max-time", "1"]).returncode == TIMED_OUT
    assert opensnitch.count_undecided() == 0
    opensnitch.stop()
    assert lab.run_outside(["cat", "/proc/net/netfilter/nfnetlink_queue"]).stdout == ""
    rules = lab.run_outside(["sh", "-c", "iptables-save; ip6tables-save"]).stdout
    assert [line for line in rules.splitlines() if line.startswith("-A")] == []
