"""bounded_writer.py: a folder that does not answer keeps nobody waiting for long."""

import threading
from pathlib import Path

import pytest

from tests.lab.patience import wait_until
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.daemon.scheduling.bounded_writer import BoundedWriter
from tinysnitch.store.locks import LockHeld, locked
from tinysnitch.store.rules_file import RulesFile

PLACE = Path("/etc/rules")


def test_one_that_waits_goes_on_alone() -> None:
    writer, end, made = BoundedWriter(patience_s=0.05), threading.Event(), list[str]()

    def wait() -> None:
        end.wait()
        made.append("late")

    with pytest.raises(SnitchError, match=r"^/etc/rules: its folder does not answer$") as late:
        writer.do(PLACE, wait)
    assert late.value.hint == "the change is made as soon as it does"
    with pytest.raises(SnitchError, match="an earlier change still waits") as refused:
        writer.do(PLACE, lambda: made.append("never"))
    assert refused.value.hint
    end.set()
    wait_until(lambda: made == ["late"])


def test_who_holds_the_lock_of_the_file_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("")
    with locked(path), pytest.raises(LockHeld):
        RulesFile(path, BoundedWriter().do).append(parse_rule("allow - 443 tcp"))


def test_where_no_thread_can_be_had_it_is_made_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert BoundedWriter().do(PLACE, lambda: "made") == "made"
