"""`iptables` means another of its two backends now than when our rules were added, as after update-alternatives."""

import itertools
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import Lab
from tests.lab.world import WORLD4

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.skipif(shutil.which("iptables-legacy-save") is None, reason="iptables has one backend here"),
]

BACKENDS = ("nft", "legacy")
FAMILIES = ("iptables", "ip6tables")


@pytest.fixture(params=[BACKENDS, BACKENDS[::-1]], ids=" then ".join)
def start(request: pytest.FixtureRequest, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Daemon]:
    """Starts a daemon for which `iptables` is the first or the second backend."""
    folder = lab.folder / "backend"
    for backend in BACKENDS:
        (folder / backend).mkdir(parents=True)
        for family, end in itertools.product(FAMILIES, ("", "-save", "-restore")):
            program = shutil.which(f"{family}-{backend}{end}")
            assert program
            (folder / backend / f"{family}{end}").symlink_to(program)
    return partial(_start, lab, monkeypatch, folder, request.param)


def _start(lab: Lab, monkeypatch: pytest.MonkeyPatch, folder: Path, backends: tuple[str, str], number: int) -> Daemon:
    place = lab.folder / "daemon"
    place.mkdir(exist_ok=True)
    (place / "rules").write_text("")
    monkeypatch.setenv("PATH", f"{folder / backends[number]}:{os.environ['PATH']}")
    return lab.restart_daemon(place)


def saved_rules(lab: Lab) -> str:
    commands = [f"{family}-{backend}-save" for family in FAMILIES for backend in BACKENDS]
    return "".join(lab.run_outside([command]).stdout for command in commands)


def test_a_stop_takes_away_what_the_other_one_holds(lab: Lab, start: Callable[[int], Daemon]) -> None:
    start(0).kill()
    successor = start(1)
    assert saved_rules(lab).count(":TINYSNITCH-OUT ") > 2
    assert successor.stop() == 0
    assert "TINYSNITCH" not in saved_rules(lab)
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0


def test_what_nobody_serves_any_more_is_taken_away(lab: Lab, start: Callable[[int], Daemon]) -> None:
    start(0).kill()
    start(1).kill()
    told = lab.run_outside([str(BIN / "tinysnitch-iptables-remove")])
    assert (told.returncode, "rules removed" in told.stderr + told.stdout) == (0, True)
    assert "TINYSNITCH" not in saved_rules(lab)
