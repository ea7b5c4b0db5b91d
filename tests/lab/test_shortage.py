"""The daemon runs out of descriptors: a packet about which it cannot tell all waits, and is not taken for one that no
rule denies.
"""

import hashlib
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.step_client import PROGRAM, StepClient
from tests.lab.wakeups import wait_settled
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]


@contextmanager
def no_descriptor_left(daemon: Daemon) -> Iterator[None]:
    pid = daemon.process.pid
    wait_settled(pid)  # before that it may still close some
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), limits[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def denial(lab: Lab, request: pytest.FixtureRequest) -> str:
    digest = hashlib.sha256(Path("/usr/bin/python3").read_bytes()).hexdigest()
    by_digest = f"deny sha256={digest} {WORLD4} 80 tcp {PROGRAM}"
    return {"sha256": by_digest, "iface": f"deny iface=eth0 {WORLD4} 80 tcp"}[request.param]


@pytest.mark.parametrize("denial", ["sha256", "iface"], indirect=True)
def test_what_a_rule_denies_is_not_let_pass_when_that_cannot_be_told(lab: Lab, denial: str) -> None:
    daemon = lab.start_daemon(f"allow - - -\n{denial}\n")
    client = StepClient(lab)
    with no_descriptor_left(daemon):
        client.start("tcp", WORLD4, 80)
        wait_until(lambda: "failed: taking a packet in" in daemon.describe())
    assert client.result() == "ECONNREFUSED"
    assert daemon.wait_connection()["rule"] == denial
