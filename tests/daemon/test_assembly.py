"""The parts of the daemon, put together. The whole way, for real, is in tests/lab."""

import sys
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tinysnitch.daemon.assembly import read_extra_interpreters


@pytest.mark.parametrize(
    ("value", "names"), [("", ()), ("a", ("a",)), ("a /b/c", ("a", "/b/c")), (" a,,b ", ("a", "b"))]
)
def test_further_interpreters(value: str, names: tuple[str, ...]) -> None:
    assert read_extra_interpreters({"TINYSNITCH_TRIMS": value}) == names
    assert read_extra_interpreters({}) == ()


@pytest.mark.privileged
def test_a_rules_file_that_cannot_be_read_asks_about_everything_and_says_why(lab: Lab) -> None:
    daemon = lab.start_daemon("", "--rules", "/proc/self/mem")  # is there, and fails when it is read
    (told,) = daemon.records("rules")
    assert "Input/output error" in str(told["errors"])
    assert daemon.stop() == 0


@pytest.mark.privileged
def test_what_learns_does_not_start_without_its_rules(lab: Lab) -> None:
    """It would let through what the broken file denies."""
    rules = lab.folder / "broken"
    rules.write_text("deny shop.test - -\nbogus\n")
    command = [str(Path(sys.executable).parent / "tinysnitchd"), "--learn", "--rules", str(rules)]
    ended = lab.run_outside([*command, "--cgroup", str(lab.cgroup), "--state-dir", str(lab.folder / "state")])
    assert ended.returncode == 1
    assert f"tinysnitch: error: the rules file does not load: {rules}:2:1: " in ended.stderr
    assert "TINYSNITCH" not in lab.run_outside(["iptables-save"]).stdout
