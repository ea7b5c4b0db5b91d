"""`make run CMD=...`: what surrounds the command. The README's own lines are in tests/lab/test_readme.py."""

import subprocess

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE
from tests.lab.private_machine import PrivateMachine
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]


@pytest.mark.parametrize(
    ("command", "status"),
    [(f"curl -sS http://{WORLD4}/; exit 3", 3), ("it='a b'; [ \"$it\" = 'a b' ] && exit 4", 4)],
)
def test_the_shells_words_and_its_exit_status_come_through(lab: Lab, command: str, status: int) -> None:
    words = [*PrivateMachine(lab).enter(), "make", "-s", "-o", "setup", "run", f"CMD={command}"]
    ran = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40 * PATIENCE)
    assert f"Error {status}" in ran.stderr  # make says it, and ends with 2
    assert ("refused" in ran.stderr) == (WORLD4 in command)
