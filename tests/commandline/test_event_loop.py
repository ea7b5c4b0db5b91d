"""event_loop.py: the work is done, or the only error is that there are too few descriptors."""

import subprocess
import sys

from tinysnitch.commandline.event_loop import run_in_loop

LACKING = """\
import os, resource
from tinysnitch.commandline.event_loop import run_in_loop

async def work():
    raise AssertionError("begun")

first = os.dup(0)  # the lowest free descriptor
os.close(first)
for more in range(3):
    resource.setrlimit(resource.RLIMIT_NOFILE, (first + more, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        run_in_loop(work())
    except OSError as error:
        print(error.strerror)
"""


async def say(word: str) -> str:
    return word


def test_the_work_is_done() -> None:
    assert run_in_loop(say("done")) == "done"


def test_too_few_descriptors_are_an_error_and_nothing_else_is_said() -> None:
    done = subprocess.run([sys.executable, "-W", "always", "-c", LACKING], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("Too many open files\n" * 3, "")
