"""`iptables` means its other backend (nft, legacy) now than when our rules were added, as after update-alternatives."""

import itertools
import os
import shutil
from collections.abc import Callable

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.world import WORLD4

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.skipif(shutil.which("iptables-legacy-save") is None, reason="iptables has one backend here"),
]

BACKENDS = ("nft", "legacy")
FAMILIES = ("iptables", "ip6tables")


@pytest.fixture(params=[BACKENDS, BACKENDS[::-1]], ids=" then ".join)
def use(request: pytest.FixtureRequest, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that makes `iptables` the first or the second backend from then on."""
    folder = lab.folder / "backend"
    for backend in BACKENDS:
        (folder / backend).mkdir(parents=True)
        for family, end in itertools.product(FAMILIES, ("", "-save", "-restore")):
            program = shutil.which(f"{family}-{backend}{end}")
            assert program
            (folder / backend / f"{family}{end}").symlink_to(program)
    path = os.environ["PATH"]
    return lambda number: monkeypatch.setenv("PATH", f"{folder / request.param[number]}:{path}")


def saved_rules(lab: Lab) -> str:
    commands = [f"{family}-{backend}-save" for family in FAMILIES for backend in BACKENDS]
    return "".join(lab.run_outside([command]).stdout for command in commands)


def count_chains(lab: Lab) -> int:
    return saved_rules(lab).count(":TINYSNITCH-OUT ")


def test_a_start_takes_over_the_rules_in_the_other_backend(lab: Lab, use: Callable[[int], None]) -> None:
    use(0)
    killed = lab.start_daemon(f"allow {WORLD4} 80 tcp\n")
    killed.kill()
    before = count_chains(lab)
    use(1)
    successor = lab.restart_daemon(killed.rules.parent)
    assert count_chains(lab) == before > 0
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0
    assert successor.stop() == 0
    assert "TINYSNITCH" not in saved_rules(lab)


def test_the_rules_in_the_other_backend_count_and_can_be_removed(lab: Lab, use: Callable[[int], None]) -> None:
    use(0)
    lab.start_daemon("").kill()
    use(1)
    added = lab.run_outside([str(BIN / "tinysnitch-iptables-add")])
    assert "are there already" in added.stderr  # and their verdicts hold: new rules would know none
    removed = lab.run_outside([str(BIN / "tinysnitch-iptables-remove")])
    assert (removed.returncode, "rules removed" in removed.stderr + removed.stdout) == (0, True)
    assert "TINYSNITCH" not in saved_rules(lab)
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0
