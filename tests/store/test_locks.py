import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.test_text_file import leave_unfinished
from tinysnitch.store.locks import LockHeld, locked
from tinysnitch.store.text_file import replace_text


@pytest.fixture(autouse=True)
def _no_descriptor_stays() -> Iterator[None]:
    """A leak would add up: a lock that is held is tried every few seconds."""
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before


def test_a_lock_keeps_the_second_one_out(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path / "a"):
            order.append("second")

    thread = threading.Thread(target=second, daemon=True)
    with locked(tmp_path / "a"):
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_the_lock_leaves_nothing_and_is_one_for_all_who_want_it(tmp_path: Path) -> None:
    """Each process that waited finds that the lock file is gone, while the next one makes another."""
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(200):
            with locked(tmp_path / "a"):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (800, 1)
    assert list(tmp_path.iterdir()) == []


def test_who_waited_for_a_lock_that_went_takes_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between our opening and our locking another process finishes, and a third one begins."""
    place, wait, waits = tmp_path / ".a.lock", fcntl.flock, [True]

    def flock(fd: int, operation: int) -> None:
        wait(fd, operation)
        if waits.pop() if waits else False:
            place.unlink()
            place.touch()

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path / "a"), place.open() as other, pytest.raises(BlockingIOError):
        wait(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_had_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="No locks"), locked(tmp_path / "a"):
        pytest.fail("nobody else is kept out")


def test_nobody_waits_for_ever_for_a_lock(tmp_path: Path) -> None:
    """The holder of the lock may be stopped (SIGSTOP)."""
    path = tmp_path / "a"
    with locked(path):
        with pytest.raises(LockHeld, match=r"\.a\.lock is held") as refused, locked(path, patience_s=0.1):
            pytest.fail("two of them")
        assert "lslocks" in refused.value.hint
        assert [entry.name for entry in tmp_path.iterdir()] == [".a.lock"]
    with locked(path, patience_s=0.0):
        pass


def test_a_lock_file_that_was_taken_away_spoils_nothing(tmp_path: Path) -> None:
    with locked(tmp_path / "a"):
        (tmp_path / ".a.lock").unlink()


def test_nobody_else_can_take_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path / "a"):
        assert stat.S_IMODE((tmp_path / ".a.lock").stat().st_mode) == 0o600


def test_what_was_left_by_who_was_killed_goes_with_the_next_change(tmp_path: Path) -> None:
    path, others = tmp_path / "a", tmp_path / ".a.original"
    for each in (path, others):
        each.write_text("old")
    leave_unfinished(path)
    assert len(list(tmp_path.iterdir())) == 3
    with locked(path):
        replace_text(path, "new")
    assert sorted(tmp_path.iterdir()) == [others, path]
