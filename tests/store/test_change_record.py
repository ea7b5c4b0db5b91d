import stat
from pathlib import Path

import pytest

from tinysnitch.core.rules.changes import Act, ChangedRule, Deed, Place
from tinysnitch.store.change_record import ChangeRecord

RULES = (ChangedRule("deny shop.test - - /bin/x \udcff"), ChangedRule("allow - - -", Place.QUIT, exec_id=7))
GONE = (ChangedRule("deny - 25 tcp", group="work", note="by root", is_removed=True),)


def test_changes_are_known_after_a_restart(tmp_path: Path) -> None:
    record = ChangeRecord(tmp_path / "state" / "changes.json")
    changes = record.read()
    changes.note(Deed(Act.NO, 9), RULES, uid=1000, wall_s=5.5)
    changes.note(Deed(Act.REMOVE), GONE, uid=0, wall_s=6.0)
    change = changes.find(1)
    assert change
    changes.take_back(change, 0, 7.0)
    record.write(changes)
    assert stat.S_IMODE(record.path.stat().st_mode) == 0o600
    again = record.read()
    assert (list(again), again.next_number) == (list(changes), 3)


@pytest.mark.parametrize("text", ["", "[]", '{"next_number": 3, "changes": [{"number": "x"}]}', "[" * 100_000])
def test_a_file_that_makes_no_sense_is_forgotten(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    record = ChangeRecord(tmp_path / "changes.json")
    record.path.write_text(text)
    assert list(record.read()) == []
    assert "what was done before cannot be taken back" in caplog.text


def test_that_it_cannot_be_written_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = ChangeRecord(tmp_path / "changes.json")
    record.path.mkdir()
    changes = record.read()
    for _ in range(2):
        record.write(changes)
    assert caplog.text.count("after a restart, what is done now cannot be taken back") == 1
