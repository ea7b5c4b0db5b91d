import time
from pathlib import Path

import pytest

from tinysnitch.store import file_stamp
from tinysnitch.store.file_stamp import read_stamp


def test_every_state_has_a_stamp_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    before = read_stamp(path)
    assert read_stamp(path) == before
    path.write_text("longer")
    assert read_stamp(path) != before
    (tmp_path / "other").write_text("one")
    assert read_stamp(tmp_path / "other") != before


def test_what_changed_a_moment_ago_is_not_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    monkeypatch.setattr(file_stamp, "SETTLE_NS", 10**18)
    assert not read_stamp(path).is_settled()
    monkeypatch.setattr(file_stamp, "SETTLE_NS", -(10**18))
    assert read_stamp(path).is_settled()


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_a_clock_that_is_set_makes_no_file_one_that_is_read_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    stamp = read_stamp(path)
    monkeypatch.setattr(time, "time_ns", lambda: stamp.ctime_ns + ahead_s * 10**9)
    assert stamp.is_settled()


def test_what_was_written_is_known_where_it_is_moved_to(tmp_path: Path) -> None:
    draft, path = tmp_path / "draft", tmp_path / "file"
    draft.write_text("one")
    written = draft.stat()
    draft.rename(path)
    assert read_stamp(path).is_of(written)
    path.write_text("longer")
    assert not read_stamp(path).is_of(written)
