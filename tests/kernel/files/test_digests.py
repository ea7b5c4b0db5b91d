"""Digests of files, for rules with `sha256=`."""

import hashlib
import mmap
import os
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.shortage import descriptors_left
from tinysnitch.kernel.files.digests import MAX_BYTES, Digests
from tinysnitch.kernel.files.identity import is_unwritten_since
from tinysnitch.kernel.proc.procfs import TICK_NS
from tinysnitch.kernel.system.clock import read_boot_ns


def test_digests_follow_the_content(tmp_path: Path) -> None:
    path, digests = tmp_path / "file", Digests()
    path.write_text("one")
    assert digests.read_sha256(str(path)) == hashlib.sha256(b"one").hexdigest()
    path.write_text("three")
    assert digests.read_sha256(str(path)) == hashlib.sha256(b"three").hexdigest()
    assert digests.read_sha256(str(path), 4) == hashlib.sha256(b"three").hexdigest()  # known
    assert Digests().read_sha256(str(path), 4) is None
    assert Digests().read_sha256(str(path), 5)
    assert digests.read_sha256(str(tmp_path / "missing")) is None
    with descriptors_left(0), pytest.raises(OSError, match="Too many open files"):
        digests.read_sha256(str(path))


def test_what_would_hold_everything_up_has_no_digest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    digests = Digests()
    assert [digests.read_sha256(str(tmp_path / name)) for name in ("fifo", "large")] == [None, None]


def test_a_file_that_grows_while_it_is_read_is_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that has ended may be written: its user could make it endless, or sparse and large."""
    path = tmp_path / "growing"
    path.write_bytes(b"x")

    class Growing:
        """A sum that makes the file longer, a few times."""

        updates = 0

        def update(self, _chunk: memoryview) -> None:
            self.updates += 1
            assert self.updates < 10
            with path.open("ab") as file:
                file.write(b"x")

    monkeypatch.setattr(hashlib, "sha256", Growing)
    assert Digests().read_sha256(str(path)) is None


@pytest.mark.privileged
@pytest.mark.parametrize("base", ["/dev/shm", "/var/tmp"])
def test_of_what_is_written_by_a_mapping_nothing_is_remembered(base: str) -> None:
    """The first write by it shows in the file's ctime, later ones do not; on tmpfs not even the first."""
    digests, good = Digests(), hashlib.sha256(b"good").hexdigest()
    with TemporaryDirectory(dir=base) as folder:
        path = Path(folder, "program")
        path.write_bytes(b"good")
        os.chown(path, 65534, -1)
        time.sleep(0.05)
        before_ns = read_boot_ns() - TICK_NS
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            memory[0] = memory[0]
            assert digests.read_sha256(str(path), counts=partial(is_unwritten_since, boot_ns=before_ns)) == ""
            memory[:] = b"evil"
        after = partial(is_unwritten_since, boot_ns=read_boot_ns() + 1_000_000_000)
        assert digests.read_sha256(str(path), counts=after) not in (good, None)
