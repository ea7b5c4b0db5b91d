"""offload.py: a process that blocks reads delays others neither long nor often, and other work delays nothing."""

import asyncio
import errno
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.lab.patience import WAIT_S, wait_until
from tinysnitch.kernel.system import offload
from tinysnitch.kernel.system.offload import (
    BLOCKED_LOOKS,
    BUSY_WAITS,
    MAX_LOOKS,
    MAX_THREADS,
    MAX_WAITS,
    PAUSE_S,
    Busy,
    Late,
    NoThread,
    Offload,
    count_waits,
)

OF_ONE = MAX_THREADS // 4
OF_ALICE, OF_BOB = 100, 200
SHORT_LOOK_S = 0.002


class Place:
    """Processes whose uid is their pid // 100. Those that do not answer block until the end of the test."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.now_s = 0.0
        self.waiting: set[int] = set()  # threads
        self.offload = Offload(lambda pid: pid // 100, clock=lambda: self.now_s, count_waits=self.count_waits)

    def read(self, pid: int, *, answers: bool = True) -> str | None:
        return self.offload.read(pid, lambda: "read" if answers or self.wait() else "late")

    def wait(self) -> bool:
        self.waiting.add(threading.get_native_id())
        return self.end.wait()

    def count_waits(self, thread: int) -> int | None:
        return 1 if thread in self.waiting else None


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Looks follow each other quickly, and a read that answers may take long."""
    monkeypatch.setattr(offload, "LOOK_S", SHORT_LOOK_S)
    monkeypatch.setattr(offload, "MAX_LOOKS", int(WAIT_S / SHORT_LOOK_S))
    made = Place()
    yield made
    made.end.set()


def lack(*_number: int) -> int:
    raise OSError(errno.EMFILE, "Too many open files")


def refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


# What is waited for


def test_what_can_be_read_is(place: Place) -> None:
    assert [place.read(OF_ALICE) for _ in range(3)] == ["read"] * 3


def test_what_fails_is_raised_and_ends_no_thread(place: Place) -> None:
    before = threading.active_count()
    for _again in range(2):
        with pytest.raises(OSError, match="Too many open files"):
            place.offload.read(OF_ALICE, lack)
    assert place.read(OF_ALICE) == "read"
    assert threading.active_count() == before + 1


@pytest.mark.parametrize("which", ["count_waits", "find_uid"])
def test_a_thread_that_is_given_up_for_want_of_descriptors_is_counted_and_ends(place: Place, which: str) -> None:
    find_uid = lack if which == "find_uid" else lambda pid: pid // 100
    waits = lack if which == "count_waits" else place.count_waits
    place.offload = Offload(find_uid, clock=lambda: place.now_s, count_waits=waits)
    for pid in range(OF_ALICE, OF_ALICE + OF_ONE + 2):
        place.now_s += PAUSE_S * MAX_LOOKS
        with suppress(OSError):
            assert place.read(pid, answers=False) is None
    wait_until(lambda: len(place.waiting) == OF_ONE)
    place.end.set()
    names = {f"/proc/self/task/{thread}" for thread in place.waiting}
    wait_until(lambda: not any(map(os.path.exists, names)))
    assert len(place.waiting) == OF_ONE


def test_reads_at_once_leave_no_more_threads_than_there_were_reads(place: Place) -> None:
    """Holders of packet sockets are read beside the loop."""

    def read_inside() -> str | None:
        return place.offload.read(OF_BOB, lambda: "inside")

    before = threading.active_count()
    for _ in range(5):
        assert place.offload.read(OF_ALICE, read_inside) == "inside"
    assert threading.active_count() <= before + 2


class Failed(Exception):
    """In place of OSError, to which there are no weak references."""


@pytest.mark.parametrize(
    "wait", [lambda done, work: done.read(OF_ALICE, work), lambda done, work: done.finish(work, WAIT_S)]
)
def test_what_is_raised_waits_for_no_collection(place: Place, wait: Callable[[Offload, object], object]) -> None:
    """Its traceback refers to the frames of all callers, and so to packet, process and image."""
    left: list[weakref.ref[Failed]] = []

    def noted(error: Failed) -> Failed:
        left.append(weakref.ref(error))
        return error

    def fail() -> str:
        raise noted(Failed())

    gc.disable()
    try:
        with suppress(Failed):
            wait(place.offload, fail)
        assert [error() for error in left] == [None]
    finally:
        gc.enable()


def test_who_does_not_answer_is_waited_for_once(place: Place) -> None:
    assert [place.read(OF_ALICE + number, answers=False) for number in range(50)] == [None] * 50
    assert len(place.waiting) == 1


