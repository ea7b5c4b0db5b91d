"""bounded_reader.py: a process that blocks reads delays others neither long nor often."""

import errno
import gc
import itertools
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.lab.patience import WAIT_S, wait_until
from tinysnitch.kernel.system import bounded_reader
from tinysnitch.kernel.system.bounded_reader import (
    BLOCKED_LOOKS,
    BUSY_WAITS,
    LOOK_S,
    MAX_LOOKS,
    MAX_THREADS,
    MAX_THREADS_OF_ONE,
    MAX_WAITS,
    PAUSE_S,
    BoundedReader,
    count_waits,
)

OF_ALICE, OF_BOB = 100, 200
SHORT_LOOK_S = 0.002


class Place:
    """Processes whose uid is their pid // 100. Those that do not answer block until the end of the test."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.now_s = 0.0
        self.is_blocked = True
        self.waiting: set[int] = set()  # threads
        self.reader = BoundedReader(lambda pid: pid // 100, lambda: self.now_s, self._count_waits)

    def read(self, pid: int, *, answers: bool = True) -> str | None:
        return self.reader.read(pid, lambda: "read" if answers or self._wait() else "late")

    def _wait(self) -> bool:
        self.waiting.add(threading.get_native_id())
        return self.end.wait()

    def _count_waits(self, thread: int) -> int | None:
        return 1 if self.is_blocked and thread in self.waiting else None


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Looks follow each other quickly, and a read that answers may take long."""
    monkeypatch.setattr(bounded_reader, "LOOK_S", SHORT_LOOK_S)
    monkeypatch.setattr(bounded_reader, "MAX_LOOKS", int(WAIT_S / SHORT_LOOK_S))
    made = Place()
    yield made
    made.end.set()


def test_what_can_be_read_is(place: Place) -> None:
    assert [place.read(OF_ALICE) for _ in range(3)] == ["read"] * 3


def test_what_cannot_be_read_for_want_of_descriptors_is_told(place: Place) -> None:
    def fail() -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    for _again in range(2):
        with pytest.raises(OSError, match="Too many open files"):
            place.reader.read(OF_ALICE, fail)
    assert place.read(OF_ALICE) == "read"


