""""""

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.patience import read_line
from tests.store.test_whole_file import leave_unfinished
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.store.locks import LockHeld, StateLock, locked
from tinysnitch.store.whole_file import replace_text


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


HOLD = """
import sys, time
from pathlib import Path
from tinysnitch.store.locks import StateLock
lock = StateLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_of_two_the_second_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    first = StateLock(folder)
    with pytest.raises(SnitchError) as caught:
        StateLock(folder)
    assert str(caught.value) == f"{folder} is the state folder of another tinysnitchd, process {os.getpid()}"
    assert "--state-dir" in caught.value.hint
    (folder / "lock").write_text("")  # the first has not written its pid yet
    with pytest.raises(SnitchError, match=r"state folder of another tinysnitchd$"):
        StateLock(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    StateLock(tmp_path / "other").close()
    first.close()
    StateLock(folder).close()


@pytest.mark.parametrize(("mask", "above"), [(0o000, 0o755), (0o077, 0o700)])
def test_nobody_else_can_put_another_folder_in_its_place(tmp_path: Path, mask: int, above: int) -> None:
    folder = tmp_path / "a" / "b" / "state"
    before = os.umask(mask)
    try:
        StateLock(folder).close()
    finally:
        os.umask(before)
    made = (folder.parent.parent, folder.parent, folder)
    assert [stat.S_IMODE(each.stat().st_mode) for each in made] == [above, above, 0o700]


def test_whoever_is_killed_holds_it_no_longer(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("12345678901234\n")  # of an earlier daemon
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert read_line(holder) == "held\n"
        with pytest.raises(SnitchError, match=f"process {holder.pid}"):
            StateLock(tmp_path)
        holder.kill()
    StateLock(tmp_path).close()


def test_others_cannot_take_it(tmp_path: Path) -> None:
    StateLock(tmp_path).close()
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SnitchError, match=f"^{tmp_path / 'lock'}: "):
        StateLock(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("call", ["open", "pwrite"])
def test_a_full_disk_keeps_nobody_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def refuse(*_words: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    StateLock(tmp_path).close()


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example NFS when its lock daemon does not run."""

    def refuse(*_words: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(SnitchError, match=f"{tmp_path}: No locks available"):
        StateLock(tmp_path)
    assert os.listdir("/proc/self/fd") == before
