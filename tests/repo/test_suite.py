"""The test suite itself: it does not depend on the environment of its caller, and a test that hangs fails alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.patience import WAIT_S
from tests.repo.tree import ROOT

pytestmark = pytest.mark.slow

PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
NEEDS_SIGINT = "tests/cli/test_main.py::test_a_follower_is_told_at_once_and_ctrl_c_ends_it_quietly"
NEEDS_NO_PROXY = "tests/cli/test_lists_update.py::test_a_list_is_fetched"
NEEDS_WIDTH = "tests/cli/test_rules.py::test_options_of_ours_stand_before_the_rule"
HANGS = """
import asyncio, os, threading
import pytest

@pytest.fixture
def place():
    yield
    print("undone")

def test_it(place):
    {hang}
"""

WAYS_TO_HANG = (
    "threading.Event().wait()",
    "os.read(os.pipe()[0], 1)",
    "asyncio.run(asyncio.Event().wait())",
    "while True: pass",
)


def test_tests_pass_in_the_background_of_a_script_behind_a_proxy_on_a_narrow_terminal() -> None:
    done = subprocess.run(
        [*PYTEST, NEEDS_SIGINT, NEEDS_NO_PROXY, NEEDS_WIDTH],
        cwd=ROOT,
        env={**os.environ, "https_proxy": "http://127.0.0.1:9", "COLUMNS": "40"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_a_test_that_hangs_fails_where_it_hangs_and_is_torn_down(tmp_path: Path) -> None:
    ours = ["-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", "-o", "faulthandler_timeout=3"]
    # Otherwise faulthandler could end the process before pytest has reported the failure, on a busy machine.
    ours += ["-o", "faulthandler_exit_on_timeout=false"]
    running = {}
    for number, hang in enumerate(WAYS_TO_HANG):  # all at once: each takes its 3 seconds
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "test_hanging.py").write_text(HANGS.format(hang=hang))
        command = [*PYTEST, *ours, str(folder)]
        running[hang] = subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=subprocess.STDOUT, text=True)
    for hang, each in running.items():
        told = each.communicate(timeout=2 * WAIT_S)[0]
        assert each.returncode == 1, told
        for said in (f">       {hang}\n", "Failed: it hangs", "undone"):
            assert said in told
