"""What one daemon leaves to the next."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.test_learned_rules import limited_files
from tests.store.test_whole_file import leave_unfinished
from tinysnitch.core.dns.belief import KnownName
from tinysnitch.core.model.asking_mode import ASKING, AskingMode
from tinysnitch.core.model.connection import NameSource
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.store.handover_files import (
    Asker,
    KeptArguments,
    KeptFile,
    KeptMode,
    KeptName,
    KeptNames,
    KeptProcess,
    OfBoot,
)


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


KNOWN = KnownName(
    address=bytes(16),
    name="shop.test",
    number=7,
    expires_s=10.5,
    kept_until_s=20.5,
    askers=(),
    source=NameSource.MDNS,
    aliases=("alias.test",),
)
SHOP = KeptName(KNOWN, (Asker(pid=12, started_ns=1198408488615, number=7),))


def test_names_are_taken_once_within_the_boot(tmp_path: Path) -> None:
    kept = KeptNames(tmp_path / "names")
    assert kept.take("one") == ()
    kept.replace("one", [SHOP])
    assert kept.take("one") == (SHOP,)
    assert kept.take("one") == ()


def test_the_ends_of_another_boot_say_nothing(tmp_path: Path) -> None:
    kept = KeptNames(tmp_path / "names")
    kept.replace("one", [SHOP])
    assert kept.take("two") == ()
    assert not kept.path.exists()


def test_a_file_that_was_cut_off_holds_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptNames(tmp_path / "names")
    kept.replace("one", [SHOP])
    text = kept.path.read_bytes()
    for size in range(len(text)):
        kept.path.write_bytes(text[:size])
        assert kept.take("one") == ()
        assert not kept.path.exists()
    assert "names are learned anew" in caplog.text


@pytest.mark.parametrize("text", [b"\xff", b"[]", b'{"boot_id": "one", "names": [["", 1]]}'])
def test_what_is_no_such_file_is_taken_away(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes) -> None:
    kept = KeptNames(tmp_path / "names")
    kept.path.write_bytes(text)
    assert kept.take("one") == ()
    assert not kept.path.exists()
    assert "cannot be read" in caplog.text


NGINX = KeptProcess(12, 340_000_000, 140_000, 7, (b"nginx", b"-c", b"\xff \0"), b"/srv")


def test_processes_are_kept_as_they_are(tmp_path: Path) -> None:
    kept = KeptArguments(tmp_path / "arguments")
    assert kept.read("one") == ()
    kept.replace("one", [NGINX])
    assert kept.read("one") == kept.read("one") == (NGINX,)


def test_arguments_that_are_none_say_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptArguments(tmp_path / "arguments")
    kept.path.write_text('{"boot_id": "one", "processes": [[1, 2]]}')
    assert kept.read("one") == ()
    assert "arguments cannot be read" in caplog.text


PAUSED = AskingMode(verdict=Verdict.ALLOW, ends_s=12.5, until_s=99.5)


def test_a_mode_is_kept_within_the_boot_until_people_are_asked_again(tmp_path: Path) -> None:
    kept = KeptMode(tmp_path / "mode")
    assert kept.read("one") == ASKING
    kept.replace("one", PAUSED)
    assert (kept.read("one"), kept.read("two")) == (PAUSED, ASKING)
    kept.replace("one", ASKING)
    assert list(tmp_path.iterdir()) == []


def test_a_mode_that_cannot_be_kept_leaves_no_earlier_one(tmp_path: Path) -> None:
    kept = KeptMode(tmp_path / "mode")
    kept.replace("one", PAUSED)
    with limited_files(5), pytest.raises(SnitchError, match="mode: "):
        kept.replace("one", AskingMode(verdict=Verdict.DENY))
    assert kept.read("one") == ASKING
