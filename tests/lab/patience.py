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
STALL_S = 0.2


def wait_until(is_so: Callable[[], object], problem: str = "it does not become so") -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(problem)
        time.sleep(0.05)


def pass_in_one_piece(seconds: float) -> None:
    """Where a delay itself must pass: a prompt that had no processor meanwhile counts it anew (view/key_guard.py)."""
    end_s = (now_s := time.monotonic()) + seconds
    give_up_s = now_s + WAIT_S
    while now_s < min(end_s, give_up_s):
        time.sleep(0.05)
        before_s, now_s = now_s, time.monotonic()
        if now_s > before_s + STALL_S:
            end_s = now_s + seconds


def read_until(process: subprocess.Popen[str], is_enough: Callable[[list[str]], object]) -> list[str]:
    """Its next lines, as many as are enough. One that ends or goes silent before fails, and what it said is shown."""
    said, _is_over = _read_in_time(process, is_enough)
    assert said, f"{process.args} said nothing, exit status {process.poll()}"
    assert is_enough(said), f"{process.args} said no more than this, exit status {process.poll()}:\n{''.join(said)}"
    return said


def read_line(process: subprocess.Popen[str]) -> str:
    """Its next line. A bare `readline` waits for ever, and who ends that for it does not say what was waited for."""
    return read_until(process, len)[0]


def read_rest(process: subprocess.Popen[str]) -> str:
    """All that it says until it ends. After a line was read, `communicate` may miss what was read with that."""
    said, is_over = _read_in_time(process, lambda _said: False)
    assert is_over, f"{process.args} does not end, and said this:\n{''.join(said)}"
    return "".join(said)


def wait_listening(server: subprocess.Popen[str]) -> None:
    """Programs of ours say so in their first line."""
    assert read_line(server) == "listening\n"


def _read_in_time(process: subprocess.Popen[str], is_enough: Callable[[list[str]], object]) -> tuple[list[str], bool]:
    """What it said, and whether it was enough or the end."""
    said: list[str] = []
    reader = threading.Thread(target=_read, args=(process, is_enough, said), daemon=True)
    reader.start()
    reader.join(WAIT_S)
    return said, not reader.is_alive()


def _read(process: subprocess.Popen[str], is_enough: Callable[[list[str]], object], said: list[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if is_enough(said):
            return