def test_who_only_has_no_processor_is_waited_for(place: Place) -> None:
    looks = itertools.count()
    place.offload = Offload(count_waits=lambda _thread: place.end.set() if next(looks) > 2 * BLOCKED_LOOKS else None)
    assert place.read(OF_ALICE, answers=False) == "read"


def test_who_comes_on_is_waited_for(place: Place) -> None:
    """Like a slow disk: each look finds it waiting, but further on each time."""
    looks = itertools.count()

    def come_on() -> int:
        if (look := next(looks)) > 2 * BLOCKED_LOOKS:
            place.end.set()
        return look

    assert place.offload.read_of(1, place.wait, come_on) is True
    place.end.clear()
    assert place.offload.read_of(1, place.wait, lambda: 1) is None


def test_what_is_no_users_is_read_beside_what_waits(place: Place) -> None:
    for _ in range(MAX_WAITS):
        assert place.offload.read_shared(lambda: "read") == "read"
        assert place.offload.read_shared(place.wait) is None
    assert place.offload.read_shared(lambda: "read") is None  # all that may be waited for was


def test_a_look_at_what_does_not_answer_is_an_error(place: Place) -> None:
    with pytest.raises(TimeoutError) as silent:
        place.offload.look(place.wait)
    assert silent.value.strerror == "it does not answer"
    assert place.offload.look(lambda: "read") == "read"


def test_who_waits_for_one_short_thing_after_the_other_is_given_up(place: Place) -> None:
    """Like a file system that answers slowly."""
    waits = itertools.count(1)
    slow = Offload(count_waits=lambda _thread: next(waits))
    assert slow.read_of(1, place.wait) is None
    assert next(waits) == BLOCKED_LOOKS + 1
    assert slow.read_of(1, lambda: "read") is None


def test_who_begins_to_wait_again_and_again_is_waited_for(place: Place) -> None:
    """It may wait for the interpreter."""
    waits = itertools.count(1, BUSY_WAITS)

    def wait_more(_thread: int) -> int:
        if (count := next(waits)) > 2 * BLOCKED_LOOKS * BUSY_WAITS:
            place.end.set()
        return count

    assert Offload(count_waits=wait_more).read_of(1, place.wait) is True


def test_a_thread_that_waits_for_one_short_thing_after_the_other_is_seen_to() -> None:
    is_over = threading.Event()
    thread = threading.Thread(target=lambda: list(iter(lambda: is_over.wait(0.01), True)), daemon=True)
    thread.start()
    assert thread.native_id
    found: list[int] = []

    def has_waited_more() -> bool:
        if thread.native_id and (count := count_waits(thread.native_id)):
            found.append(count)
        return len(set(found)) > 1

    wait_until(has_waited_more)
    is_over.set()
    thread.join(WAIT_S)
    assert found == sorted(found)


def test_a_thread_that_runs_does_not_wait() -> None:
    assert count_waits(threading.get_native_id()) is None


def test_who_was_waited_for_longer_is_not_read_for_longer(place: Place) -> None:
    times = iter([0.0, 0.0, 4 * BLOCKED_LOOKS * SHORT_LOOK_S])
    place.offload = Offload(
        lambda pid: pid // 100, clock=lambda: next(times, place.now_s), count_waits=place.count_waits
    )
    place.read(OF_ALICE, answers=False)
    place.now_s = 3 * PAUSE_S
    assert (place.read(OF_ALICE), place.read(OF_BOB)) == (None, "read")
    place.now_s = 5 * PAUSE_S
    assert place.read(OF_ALICE) == "read"


# Shares


def test_other_users_are_read_meanwhile_and_after_a_while_it_is_tried_again(place: Place) -> None:
    place.read(OF_ALICE, answers=False)
    assert place.read(OF_BOB) == "read"
    assert place.read(OF_ALICE + 1) is None
    place.now_s = PAUSE_S
    assert place.read(OF_ALICE) == "read"


def test_who_has_many_users_takes_no_more_of_the_time(place: Place) -> None:
    assert [place.read(100 * user, answers=False) for user in range(MAX_WAITS)] == [None] * MAX_WAITS
    assert place.read(100 * MAX_WAITS) is None
    place.now_s = PAUSE_S
    assert place.read(100 * MAX_WAITS) == "read"


def test_threads_that_do_not_end_are_bounded(place: Place) -> None:
    for user in range(MAX_THREADS + 1):
        place.now_s += PAUSE_S
        place.read(100 * user, answers=False)
    place.now_s += PAUSE_S
    assert len(place.waiting) == MAX_THREADS
    assert place.read(OF_ALICE) is None
    place.end.set()
    wait_until(lambda: place.read(OF_ALICE) == "read")


