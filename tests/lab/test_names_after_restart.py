"""A restart forgets no name: a program that resolved before it is still judged by the rules for the name."""

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.step_client import StepClient
from tests.lab.world import SHARED4, WORLD4

pytestmark = [pytest.mark.privileged]

RULES = f"allow {WORLD4} 53 udp\nallow first.shared.test 80 tcp\ndeny second.shared.test 80 tcp\n"


def resolved(lab: Lab, name: str) -> StepClient:
    client = StepClient(lab)
    assert client.connect(name, 80, "resolve") == SHARED4
    return client


def restarted(lab: Lab, daemon: Daemon) -> Daemon:
    assert daemon.stop() == 0
    return lab.restart_daemon(daemon.rules.parent)


def test_a_program_that_resolved_before_a_restart_is_judged_by_the_name(lab: Lab) -> None:
    daemon = lab.start_daemon(RULES)
    first, second = resolved(lab, "first.shared.test"), resolved(lab, "second.shared.test")
    for _ in range(2):
        daemon = restarted(lab, daemon)
        assert first.connect(SHARED4, 80) == "ok"
        assert second.connect(SHARED4, 80) == "ECONNREFUSED"
        daemon.wait_connection(name="first.shared.test", pid=first.process.pid, verdict="allow")
        daemon.wait_connection(name="second.shared.test", pid=second.process.pid, verdict="deny")


def test_a_daemon_that_is_killed_leaves_no_names_of_an_earlier_one(lab: Lab) -> None:
    """The file is removed once it is read: after a kill its addresses might have got other names."""
    daemon = restarted(lab, lab.start_daemon(RULES))
    assert not (daemon.rules.parent / "state" / "names").exists()
