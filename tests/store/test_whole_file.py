import errno
import os
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.shortage import descriptors_left
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.undecoded import MAX_BYTES
from tinysnitch.store.whole_file import (
    close_folder_to_readers,
    close_to_readers,
    errors_named,
    is_being_written,
    is_open_to_others,
    read_text,
    replace_text,
)


@pytest.fixture(autouse=True)
def _no_descriptor_stays() -> Iterator[None]:
    """A leak would add up: a file that cannot be read is tried every few seconds."""
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before


def test_bytes_go_back_as_they_came(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xc3\xbc\n")
    text = read_text(tmp_path / "a")
    replace_text(tmp_path / "b", text)
    assert (tmp_path / "b").read_bytes() == b"\xff\xc3\xbc\n"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (Path.mkdir, "Is a directory"),
        (lambda path: (path.touch(), os.truncate(path, MAX_BYTES + 1)), "File too large"),
    ],
)
def test_only_a_regular_file_is_read(tmp_path: Path, make: Callable[[Path], None], problem: str) -> None:
    make(tmp_path / "a")
    with pytest.raises(OSError, match=problem):
        read_text(tmp_path / "a")


def test_what_is_always_empty_is_an_empty_file() -> None:
    assert read_text(Path("/dev/null")) == ""


def test_only_a_regular_file_is_replaced(tmp_path: Path) -> None:
    """Root could replace /dev/null itself."""
    os.mknod(tmp_path / "a", stat.S_IFIFO | 0o600)
    with pytest.raises(OSError, match="not a regular file"):
        replace_text(tmp_path / "a", "text")
    assert stat.S_ISFIFO((tmp_path / "a").stat().st_mode)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_failure_leaves_the_old_text_and_no_litter(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        replace_text(tmp_path / "a", "\ud800")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    assert read_text(tmp_path / "a") == "old"


KILLED = """
import os, signal, sys
from pathlib import Path
from tinysnitch.store.whole_file import replace_text
replace_text(Path(sys.argv[1]), "new", check=lambda: os.kill(os.getpid(), signal.SIGKILL))
"""


def leave_unfinished(path: Path) -> None:
    """Leave an unfinished file, as a process that is killed while it writes does."""
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -signal.SIGKILL


def test_a_text_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves the old text or the new one. The folder, with the new name, is synced last."""
    path, steps = tmp_path / "a", []
    path.write_text("old")

    def sync(fd: int) -> None:
        synced = "the folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else Path(f"/proc/self/fd/{fd}").read_text()
        steps.append((synced, path.read_text()))

    monkeypatch.setattr(os, "fsync", sync)
    replace_text(path, "new", check=lambda: steps.append(("checked", path.read_text())))
    assert steps == [("new", "old"), ("checked", "old"), ("the folder", "new")]


def test_who_may_read_it_stays(tmp_path: Path) -> None:
    """A new file gets the mode that is given."""
    replace_text(tmp_path / "a", "old", 0o604)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o604
    (tmp_path / "a").chmod(0o640)
    replace_text(tmp_path / "a", "new")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def let_alice_write(path: Path) -> bytes:
    """Give the file an access control list by which its group may only read (acl(5)), and return that."""
    anyone = 0xFFFFFFFF
    owner, alice, group, mask, others = (1, 6, anyone), (2, 6, 1000), (4, 4, anyone), (16, 6, anyone), (32, 0, anyone)
    entries = (owner, alice, group, mask, others)
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, right, who) for tag, right, who in entries)
    os.setxattr(path, "system.posix_acl_access", acl)
    return acl


@pytest.mark.privileged
def test_an_access_control_list_stays(tmp_path: Path) -> None:
    """The mode of a file that has one does not say what its group may do."""
    path = tmp_path / "rules"
    path.write_text("old")
    acl = let_alice_write(path)
    replace_text(path, "new")
    assert path.read_text() == "new"
    assert os.getxattr(path, "system.posix_acl_access") == acl


def test_a_text_comes_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be renamed from another file system."""
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    replace_text(tmp_path / "a", "text")
    assert read_text(tmp_path / "a") == "text"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize("group", [1235, os.getegid()])
def test_an_owner_stays(tmp_path: Path, group: int) -> None:
    (tmp_path / "a").write_text("old")
    os.chown(tmp_path / "a", 1234, group)
    replace_text(tmp_path / "a", "new")
    status = (tmp_path / "a").stat()
    assert (status.st_uid, status.st_gid, read_text(tmp_path / "a")) == (1234, group, "new")


def test_that_too_few_files_may_be_open_has_nothing_to_do_with_the_place(tmp_path: Path) -> None:
    with descriptors_left(0), pytest.raises(SnitchError) as refused, errors_named(tmp_path / "a"):
        read_text(tmp_path / "a")
    assert "ulimit" in refused.value.hint


def test_who_has_it_open_to_write_to_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert not is_being_written(path)
    with path.open("w"):
        assert is_being_written(path)
    with path.open():
        assert not is_being_written(path)
    os.mkfifo(tmp_path / "pipe")
    assert not is_being_written(tmp_path / "pipe")


def test_who_begins_to_write_in_the_moment_of_the_look_ends_nobody(tmp_path: Path) -> None:
    """The kernel tells us by a signal."""

    def write() -> None:
        for _ in range(2000):
            (tmp_path / "a").write_text("")

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    while thread.is_alive():
        is_being_written(tmp_path / "a")
    thread.join()


def test_refusals_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotPermitted, match="/x: Permission denied"), errors_named(Path("/x")):
        raise PermissionError(13, "Permission denied")


