"""Waiting. How much slower than a usual machine this one is: an emulated one needs TINYSNITCH_LAB_PATIENCE=20.

What is sure to come may take WAIT_S: that costs nobody anything, and with other things to do a usual machine needs it.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable

PATIENCE = float(os.environ.get("TINYSNITCH_LAB_PATIENCE", "1"))
WAIT_S = 60.0 * PATIENCE


def wait_until(is_so: Callable[[], object], problem: str = "it does not become so") -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(problem)
        time.sleep(0.05)


def read_until(process: subprocess.Popen[str], is_enough: Callable[[list[str]], object]) -> list[str]:
    """Its next lines, as many as are enough. One that ends or goes silent before fails, and what it said is shown."""
    said: list[str] = []
    reader = threading.Thread(target=_read, args=(process, is_enough, said), daemon=True)
    reader.start()
    reader.join(WAIT_S)
    assert said, f"{process.args} said nothing, exit status {process.poll()}"
    assert is_enough(said), f"{process.args} said no more than this, exit status {process.poll()}:\n{''.join(said)}"
    return said


def wait_listening(server: subprocess.Popen[str]) -> None:
    """Programs of ours say so in their first line."""
    assert server.stdout
    assert (said := server.stdout.readline()) == "listening\n", said


def _read(process: subprocess.Popen[str], is_enough: Callable[[list[str]], object], said: list[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if is_enough(said):
            return
