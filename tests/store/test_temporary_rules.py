import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.store.test_whole_file import leave_unfinished
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.store.temporary_rules import TemporaryRules

AT_10 = parse_rule("allow until=1970-01-01T00:00:10Z a.example - -")
AT_20 = parse_rule("deny until=1970-01-01T00:00:20Z - - - /bin/x $'\\n\\xff'")
LASTING = parse_rule("allow - - -")


def test_rules_with_an_end_are_kept_until_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = TemporaryRules(tmp_path / "state" / "temporary.rules")
    assert kept.read(0.0) == ()
    assert caplog.text == ""
    kept.replace([AT_10, AT_20, LASTING, replace(AT_10, exec_id=7)])
    assert kept.read(0.0) == (AT_10, AT_20)
    assert kept.read(10.0) == (AT_20,)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    kept.replace([])
    assert kept.read(0.0) == ()


def test_a_state_folder_that_was_removed_is_made_for_root_alone_again(tmp_path: Path) -> None:
    """Any user who may read a folder can hold its lock, and verdicts would wait for that."""
    TemporaryRules(tmp_path / "state" / "temporary.rules").replace([AT_10])
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_what_was_left_by_who_was_killed_goes_at_the_start(tmp_path: Path) -> None:
    kept = TemporaryRules(tmp_path / "temporary.rules")
    leave_unfinished(kept.path)
    assert kept.read(0.0) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_line_without_an_end_or_sense_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = TemporaryRules(tmp_path / "temporary.rules")
    kept.replace([AT_10])
    kept.path.write_text("allow - - -\nnonsense\n" + kept.path.read_text())
    assert kept.read(0.0) == (AT_10,)
    assert "temporary.rules:2:1: " in caplog.text


def test_a_file_that_was_cut_off_holds_no_rule(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After a power cut: `... - - - /bin/x` would match more than the rule did. It is logged."""
    kept = TemporaryRules(tmp_path / "temporary.rules")
    kept.replace([AT_10, AT_20])
    text = kept.path.read_bytes()
    for size in range(len(text)):
        kept.path.write_bytes(text[:size])
        caplog.clear()
        assert kept.read(0.0) == ()
        assert "its temporary rules are forgotten" in caplog.text


def test_no_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", None)
    kept = TemporaryRules(tmp_path / "temporary.rules")
    kept.replace([AT_10])
    assert kept.read(0.0) == (AT_10,)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_moved_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    rules = TemporaryRules(tmp_path / "temporary.rules")
    make(rules.path)
    assert rules.read(0.0) == ()
    assert [path.name for path in tmp_path.iterdir()] == ["temporary.rules.broken"]
    assert "was no regular file" in caplog.text
    rules.replace([])
    assert rules.path.is_file()


def test_what_cannot_be_moved_aside_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rules = TemporaryRules(tmp_path / "temporary.rules")
    rules.path.mkdir()
    (tmp_path / "temporary.rules.broken").write_text("of before")
    assert rules.read(0.0) == ()
    assert "cannot be moved aside" in caplog.text


def test_what_the_system_refuses_is_an_error_for_people(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(SnitchError, match="File exists"):
        TemporaryRules(tmp_path / "state" / "temporary.rules").replace([AT_10])


def test_what_a_bad_disk_does_not_give_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    kept = TemporaryRules(tmp_path / "temporary.rules")
    kept.replace([AT_10])
    monkeypatch.setattr("tinysnitch.store.temporary_rules.read_text", fail)
    assert kept.read(0.0) == ()
    assert "cannot be read: Input/output error; its temporary rules are forgotten" in caplog.text


def test_a_clock_that_was_set_back_since_is_as_late_as_when_they_were_written(tmp_path: Path) -> None:
    kept = TemporaryRules(tmp_path / "temporary.rules")
    assert kept.find_moment(3.0) == 3.0
    kept.replace([AT_20])
    os.utime(kept.path, (10, 10))
    assert (kept.find_moment(3.0), kept.find_moment(12.0)) == (10.0, 12.0)
