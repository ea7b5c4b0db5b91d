import stat
from pathlib import Path

import pytest

from tests.store.test_text_file import leave_unfinished
from tinysnitch.core.errors import SnitchError
from tinysnitch.store.kept_arguments import KeptArguments, KeptProcess

NGINX = KeptProcess(12, 340_000_000, 140_000, 7, (b"nginx", b"-c", b"\xff \0"), b"/srv")


def test_processes_are_kept_within_the_boot(tmp_path: Path) -> None:
    kept = KeptArguments(tmp_path / "arguments")
    assert kept.read("one") == ()
    kept.replace("one", [NGINX])
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert kept.read("one") == kept.read("one") == (NGINX,)
    assert kept.read("two") == ()


def test_what_was_left_by_who_was_killed_goes_at_the_start(tmp_path: Path) -> None:
    kept = KeptArguments(tmp_path / "arguments")
    leave_unfinished(kept.path)
    assert kept.read("one") == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b'{"boot_id": "one", "processes": [[1, 2]]}'])
def test_what_is_no_such_file_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes) -> None:
    kept = KeptArguments(tmp_path / "arguments")
    kept.path.write_bytes(text)
    assert kept.read("one") == ()
    assert "arguments cannot be read" in caplog.text


def test_where_nothing_can_be_kept_that_is_said(tmp_path: Path) -> None:
    kept = KeptArguments(tmp_path / "arguments")
    kept.path.mkdir()
    with pytest.raises(SnitchError, match="arguments"):
        kept.replace("one", [NGINX])
