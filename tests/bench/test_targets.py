"""What docs/costs.md says can be measured, measured for a moment: each table comes, with figures in it."""

import re
import subprocess

import pytest

from tests.lab.patience import PATIENCE
from tests.repo.tree import ROOT

# How to make it short, and what it has to print.
TARGETS = {
    "bench": (
        "--kind tcp4 --threads 8 --rounds 1 --seconds 0.1",
        [
            r"cached allow \| [1-9]",
            r"50,000 remotes \|.*\| \d of [1-9]",
            r"a miss \| [1-9]",
            r"UDP, eight at a time \| ours \| [1-9].* 0 \|",
            r"curl by name \| ours \| [1-9].* 0 \|",
            r"ls-remote.* \| ours \| [1-9].* 0 \|",
            r"unanswered.* \| [\d,.]{4}",
            r"without a decision \| 0 ",
        ],
    ),
    "profile": ("--seconds 0.2", [r"attribution \| [1-9]", r"rules \| [1-9]", r"misses a second \| \d"]),
    "bench-attribution": (
        "--count 200 --rounds 1",
        [
            r"TCP.* \| 200 \| 200 \| 0 ",
            r"UDP.* \| 200 \| 200 \| 0 ",
            r"known.* \| 200 \| 1\d\d \| \d+ \| 0 \| 200 ",
            r"exec .*µs",
        ],
    ),
    "bench-names": (
        "--messages 200 --names 100 --rules 100 --rounds 1 --seconds 0.1",
        [r"learned: [1-9]", r"\| 1,000 \| \d", r"100 rules, 100 names \| [1-9]"],
    ),
    "bench-prompt": ("--rounds 2 --seconds 1", [r"median [1-9]", r"at rest: \d.*, [1-9]"]),
}
PLAYED = {"questions"}  # it counts what is asked, and measures no time: tests/lab/test_questions.py

pytestmark = [pytest.mark.privileged, pytest.mark.slow]


def test_each_that_the_page_names_is_run() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / "docs/costs.md").read_text()))
    assert named - PLAYED == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_it_prints_its_table(target: str) -> None:
    options, expected = TARGETS[target]
    command = ["make", "-s", "-o", "setup-test", target, f"BENCH={options}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200 * PATIENCE)
    assert done.returncode == 0, done.stderr
    assert [pattern for pattern in expected if not re.search(pattern, done.stdout)] == [], done.stdout
