"""`tinysnitchd --learn`: what no rule decides passes, and is there as rules afterwards."""

import pytest

from tests.lab.lab import Lab
from tests.lab.world import WORLD4

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
    assert lab.spawn([*CURL, VISITS[1]])
    assert enforcing.wait_ask(remote_port=8080)["program"] == "/usr/bin/curl"
