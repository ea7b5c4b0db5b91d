"""How tests talk with the processes that they start, and how they wait.

They wait for an event, with a long limit, and never for a fixed time in the hope that it has happened by then.

PATIENCE is how much slower this machine is than a usual one: an emulated one needs TINYSNITCH_LAB_PATIENCE=20. WAIT_S
limits waits for what must happen. A long limit costs nothing when it does, and a busy machine needs it.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable

PATIENCE = float(os.environ.get("TINYSNITCH_LAB_PATIENCE", "1"))
WAIT_S = 60.0 * PATIENCE
STALL_S = 0.2  # a pause between two looks that is longer means: this process had no processor


def wait_until(is_so: Callable[[], object], problem: str = "it does not become so") -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(problem)
        time.sleep(0.05)


def pass_in_one_piece(seconds: float) -> None:
    """Wait for a delay that itself is tested: `seconds` without a stall.

    A prompt that had no processor for a while counts its delay anew (view/key_guard.py), and so must we.
    """
    end_s = (now_s := time.monotonic()) + seconds
    give_up_s = now_s + WAIT_S
    while now_s < min(end_s, give_up_s):
        time.sleep(0.05)
        before_s, now_s = now_s, time.monotonic()
        if now_s > before_s + STALL_S:
            end_s = now_s + seconds


def write_line(process: subprocess.Popen[str], line: str = "") -> None:
    """Send a line to the process's stdin, which must be a pipe."""
    assert process.stdin
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def read_until(process: subprocess.Popen[str], is_enough: Callable[[list[str]], object]) -> list[str]:
    """Read the process's next lines until `is_enough` of them.

    If it ends or falls silent before that, the test fails and shows what it said.
    """
    said, _is_over = _read_in_time(process, is_enough)
    assert said, f"{process.args} said nothing, exit status {process.poll()}"
    assert is_enough(said), f"{process.args} said no more than this, exit status {process.poll()}:\n{''.join(said)}"
    return said


def read_line(process: subprocess.Popen[str]) -> str:
    """Read the process's next line. A bare `readline` could wait for ever, and its failure would not say for what."""
    return read_until(process, len)[0]


def read_rest(process: subprocess.Popen[str]) -> str:
    """Read all that the process says until it ends.

    `communicate` is no substitute once a line was read: it may miss what the stream's buffer holds already.
    """
    said, is_over = _read_in_time(process, lambda _said: False)
    assert is_over, f"{process.args} does not end, and said this:\n{''.join(said)}"
    return "".join(said)


def wait_listening(server: subprocess.Popen[str]) -> None:
    """Wait until the server listens: the lab's own programs print that as their first line."""
    assert read_line(server) == "listening\n"


def _read_in_time(process: subprocess.Popen[str], is_enough: Callable[[list[str]], object]) -> tuple[list[str], bool]:
    """What the process said within WAIT_S, and whether reading is over: it was enough, or the stream ended."""
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
