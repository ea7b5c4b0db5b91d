from pathlib import Path

import pytest

from tinysnitch.store.handover_files import KeptArguments, KeptProcess

NGINX = KeptProcess(12, 340_000_000, 140_000, 7, (b"nginx", b"-c", b"\xff \0"), b"/srv")


def test_processes_are_kept_as_they_are(tmp_path: Path) -> None:
    kept = KeptArguments(tmp_path / "arguments")
    assert kept.read("one") == ()
    kept.replace("one", [NGINX])
    assert kept.read("one") == kept.read("one") == (NGINX,)


def test_what_is_no_such_file_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptArguments(tmp_path / "arguments")
    kept.path.write_text('{"boot_id": "one", "processes": [[1, 2]]}')
    assert kept.read("one") == ()
    assert "arguments cannot be read" in caplog.text
