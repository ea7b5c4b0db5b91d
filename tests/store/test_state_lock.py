import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.patience import read_line
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.store.state_lock import StateLock

HOLD = """
import sys, time
from pathlib import Path
from tinysnitch.store.state_lock import StateLock
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