def test_nobody_takes_all_the_threads(place: Place) -> None:
    """However long it goes on; in between they are read."""
    for _ in range(OF_ONE + 1):
        place.now_s += PAUSE_S
        place.read(OF_ALICE)
        place.read(OF_ALICE, answers=False)
    place.now_s += PAUSE_S
    assert place.read(OF_ALICE) is None
    assert place.read(OF_BOB) == "read"


def test_who_may_have_many_users_takes_no_more_of_the_threads(place: Place) -> None:
    """The users of containers: subuid(5)."""
    first = 100_000
    for user in range(first, first + OF_ONE):
        place.now_s += PAUSE_S
        place.read(100 * user, answers=False)
    place.now_s += PAUSE_S
    assert place.read(100 * (first + OF_ONE)) is None
    assert place.read(OF_ALICE) == "read"


def test_root_who_has_what_does_not_answer_is_read_on(place: Place) -> None:
    for _ in range(OF_ONE):
        place.now_s += PAUSE_S
        place.read(0, answers=False)
    place.now_s += PAUSE_S
    assert place.read(0) == "read"


# What may take its time


def test_work_that_is_to_be_finished_may_wait(place: Place) -> None:
    threading.Timer(2 * BLOCKED_LOOKS * SHORT_LOOK_S, place.end.set).start()
    assert place.offload.finish(place.wait, WAIT_S) is True
    with pytest.raises(OSError, match="Too many open files"):
        place.offload.finish(lack, WAIT_S)


def test_work_that_is_late_goes_on_and_counts(place: Place) -> None:
    place.offload = Offload(max_threads=1)
    with pytest.raises(Late):
        place.offload.finish(place.wait, SHORT_LOOK_S)
    with pytest.raises(Busy):
        place.offload.finish(lambda: "done", WAIT_S)
    place.end.set()
    done: list[str] = []

    def is_done() -> bool:
        with suppress(Busy):
            done.append(place.offload.finish(lambda: "done", WAIT_S))
        return bool(done)

    wait_until(is_done)


def test_where_no_thread_can_be_had_nothing_is_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert place.read(OF_ALICE) is None
    with pytest.raises(NoThread):
        place.offload.finish(lambda: "done", WAIT_S)


def test_the_result_comes_to_the_loop(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[int | None]:
        told: asyncio.Queue[int | None] = asyncio.Queue()
        place.offload.begin(lambda: 7, told.put_nowait)
        first = await told.get()
        place.offload.begin(lambda: 1 // 0, told.put_nowait)
        return [first, await told.get()]

    assert asyncio.run(run()) == [7, None]
    assert "ZeroDivisionError" in caplog.text


def test_a_user_who_has_much_begun_waits_and_others_do_not(place: Place) -> None:
    async def run() -> None:
        told: asyncio.Queue[bool | None] = asyncio.Queue()
        for _ in range(OF_ONE):
            place.offload.begin(place.wait, told.put_nowait, uid=1)
        with pytest.raises(Busy):
            place.offload.begin(place.wait, told.put_nowait, uid=1)
        place.offload.begin(place.wait, told.put_nowait, uid=2)
        place.end.set()
        assert [await told.get() for _ in range(OF_ONE + 1)] == [True] * (OF_ONE + 1)
        place.offload.begin(place.wait, told.put_nowait, uid=1)
        assert await told.get()

    asyncio.run(run())


# The threads


def test_one_that_waits_for_ever_keeps_no_process_from_its_end() -> None:
    words = "import threading; from tinysnitch.kernel.system.offload import Offload"
    command = [sys.executable, "-c", f"{words}; Offload().read_shared(threading.Event().wait)"]
    assert subprocess.run(command, timeout=WAIT_S, check=False).returncode == 0


def test_they_take_no_signal(place: Place) -> None:
    mask = place.offload.read(OF_ALICE, lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    assert mask
    assert mask >= {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGIO}
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


STOPPED = """
import os, signal, time
from tinysnitch.kernel.system.offload import Offload
def change():
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.05)
    return "made"
print(Offload().finish(change, limit_s=0.5))
"""


@pytest.mark.slow
def test_that_we_had_no_processor_for_longer_than_that_is_no_reason_to_give_up() -> None:
    child = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True)
    assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
    time.sleep(0.6)
    child.send_signal(signal.SIGCONT)
    assert child.communicate(timeout=WAIT_S)[0] == "made\n"
