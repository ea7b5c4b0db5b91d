"""Rows go to the file in a thread, one write at a time, and what cannot be kept is counted."""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.traffic.rows import make_row
from tinysnitch.core.traffic.asked_names import NameAsked
from tinysnitch.core.traffic.row import PRIVATE, TrafficRow
from tinysnitch.daemon.logs import traffic_recorder
from tinysnitch.daemon.logs.traffic_recorder import TrafficRecorder
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.kernel.system.offload import NoThread
from tinysnitch.store.traffic.traffic_store import TrafficStore, Written


class SmallStore(TrafficStore):
    def __init__(self) -> None:
        self.batches: list[Sequence[TrafficRow]] = []
        self.answer = Written()

    def write(self, rows: Sequence[TrafficRow], now_s: float, asked: Sequence[NameAsked] = ()) -> Written:
        self.batches.append(rows)
        return self.answer

    def close(self) -> None:
        self.batches.append(())


class Thread:
    """Does its work when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Written], Callable[[Written | None], object]]] = []
        self.is_there = True

    def begin(self, work: Callable[[], Written], done: Callable[[Written | None], object]) -> None:
        if not self.is_there:
            raise NoThread
        self.jobs.append((work, done))

    def run(self) -> None:
        work, done = self.jobs.pop()
        done(work())


def test_one_write_is_under_way_and_what_comes_meanwhile_is_the_next() -> None:
    store, thread = SmallStore(), Thread()
    recorder = TrafficRecorder(store, thread.begin)
    first, second, third = (make_row(number) for number in range(3))
    thread.is_there = False
    recorder.take([first])
    thread.is_there = True
    recorder.take([second])
    assert len(thread.jobs) == 1
    work, done = thread.jobs.pop()
    written = work()
    recorder.take([third])
    assert thread.jobs == []
    done(written)
    thread.run()
    assert (store.batches, thread.jobs) == ([[first, second], [third]], [])
    recorder.take([first])
    recorder.close()
    assert store.batches[2:] == [[first], ()]


def test_what_finds_no_room_or_is_not_written_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(traffic_recorder, "MAX_WAITING", 2)
    store, thread = SmallStore(), Thread()
    recorder = TrafficRecorder(store, thread.begin)
    recorder.take([make_row(1, 5)] * 3)
    assert recorder.lost == 5
    store.answer = Written(10, ("the disk is full",))
    with caplog.at_level(logging.WARNING):
        thread.run()
    assert (recorder.lost, caplog.messages) == (15, ["the disk is full"])


def test_a_private_program_is_counted_and_not_named(tmp_path: Path) -> None:
    path = tmp_path / "sums"
    recorder = TrafficRecorder(TrafficStore(path), lambda work, done: done(work()))
    recorder.private = frozenset({"/usr/bin/curl"})
    now_s = read_instant().wall_s
    recorder.take([make_row(now_s, 3, 500), make_row(now_s, program="/usr/bin/git", name="git.test", rule=None)])
    recorder.close()
    with closing(sqlite3.connect(path)) as db:
        texts = {text for (text,) in db.execute("select text from texts")}
        assert texts == {b"", PRIVATE.encode(), b"/usr/bin/git", b"git.test"}
        assert db.execute("select sum(connections), sum(received) from hours").fetchone() == (4, 500)
