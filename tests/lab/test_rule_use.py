"""How often each rule decided is counted by the kernel's side, also what no daemon sees, and told by `rules --used`."""

import json
from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.world import MORE_WORLD4, WORLD4

pytestmark = [pytest.mark.privileged]

RULES = f"allow {WORLD4} 80 tcp /usr/bin/curl\ndeny {MORE_WORLD4[0]} 80 tcp\nallow unused.test - -\n"


def counts(daemon: Daemon) -> list[int]:
    listed = daemon.cli("rules", "--used", "--json").stdout.splitlines()
    return [json.loads(line)["count"] for line in listed]


def visit(lab: Lab, address: str, times: int, status: int) -> None:
    for _ in range(times):
        assert lab.run(["curl", "-s", "-o", "/dev/null", f"http://{address}/"]).returncode == status


@pytest.mark.parametrize("flags", [(), ("--no-bpf",)])
def test_each_decision_counts_for_its_rule_over_restarts(lab: Lab, flags: tuple[str, ...]) -> None:
    daemon = lab.start_daemon(RULES, *flags)
    visit(lab, WORLD4, 3, 0)
    visit(lab, MORE_WORLD4[0], 2, 7)
    wait_until(lambda: counts(daemon) == [3, 2, 0])
    told = daemon.cli("rules", "--used").stdout
    assert told.splitlines()[2].startswith("- never             allow unused.test - -  ")
    assert "it decided 3 times, last " in daemon.cli("explain", "/usr/bin/curl", WORLD4, "80", "tcp").stdout
    assert daemon.stop() == 0
    again = lab.restart_daemon(daemon.rules.parent, *flags)
    visit(lab, WORLD4, 1, 0)
    wait_until(lambda: counts(again) == [4, 2, 0])
    assert again.stop() == 0
    forget_last_quarter(daemon.rules.parent / "state" / "uses")
    third = lab.restart_daemon(daemon.rules.parent, *flags)
    visit(lab, WORLD4, 1, 0)
    assert "unused for 91 days" in third.cli("rules", "tidy", "--yes", "unused").stdout
    assert daemon.rules.read_text().splitlines() == [line for line in RULES.splitlines() if "deny" not in line]


def forget_last_quarter(file: Path) -> None:
    """Each rule was used last 91 days ago."""
    kept = json.loads(file.read_text())
    for rule in kept["rules"]:
        rule[2] -= 91 * 86400
    file.write_text(json.dumps(kept))


def test_what_the_kernel_decides_while_no_daemon_runs_counts(lab: Lab) -> None:
    daemon = lab.start_daemon(RULES)
    visit(lab, WORLD4, 1, 0)
    wait_until((daemon.rules.parent / "state" / "uses").exists)
    daemon.kill()
    visit(lab, WORLD4, 4, 0)
    successor = lab.restart_daemon(daemon.rules.parent)
    assert counts(successor) == [5, 0, 0]