def test_what_root_is_refused_is_not_for_want_of_a_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """For example an immutable file: `run it as root` (exit code 4) would not help root."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SnitchError, match="/x: Operation not permitted") as refused, errors_named(Path("/x")):
        raise PermissionError(errno.EPERM, "Operation not permitted")
    assert (refused.value.exit_code, "lsattr" in refused.value.hint) == (1, True)


@pytest.mark.parametrize("number", [errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EROFS, errno.ENOSPC, errno.EIO])
def test_every_refusal_has_a_hint(number: int) -> None:
    with pytest.raises(SnitchError) as refused, errors_named(Path("/x")):
        raise OSError(number, os.strerror(number))
    assert refused.value.hint


@pytest.mark.privileged
def test_a_file_that_is_mounted_by_itself_cannot_be_replaced(tmp_path: Path) -> None:
    """A container may get a single file so (`docker run -v`); rename(2) then fails with EBUSY."""
    for name in ("elsewhere", "rules"):
        (tmp_path / name).write_text("old\n")
    code = (
        "from tinysnitch.store.whole_file import *\n"
        "with errors_named(Path('rules')): replace_text(Path('rules'), 'new')"
    )
    script = 'mount --bind elsewhere rules && exec "$0" -c "$1"'
    command = ["unshare", "--mount", "sh", "-ec", script, sys.executable, code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "SnitchError: rules: Device or resource busy" in done.stderr
    assert (tmp_path / "elsewhere").read_text() == "old\n"
    with pytest.raises(SnitchError) as refused, errors_named(Path("/x")):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    assert refused.value.hint == "it is mounted there by itself: mount its folder"


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("mode", "owner", "group", "is_open"),
    [
        (0o644, 0, 0, False),
        (0o664, 0, 0, False),
        (0o640, 0, 4, False),
        (0o660, 0, 4, True),
        (0o666, 0, 0, True),
        (0o600, 1000, 0, True),
    ],
)
def test_whether_others_may_write_a_file(tmp_path: Path, mode: int, owner: int, group: int, is_open: bool) -> None:
    path = tmp_path / "rules"
    path.touch()
    os.chown(path, owner, group)
    path.chmod(mode)
    assert is_open_to_others(path) is is_open
    path.unlink()
    assert not is_open_to_others(path)
    path.symlink_to(os.devnull)
    assert not is_open_to_others(path)


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("mode", "owner", "group", "closed"),
    [
        (0o644, 0, 0, 0o600),
        (0o640, 0, 0, 0o600),
        (0o644, 0, 4, 0o640),
        (0o640, 0, 4, None),
        (0o600, 0, 0, None),
        (0o644, 1000, 1000, None),  # a user's own file
    ],
)
def test_others_lose_the_right_to_read_a_file_of_root(
    tmp_path: Path, mode: int, owner: int, group: int, closed: int | None
) -> None:
    path = tmp_path / "rules"
    path.write_text("x\n")
    os.chown(path, owner, group)
    path.chmod(mode)
    assert close_to_readers(path) is (closed is not None)
    assert stat.S_IMODE(path.stat().st_mode) == (closed or mode)
    assert path.read_text() == "x\n"


@pytest.mark.privileged
def test_others_lose_the_right_to_read_the_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    modes = {"history": 0o644, "names": 0o600, "temporary": 0o604, "below/list": 0o644}
    for name, mode in modes.items():
        (tmp_path / name).touch(mode)
        (tmp_path / name).chmod(mode)
    os.mkfifo(tmp_path / "pipe", 0o644)
    assert [close_folder_to_readers(tmp_path) for _ in range(2)] == [["history", "temporary"], []]
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("history", "names", "temporary")} == {0o600}
    assert stat.S_IMODE((tmp_path / "below/list").stat().st_mode) == 0o644


def test_a_null_file_is_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.symlink_to(os.devnull)
    assert not close_to_readers(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        close_to_readers(path)


@pytest.mark.privileged
def test_who_may_write_a_file_by_its_access_control_list_is_an_other(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.touch()
    let_alice_write(path)
    assert is_open_to_others(path)
    path.chmod(0o644)  # as the hint says
    assert not is_open_to_others(path)
