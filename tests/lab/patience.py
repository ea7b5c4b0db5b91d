"""Waiting. How much slower than a usual machine this one is: an emulated one needs TINYSNITCH_LAB_PATIENCE=20.

What is sure to come may take WAIT_S: that costs nobody anything, and with other things to do a usual machine needs it.
"""

import os
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
