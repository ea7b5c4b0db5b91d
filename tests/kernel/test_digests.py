"""Digests of files, for rules with `sha256=`."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.shortage import descriptors_left
from tinysnitch.kernel.digests import MAX_BYTES, Digests


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
