"""Names that programs asked for, kept and told."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.traffic.rows import make_row
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.traffic.asked_names import NameAsked, NamesQuestion, NamesTotal
from tinysnitch.store.traffic import traffic_store
from tinysnitch.store.traffic.asked_names_reader import NamesAnswer
from tinysnitch.store.traffic.traffic_reader import TrafficReader
from tinysnitch.store.traffic.traffic_store import TrafficStore

NOW = time.mktime((2026, 12, 2, 12, 30, 0, 0, 0, -1))
WEB, DAEMON = "/usr/bin/web\n", "/usr/bin/daemon"


def fill(path: Path) -> None:
    names = ("shop.test", "cdn.shop.test", "shop.test", "ads.test", "n.test")
    asked = [NameAsked(WEB, 1000, name, NOW + number / 10) for number, name in enumerate(names)]
    asked += [NameAsked(WEB, 1000, "shop.test", NOW + 60), NameAsked(DAEMON, 0, "time.test", NOW, is_denied=True)]
    asked += [NameAsked(DAEMON, 0, "old.test", NOW - 90_000)]
    rows = [make_row(NOW, name="shop.test"), make_row(NOW, name="ads.test", verdict=Verdict.DENY)]
    with closing(TrafficStore(path)) as store:
        assert store.write(rows, NOW, asked).lost == 0


def ask(path: Path, **asked: object) -> NamesAnswer:
    return TrafficReader(path).answer_names(NamesQuestion(**({"since_s": NOW - 600} | asked)))  # type: ignore[arg-type]


def test_what_each_program_asked_for(tmp_path: Path) -> None:
    fill(tmp_path / "sums")
    programs, asked, total = ask(tmp_path / "sums")
    counts = [(one.program, one.questions, one.names, one.domains, one.used, one.denied) for one in programs]
    assert counts == [(WEB, 6, 4, 3, 1, 1), (DAEMON, 1, 1, 1, 0, 1)]
    assert (asked, total) == ((), NamesTotal(2, 7, 5, 4))
    assert [one.program for one in ask(tmp_path / "sums", uid=0).programs] == [DAEMON]
    assert ask(tmp_path / "sums", limit=1).programs == programs[:1]


def test_the_page_loads_of_one_program(tmp_path: Path) -> None:
    fill(tmp_path / "sums")
    answer = ask(tmp_path / "sums", program=WEB)
    told = [(one.load, one.name, one.questions, one.is_used, one.is_denied) for one in answer.asked]
    assert told == [
        (0, "shop.test", 2, True, False),
        (0, "cdn.shop.test", 1, False, False),
        (0, "ads.test", 1, False, True),
        (0, "n.test", 1, False, False),
        (1, "shop.test", 1, True, False),
    ]
    assert answer.total == NamesTotal(1, 6, 4, 3)
    assert ask(tmp_path / "sums", program="daemon", uid=1000) == NamesAnswer((), (), NamesTotal())
    assert ask(tmp_path / "sums", program=WEB, limit=1).asked == answer.asked[-1:]


def test_too_many_questions_are_counted_and_not_kept_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic_store, "MAX_QUESTIONS", 3)
    monkeypatch.setattr(traffic_store, "MAX_ROWS", 5)
    with closing(TrafficStore(tmp_path / "sums")) as store:
        store.write([], NOW, [NameAsked(WEB, 1000, f"n{number}.test", NOW) for number in range(50)])
    (program,) = ask(tmp_path / "sums").programs
    assert (program.questions, program.names) == (50, 6)
    assert len(ask(tmp_path / "sums", program=WEB).asked) == 3
