import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.lab.patience import WAIT_S
from tests.view.sample_prompts import CURL
from tinysnitch.client.process_ends import ProcessEnds, is_alive
from tinysnitch.core.model.process import Process
from tinysnitch.kernel.proc import procfs

# The first thread ends, the second goes on.
HALF_ENDED = (
    "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start();"
    "ctypes.CDLL(None).pthread_exit(None)"
)


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(getattr(request, "param", ["sleep", "600"]))
    yield started
    started.kill()
    started.wait(timeout=WAIT_S)


def process_of(child: subprocess.Popen[bytes]) -> Process:
    status = procfs.read_stat(child.pid)
    assert status
    exact_ns = status.started_ns + 123  # as the kernel has it, finer than /proc
    return msgspec.structs.replace(CURL, pid=child.pid, started_ns=exact_ns)


def test_a_process_that_was_seen_alive_is_seen_to_end(child: subprocess.Popen[bytes]) -> None:
    process, ends = process_of(child), ProcessEnds()
    assert not ends.has_ended(process)
    child.kill()
    wait_state(child.pid, "Z")
    assert ends.has_ended(process)  # a zombie: its parent has not waited for it yet
    child.wait(timeout=WAIT_S)
    assert ends.has_ended(process)


def test_of_one_that_was_never_seen_nothing_is_said(child: subprocess.Popen[bytes]) -> None:
    process, ends = process_of(child), ProcessEnds()
    another = msgspec.structs.replace(process, started_ns=process.started_ns + 10**9)  # its pid was reused
    assert not ends.has_ended(another)
    child.kill()
    child.wait(timeout=WAIT_S)
    assert not ends.has_ended(process)
    assert not ends.has_ended(another)


@pytest.mark.parametrize("child", [[sys.executable, "-c", HALF_ENDED]], indirect=True)
def test_as_long_as_one_of_its_threads_runs_it_has_not_ended(child: subprocess.Popen[bytes]) -> None:
    process = process_of(child)
    wait_state(child.pid, "Z")
    assert is_alive(process.pid, process.started_ns)


def wait_state(pid: int, state: str) -> None:
    deadline = time.monotonic() + 60
    while f") {state} " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
