import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.test_text_file import leave_unfinished
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.store.handover_files import KeptFile, OfBoot


class Content(OfBoot, frozen=True):
    numbers: tuple[int, ...]


KEPT = Content("one", (1, 2))


@pytest.fixture
def kept(tmp_path: Path) -> KeptFile[Content]:
    return KeptFile(tmp_path / "kept", Content, "nothing is known")


def test_it_holds_within_the_boot_and_for_its_user_alone(kept: KeptFile[Content]) -> None:
    assert kept.read("one") is None
    kept.replace(KEPT)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert kept.read("one") == kept.read("one") == KEPT
    assert kept.read("two") is None


def test_what_was_left_by_who_was_killed_goes_at_the_start(kept: KeptFile[Content]) -> None:
    leave_unfinished(kept.path)
    assert kept.read("one") is None
    assert list(kept.path.parent.iterdir()) == []


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b'{"boot_id": "one", "numbers": ["1"]}'])
def test_what_is_no_such_file_says_nothing(
    kept: KeptFile[Content], caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    kept.path.write_bytes(text)
    assert kept.read("one") is None
    assert "kept cannot be read" in caplog.text
    assert caplog.messages[0].endswith("; nothing is known")


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere/names")])
def test_where_nothing_can_be_kept_that_is_said(kept: KeptFile[Content], make: Callable[[Path], None]) -> None:
    make(kept.path)
    assert kept.read("one") is None
    with pytest.raises(SnitchError, match="kept"):
        kept.replace(KEPT)
