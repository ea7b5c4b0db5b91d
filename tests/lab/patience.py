"""Waiting. How much slower than a usual machine this one is: an emulated one needs TINYSNITCH_LAB_PATIENCE=20."""

import os
import time
from collections.abc import Callable

PATIENCE = float(os.environ.get("TINYSNITCH_LAB_PATIENCE", "1"))
_WAIT_S = 15.0


def wait_until(is_so: Callable[[], object], problem: str = "it does not become so") -> None:
    deadline = time.monotonic() + _WAIT_S * PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(problem)
        time.sleep(0.05)
