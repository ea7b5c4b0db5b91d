"""Groups of rules in a running daemon: an edit, an error, and a switch hold for the next connection."""

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.step_client import PROGRAM, StepClient
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]


def test_groups_hold_beside_the_main_file_and_each_for_itself(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow - - tcp {PROGRAM}\n")
    client = StepClient(lab)
    config = daemon.rules.parent / "config"
    assert client.connect(WORLD4, 80) == "ok"

    told = daemon.cli("rules", "add", "--group", "office", f"deny {WORLD4} 80 tcp # not now")
    assert (told.stdout, told.stderr) == (f"deny {WORLD4} 80 tcp\n", "")
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"
    assert f"deny {WORLD4} 80 tcp  # 2, group office" in daemon.cli("explain", PROGRAM, WORLD4, "80", "tcp").stdout

    (config / "office.rules").write_text("nonsense\n")
    (config / "more.rules").write_text(f"deny {WORLD4} 81 tcp\n")
    wait_until(lambda: "# group more" in daemon.cli("rules").stdout)
    listed = daemon.cli("rules")
    assert (
        f"the group office did not load, the old rules hold: {config}/office.rules:1:1: not a verdict" in listed.stderr
    )
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"
    assert client.connect(WORLD4, 81) == "ECONNREFUSED"

    assert daemon.cli("rules", "disable", "office").stdout == f"office is off: {config}/office.rules.off\n"
    assert client.connect(WORLD4, 80) == "ok"
    refused = daemon.cli("rules", "enable", "office")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"error: {config}/office.rules.off:1:1: not a verdict" in refused.stderr
    (config / "office.rules.off").write_text(f"deny {WORLD4} 80 tcp\n")
    assert daemon.cli("rules", "enable", "office").stdout == f"office is on, 1 rule: {config}/office.rules\n"
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"

    daemon.cli("rules", "move", f"deny {WORLD4} 80 tcp", "main")
    assert daemon.read_rules() == f"allow - - tcp {PROGRAM}\ndeny {WORLD4} 80 tcp\n"
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"
