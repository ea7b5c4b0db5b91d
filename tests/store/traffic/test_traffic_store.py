"""What the file of sums keeps, how large it gets, and what it costs when the disk is in its way."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.traffic.rows import make_row
from tinysnitch.core.traffic.asked_names import NameAsked
from tinysnitch.core.traffic.queries import By, TrafficQuestion
from tinysnitch.store.traffic import traffic_store
from tinysnitch.store.traffic.batch import MAX_WAITING
from tinysnitch.store.traffic.schema import day_of
from tinysnitch.store.traffic.traffic_reader import TrafficReader
from tinysnitch.store.traffic.traffic_store import TrafficStore

DAY_S = 86_400
NOW = time.mktime((2026, 12, 2, 12, 30, 0, 0, 0, -1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traffic.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[TrafficStore]:
    with closing(TrafficStore(path)) as store:
        yield store


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(f"select count(*) from {table}").fetchone()[0])


def connections(path: Path, now_s: float = NOW, **asked: object) -> int:
    return TrafficReader(path).answer(TrafficQuestion(**asked), now_s).total.connections  # type: ignore[arg-type]


def test_rows_of_one_hour_add_up_and_old_hours_become_days(store: TrafficStore, path: Path) -> None:
    old = NOW - 3 * DAY_S
    for _ in range(2):
        assert store.write([make_row(old), make_row(old + 3600, 2), make_row(NOW, 3)], NOW).lost == 0
    for _ in range(3):  # an hour at a time
        store.write([], NOW)
    assert (count(path, "hours"), count(path, "days")) == (1, 1)
    assert connections(path) == 12
    assert connections(path, since_s=NOW - 3600) == 6


def test_more_rows_than_wait_at_once_are_added_each_once(store: TrafficStore, path: Path) -> None:
    rows = [make_row(NOW, 2, name=f"n{number}.shop.test") for number in range(2 * MAX_WAITING + 1)]
    asked = [NameAsked("/usr/bin/curl", 1000, f"n{number}.shop.test", NOW) for number in range(MAX_WAITING + 1)]
    assert store.write(rows, NOW, asked).lost == 0
    assert (count(path, "hours"), count(path, "day_sums"), count(path, "pairs")) == (len(rows), 1, 1)
    assert (count(path, "asked"), count(path, "questions")) == (len(asked), len(asked))
    assert connections(path) == connections(path, by=By.NAME) == 2 * len(rows)


def test_nothing_is_left_of_what_is_too_old(store: TrafficStore, path: Path) -> None:
    store.write([make_row(NOW - 400 * DAY_S, name="old.test", program="/old"), make_row(NOW)], NOW)
    for _ in range(3):
        store.write([], NOW)
    assert (count(path, "hours"), count(path, "days"), count(path, "day_sums"), count(path, "pairs")) == (1, 0, 1, 1)


def test_a_user_with_too_many_rows_has_the_rest_summed_up(
    store: TrafficStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic_store, "MAX_ROWS", 50)
    rows = [make_row(NOW, name=f"n{number}.test", port=number) for number in range(1000)]
    store.write(rows, NOW)
    store.write(rows[:50], NOW)  # those that are known stay by name
    store.write([make_row(NOW, uid=1001)], NOW)
    assert (count(path, "hours"), connections(path), connections(path, uid=1001)) == (52, 1051, 1)
    (rest,) = (
        line for line in TrafficReader(path).answer(TrafficQuestion(by=By.NAME, uid=1000), NOW).lines if not line.what
    )
    assert rest.connections == 950


def test_the_file_stays_within_its_size_and_the_newest_days_stay(path: Path) -> None:
    limit = 2 << 20
    with closing(TrafficStore(path, max_bytes=limit)) as store:
        for day in range(60):
            now_s = NOW + day * DAY_S
            rows = [make_row(now_s, name=f"n{day}-{number}.test", program=f"/p{day}") for number in range(400)]
            assert store.write(rows, now_s).lost == 0
            assert path.stat().st_size <= limit
    assert connections(path, now_s, since_s=now_s - 3600) == 400
    with closing(sqlite3.connect(path)) as db:
        ((oldest,),) = db.execute("select min(day) from day_sums")
        assert day_of(NOW) < oldest
        assert db.execute("select min(day) from texts").fetchone()[0] >= oldest
        assert db.execute("select min(last) from pairs").fetchone()[0] >= oldest


def test_what_does_not_fit_at_all_is_counted(path: Path) -> None:
    with closing(TrafficStore(path, max_bytes=1 << 20)) as store:
        written = store.write([make_row(NOW, 2, name=f"n{number}{'x' * 200}.test") for number in range(9000)], NOW)
        assert written.lost == 18_000
        assert "full; verdicts go on, rows are lost" in written.warnings[0]
        assert store.write([make_row(NOW)], NOW) == traffic_store.Written()
        assert connections(path) == 1


def test_a_full_disk_costs_rows_that_are_counted_until_there_is_room(path: Path) -> None:
    script = """
import resource, sys, time
from pathlib import Path
from tests.store.traffic.rows import make_row
from tinysnitch.store.traffic.traffic_store import TrafficStore
store = TrafficStore(Path(sys.argv[1]))
store.write([make_row(time.time())], time.time())
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
told = [store.write([make_row(time.time(), 3, name=f"{t}-{n}.test") for n in range(2000)], time.time()) for t in (1, 2)]
assert [each.lost for each in told] == [6000, 6000], told
assert [len(each.warnings) for each in told] == [1, 0], told  # told once
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.write([make_row(time.time())], time.time()).lost == 0
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert connections(path, time.time()) == 2


def test_what_was_written_outlives_a_kill(path: Path) -> None:
    script = """
import os, sys, time
from pathlib import Path
from tests.store.traffic.rows import make_row
from tinysnitch.store.traffic.traffic_store import TrafficStore
store = TrafficStore(Path(sys.argv[1]))
store.write([make_row(time.time(), 7)], time.time())
os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert connections(path, time.time()) == 7


def test_a_broken_file_is_moved_aside_and_a_removed_one_begun_anew(store: TrafficStore, path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    assert [store.write([make_row(NOW)], NOW).lost for _ in range(2)] == [1, 0]
    assert path.with_name("traffic.sqlite.broken").exists()
    for file in path.parent.glob("traffic.sqlite*"):
        os.unlink(file)
    store.write([make_row(NOW, 5)], NOW)
    assert connections(path) == 5
    assert path.stat().st_mode & 0o777 == 0o600
