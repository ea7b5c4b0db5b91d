"""Observe mode, `tinysnitchd --learn`: what no rule decides passes, and is written down as rules."""

import sys

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import wait_listening
from tests.lab.world import HOST4, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

CURL = ["curl", "-4", "-sS", "--max-time", "20"]
VISITS = ["http://shop.test/", f"http://{WORLD4}:8080/"]


@pytest.mark.core_lab
def test_a_day_of_observing_becomes_the_rules(lab: Lab) -> None:
    observing = lab.start_daemon(f"deny {WORLD4} 8080 tcp\n", "--learn")
    passed = [lab.run([*CURL, visit]).returncode for visit in VISITS]
    assert passed == [0, 7], "a rule decides as ever"
    learned = observing.rules.parent / "state" / "learned.rules"
    assert f"as rules in {learned}" in observing.cli("status").stdout
    assert observing.stop() == 0
    enforcing = lab.start_daemon(learned.read_text())
    assert lab.run([*CURL, VISITS[0]]).stdout == "welcome to the shop\n"
    assert not enforcing.records("ask")
    lab.spawn([*CURL, VISITS[1]])
    assert enforcing.wait_ask(remote_port=8080)["program"] == "/usr/bin/curl"


def test_a_server_is_reached_by_what_was_learned_of_its_visitors(lab: Lab) -> None:
    """A program asked for a name of the visitor's address meanwhile. The rule is by address: the name would expire."""
    wait_listening(lab.spawn([sys.executable, "-S", str(PROGRAMS / "tcp_server.py"), "8090"]))
    visit = [sys.executable, "-S", str(PROGRAMS / "tcp_client.py"), HOST4, "8090"]
    observing = lab.start_daemon("", "--learn")
    assert lab.run([*CURL, VISITS[0]]).returncode == 0
    assert lab.run_world(visit).returncode == 0
    assert "/tcp_server.py" in observing.cli("learned", "--yes").stdout
    assert observing.cli("learned", "--json").stdout == "", "what was taken is off the list"
    assert observing.stop() == 0
    enforcing = lab.restart_daemon(observing.rules.parent)
    assert lab.run_world(visit).returncode == 0, enforcing.describe()
    assert not enforcing.records("ask")