@pytest.mark.parametrize("which", ["_count_waits", "_find_uid"])
def test_a_thread_that_is_given_up_for_want_of_descriptors_is_counted_and_ends(place: Place, which: str) -> None:
    def fail(_number: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    setattr(place.reader, which, fail)
    for pid in range(OF_ALICE, OF_ALICE + MAX_THREADS + 1):
        place.now_s += PAUSE_S * MAX_LOOKS
        with suppress(OSError):
            assert place.read(pid, answers=False) is None
    assert len(place.waiting) == MAX_THREADS_OF_ONE
    place.end.set()
    names = {f"/proc/self/task/{thread}" for thread in place.waiting}
    wait_until(lambda: not any(map(os.path.exists, names)))


def test_reads_at_once_leave_no_more_threads_than_there_were_reads(place: Place) -> None:
    """Holders of packet sockets are read beside the loop."""

    def read_inside() -> str | None:
        return place.reader.read(OF_BOB, lambda: "inside")

    before = threading.active_count()
    for _ in range(5):
        assert place.reader.read(OF_ALICE, read_inside) == "inside"
    assert threading.active_count() <= before + 2


class Failed(Exception):
    """In place of OSError, to which there are no weak references."""


def test_what_is_raised_waits_for_no_collection(place: Place) -> None:
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
            place.reader.read(OF_ALICE, fail)
        assert [error() for error in left] == [None]
    finally:
        gc.enable()


def test_who_does_not_answer_is_waited_for_once(place: Place) -> None:
    assert [place.read(OF_ALICE + number, answers=False) for number in range(50)] == [None] * 50
    assert len(place.waiting) == 1


def test_who_only_has_no_processor_is_waited_for(place: Place) -> None:
    place.is_blocked = False
    threading.Timer(2 * BLOCKED_LOOKS * LOOK_S, place.end.set).start()
    assert place.read(OF_ALICE, answers=False) == "read"


def test_who_comes_on_is_waited_for(place: Place) -> None:
    """Like a slow disk: each look finds it waiting, but further on each time."""
    threading.Timer(2 * BLOCKED_LOOKS * LOOK_S, place.end.set).start()
    assert place.reader.read_of(1, place._wait, itertools.count().__next__) is True
    place.end.clear()
    assert place.reader.read_of(1, place._wait, lambda: 1) is None


def test_what_is_no_users_is_read_beside_what_waits(place: Place) -> None:
    for _ in range(MAX_WAITS):
        assert place.reader.read_shared(lambda: "read") == "read"
        assert place.reader.read_shared(place._wait) is None
    assert place.reader.read_shared(lambda: "read") is None  # all that may be waited for was


def test_who_waits_for_one_short_thing_after_the_other_is_given_up(place: Place) -> None:
    """Like a file system that answers slowly."""
    waits = itertools.count(1)
    reader = BoundedReader(lambda pid: pid, count_waits=lambda _thread: next(waits))
    assert reader.read(1, place._wait) is None
    assert next(waits) == BLOCKED_LOOKS + 1
    assert reader.read_of(1, lambda: "read") is None


def test_who_begins_to_wait_again_and_again_is_waited_for(place: Place) -> None:
    """It may wait for the interpreter."""
    waits = itertools.count(1, BUSY_WAITS)
    threading.Timer(2 * BLOCKED_LOOKS * LOOK_S, place.end.set).start()
    assert BoundedReader(lambda pid: pid, count_waits=lambda _thread: next(waits)).read(1, place._wait) is True


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


def test_who_was_waited_for_longer_is_not_read_for_longer(place: Place) -> None:
    times = iter([0.0, 0.0, 4 * BLOCKED_LOOKS * SHORT_LOOK_S])
    place.reader = BoundedReader(lambda pid: pid // 100, lambda: next(times, place.now_s), place._count_waits)
    place.read(OF_ALICE, answers=False)
    place.now_s = 3 * PAUSE_S
    assert (place.read(OF_ALICE), place.read(OF_BOB)) == (None, "read")
    place.now_s = 5 * PAUSE_S
    assert place.read(OF_ALICE) == "read"


def test_a_thread_that_runs_does_not_wait() -> None:
    assert count_waits(threading.get_native_id()) is None


def test_it_takes_no_signal(place: Place) -> None:
    taken = place.reader.read(OF_ALICE, lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    assert taken
    assert signal.SIGINT in taken
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_other_users_are_read_meanwhile(place: Place) -> None:
    place.read(OF_ALICE, answers=False)
    assert place.read(OF_BOB) == "read"
    assert place.read(OF_ALICE + 1) is None


def test_after_a_while_it_is_tried_again(place: Place) -> None:
    place.read(OF_ALICE, answers=False)
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
    assert place.read(OF_ALICE) is None
    place.end.set()
    deadline_s = time.monotonic() + 60
    while place.read(OF_ALICE) is None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert place.read(OF_ALICE) == "read"


def test_nobody_takes_all_the_threads(place: Place) -> None:
    """However long it goes on; in between they are read."""
    for _ in range(MAX_THREADS + 1):
        place.now_s += PAUSE_S
        place.read(OF_ALICE)
        place.read(OF_ALICE, answers=False)
    place.now_s += PAUSE_S
    assert place.read(OF_ALICE) is None
    assert place.read(OF_BOB) == "read"


def test_who_may_have_many_users_takes_no_more_of_the_threads(place: Place) -> None:
    """The users of containers: subuid(5)."""
    first = 100_000
    for user in range(first, first + MAX_THREADS_OF_ONE):
        place.now_s += PAUSE_S
        place.read(100 * user, answers=False)
    place.now_s += PAUSE_S
    assert place.read(100 * (first + MAX_THREADS_OF_ONE)) is None
    assert place.read(OF_ALICE) == "read"


def test_root_who_has_what_does_not_answer_is_read_on(place: Place) -> None:
    for _ in range(MAX_THREADS_OF_ONE):
        place.now_s += PAUSE_S
        place.read(0, answers=False)
    place.now_s += PAUSE_S
    assert place.read(0) == "read"
