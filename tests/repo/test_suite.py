"""Who starts the tests, and where, changes nothing for them: tests/conftest.py."""

import os
import signal
import subprocess
import sys

from tests.repo.tree import ROOT

NEEDS_SIGINT = "tests/cli/test_main.py::test_a_follower_is_told_at_once_and_ctrl_c_ends_it_quietly"
NEEDS_NO_PROXY = "tests/cli/test_lists_update.py::test_a_list_is_fetched"
NEEDS_WIDTH = "tests/cli/test_rules.py::test_options_of_ours_stand_before_the_rule"


def test_in_the_background_of_a_script_behind_a_proxy_on_a_narrow_terminal() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, NEEDS_SIGINT, NEEDS_NO_PROXY, NEEDS_WIDTH],
        cwd=ROOT,
        env={**os.environ, "https_proxy": "http://127.0.0.1:9", "COLUMNS": "40"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
