"""worker_thread.py: results and errors are returned, an error does not end the thread, and it gets no signals."""

import signal
import subprocess
import sys
import threading

from tests.lab.patience import WAIT_S, wait_until
from tinysnitch.kernel.system.bounded_reader import WorkerThread


def test_one_thing_after_the_other_until_it_is_to_end() -> None:
    worker = WorkerThread()
    first, second = worker.begin(threading.get_native_id), worker.begin(lambda: 1 // 0)
    worker.end()
    assert first.get(timeout=WAIT_S) == worker.thread_id != threading.get_native_id()
    assert isinstance(second.get(timeout=WAIT_S), ZeroDivisionError)
    wait_until(lambda: not worker.is_alive())


def test_one_that_waits_for_ever_keeps_no_process_from_its_end() -> None:
    words = "import threading; from tinysnitch.kernel.system.bounded_reader import WorkerThread"
    command = [sys.executable, "-c", f"{words}; WorkerThread().begin(threading.Event().wait)"]
    assert subprocess.run(command, timeout=WAIT_S, check=False).returncode == 0


def test_it_takes_no_signal() -> None:
    worker = WorkerThread()
    mask = worker.begin(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    worker.end()
    assert mask.get(timeout=WAIT_S) >= {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGIO}
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
