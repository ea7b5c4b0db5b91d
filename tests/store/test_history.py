"""What the history keeps, and what it costs when the disk or others are in its way."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import timeit
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Never

import pytest

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.store.history import BATCH, FLUSH_AFTER_S, MAX_PENDING, PAGE, History

FULL = Path(__file__).with_name("full_disk.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    history = History(path, max_rows=1000)
    yield history
    history.close()


def fill(history: History, count: int, first: int = 0) -> list[bytes]:
    lines = [b"%d" % number for number in range(first, first + count)]
    for line in lines:
        history.append(line)
        history.flush_due(0.0)
    return lines


def count_rows(path: Path) -> int:
    """The number of rows in the file, without lines that wait."""
    with closing(sqlite3.connect(path)) as db:
        (count,) = db.execute("select count(*) from history").fetchone()
    return int(count)


def test_the_newest_line_that_begins_so(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    assert history.find_newest(b"a") is None
    for line in (b"a1", b"a2", b"b1", b"xa"):
        history.append(line)
    history.flush()
    assert [history.find_newest(beginning) for beginning in (b"a", b"b1", b"c")] == [b"a2", b"b1", None]
    monkeypatch.setattr("tinysnitch.store.history.LOOKED_THROUGH", 2)
    assert [history.find_newest(beginning) for beginning in (b"a", b"b1")] == [None, b"b1"]


def test_lines_come_back_oldest_first_written_or_not(history: History, path: Path) -> None:
    lines = fill(history, BATCH + 3)
    assert count_rows(path) == BATCH
    assert list(history.read_newest(1000)) == lines
    assert list(history.read_newest(2)) == lines[-2:]
    assert list(history.read_newest(5)) == lines[-5:]
    assert list(history.read_newest(0)) == []


def test_they_are_there_after_a_restart(path: Path) -> None:
    with closing(History(path)) as first:
        lines = fill(first, 5)
    with closing(History(path)) as second:
        assert list(second.read_newest(9)) == lines
        second.append(b"6")
        second.flush()
        assert count_rows(path) == 6


def test_a_line_waits_a_second_at_most(history: History, path: Path) -> None:
    assert history.flush_due(4.0) is None
    history.append(b"x")
    assert history.flush_due(5.0) == 5.0 + FLUSH_AFTER_S  # the first time that somebody looks at it
    assert count_rows(path) == 0
    assert history.flush_due(5.0 + FLUSH_AFTER_S) is None
    assert count_rows(path) == 1


def test_the_newest_rows_are_kept(history: History, path: Path) -> None:
    lines = fill(history, 12 * BATCH)
    assert count_rows(path) == 1000
    assert list(history.read_newest(5000)) == lines[-1000:]


def test_too_many_rows_go_in_steps(path: Path) -> None:
    large = History(path, max_rows=5000)
    fill(large, 5000)
    large.close()
    small = History(path, max_rows=1000)
    fill(small, BATCH)
    assert 1000 < count_rows(path) < 5000
    fill(small, 60 * BATCH)
    assert count_rows(path) == 1000
    small.close()


def test_what_the_wal_holds_is_carried_over_a_little_at_a_time(history: History, path: Path) -> None:
    """A checkpoint after a second's flood would hold up verdicts for milliseconds."""
    for number in range(80 * BATCH):
        history.append(b"%d %s" % (number, b"x" * 500))
        history.flush_due(0.0)
    assert path.with_name("history.db-wal").stat().st_size < 1 << 20


def test_long_lines_do_not_fill_the_disk(path: Path) -> None:
    """The arguments of programs make lines long."""
    limit, line = 4 << 20, b"x" * 50_000
    history = History(path, max_bytes=limit)
    for number in range(5 * BATCH):
        history.append(b"%d %s" % (number, line))
        history.flush_due(float(number))
    history.flush()
    newest = list(history.read_newest(10))
    assert [kept.partition(b" ")[0] for kept in newest] == [b"%d" % number for number in range(5 * BATCH)][-10:]
    assert history.lost == 0
    history.close()
    assert path.stat().st_size < limit + 2 * BATCH * len(line)


def test_long_lines_behind_many_short_ones_do_not_either(path: Path) -> None:
    """Twice as many old rows as came do not make room for them, and a file does not become smaller again."""
    limit, line = 4 << 20, b"x" * 50_000
    history = History(path, max_bytes=limit)
    fill(history, 30_000)
    for _ in range(6 * BATCH):
        history.append(line)
        history.flush_due(0.0)
    history.close()
    assert path.stat().st_size < limit + 2 * BATCH * len(line)


def test_long_lines_are_written_and_taken_away_a_few_at_a_time(path: Path) -> None:
    """Verdicts wait meanwhile: 256 lines of 54 KB took 0.3 s."""
    line, ends = b"x" * 54_000, [(1, 0)]  # the first and the last row after each turn
    with closing(History(path, max_bytes=8 << 20)) as history, closing(sqlite3.connect(path)) as other:
        for _ in range(512):
            history.append(line)
            history.flush_due(0.0)
            first, last = other.execute("select min(id), max(id) from history").fetchone()
            ends.append((first or 1, last or 0))
    changed = [now[0] - before[0] + now[1] - before[1] for before, now in pairwise(ends)]
    assert ends[-1][0] > 1  # some were taken away
    assert max(changed) * len(line) < 4 << 20


def test_what_waits_is_bounded(history: History) -> None:
    for _ in range(MAX_PENDING + 7):
        history.append(b"x")
    assert history.lost == 7


def test_arguments_are_not_for_everyone(history: History, tmp_path: Path) -> None:
    fill(history, BATCH)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}


def test_the_lines_of_one_user(history: History) -> None:
    lines = [b"%d" % number for number in range(2 * BATCH + 3)]
    for number, line in enumerate(lines):
        history.append(line, (None, 0, 1000)[number % 3])
        history.flush_due(0.0)
    assert list(history.read_newest(5000)) == lines
    assert list(history.read_newest(5000, 1000)) == lines[2::3]
    assert list(history.read_newest(5, 0)) == lines[1::3][-5:]
    assert list(history.read_newest(5, 7)) == []


def test_what_is_read_is_not_in_memory_at_once(history: History) -> None:
    """The file may have 256 MB, and a client may read slowly, or go away."""
    line, count = b"x" * 20_000, 3 * BATCH
    for _ in range(count):
        history.append(line)
    history.flush()
    tracemalloc.start()
    try:
        assert sum(len(taken) for taken in history.read_newest(count)) == count * len(line)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * PAGE * len(line)  # one page, while the next one is read
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("uid", [None, 1000])
def test_which_lines_are_read_is_certain_from_the_beginning(history: History, uid: int | None) -> None:
    lines = [b"%d" % number for number in range(1000)]
    for line in lines[:-3]:
        history.append(line, uid)
        history.flush_due(0.0)
    history.flush()
    for line in lines[-3:]:
        history.append(line, uid)
    taken = history.read_newest(500, uid)
    first = next(taken)
    for _ in range(BATCH):
        history.append(b"later", uid)
        history.flush_due(5.0)
    assert [first, *taken] == lines[500:]


def test_what_falls_out_meanwhile_is_left_out(history: History) -> None:
    lines = fill(history, 1000)
    taken = history.read_newest(1000)
    first = next(taken)
    fill(history, 2 * BATCH, first=1000)
    read = [first, *taken]
    assert read[:PAGE] == lines[:PAGE]
    assert read[PAGE:] == lines[9 * BATCH - 1000 :]


def test_a_file_that_breaks_while_it_is_read_ends_what_is_read(history: History, tmp_path: Path) -> None:
    lines = fill(history, 3 * BATCH)
    taken = history.read_newest(1000)
    read = [next(taken)]
    history.close()
    (tmp_path / "history.db").write_bytes(b"x" * 9000)
    with pytest.raises(SnitchError, match="cannot be read: file is not a database"):
        read += taken
    assert read == lines[:PAGE]


def test_whoever_reads_a_broken_file_is_told_once(history: History, tmp_path: Path) -> None:
    """An empty answer would mean that nothing was decided."""
    history.close()
    (tmp_path / "history.db").write_bytes(b"x" * 9000)
    with pytest.raises(SnitchError, match="cannot be read: file is not a database") as told:
        history.read_newest(5)
    assert told.value.hint == f"what can be saved of it is in {tmp_path}/history.db.broken; a new one is begun"
    assert list(history.read_newest(5)) == []


def test_of_a_batch_that_fails_halfway_nothing_stays_and_the_next_is_written(history: History, path: Path) -> None:
    refuse = "create trigger refuse before insert on history when new.line = x'62' begin select raise(fail, 'no'); end"
    with closing(sqlite3.connect(path)) as other:
        other.execute(refuse)
    for line in (b"a", b"b"):
        history.append(line)
    history.flush()
    assert (history.lost, list(history.read_newest(9))) == (2, [])
    history.append(b"c")
    history.flush()
    assert (history.lost, list(history.read_newest(9))) == (2, [b"c"])


class Stuck(sqlite3.Connection):
    """A connection in whose way is a lock of its own."""

    def executemany(self, *_: object) -> Never:
        error = sqlite3.OperationalError("locking protocol")
        error.sqlite_errorcode = sqlite3.SQLITE_PROTOCOL
        raise error


def test_a_lock_that_was_not_given_back_ends_with_its_connection(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fcntl(2) may fail to unlock. SQLite then takes our lock for that of others, and each try lasts 10 s."""
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Stuck))
        history = History(path)
    fill(history, BATCH)
    assert history.lost == BATCH
    lines = fill(history, BATCH)
    history.flush()
    assert (history.lost, list(history.read_newest(BATCH))) == (BATCH, lines)
    history.close()


def test_who_locks_the_file_holds_no_verdict_up(history: History, path: Path) -> None:
    """A user may lock it with the sqlite3 command. By default Python would wait for five seconds."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        assert timeit.timeit(lambda: fill(history, BATCH), number=1) < 2.0
    assert history.lost == BATCH


def test_the_lines_of_a_user_are_found_without_those_of_others(history: History, path: Path) -> None:
    """Only a few of 200,000 lines (100 MB) may be of this user."""
    for number in range(20):
        history.append(b"%d" % number, 1000)
    history.flush()
    with closing(sqlite3.connect(path)) as other, other:
        rows = (("another", 1001) for _ in range(200_000))
        other.executemany("insert into history (line, uid) values (?, ?)", rows)
    history.close()  # the next look finds where the file ends
    read = partial(history.read_newest, 10, 1000)
    assert list(read()) == [b"%d" % number for number in range(10, 20)]
    assert timeit.timeit(lambda: list(read()), timer=time.thread_time, number=10) < 0.03  # 0.3 ms; 0.1 s without


def test_a_file_that_knows_no_users_is_kept(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "history.db")) as old:
        old.executescript("create table history (id integer primary key, line blob not null)")
        old.execute("insert into history (line) values (?)", (b"old",))
        old.commit()
    with closing(History(tmp_path / "history.db")) as history:
        history.append(b"new", 1000)
        history.flush()
        assert list(history.read_newest(10)) == [b"old", b"new"]
        assert list(history.read_newest(10, 1000)) == [b"new"]


@pytest.mark.parametrize("damage", [b"", b"not a database" * 1000], ids=["page", "all"])
def test_a_broken_file_is_moved_aside(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "history.db"
    History(path).close()
    path.write_bytes(damage or path.read_bytes()[:4096] + os.urandom(8192))
    history = History(path)
    lost = fill(history, BATCH)
    assert history.lost in (0, len(lost))
    lines = fill(history, BATCH, first=1000)
    assert list(history.read_newest(BATCH)) == lines
    assert (tmp_path / "history.db.broken").exists()
    assert "history.db.broken" in caplog.text
    history.close()


def test_a_broken_file_that_cannot_be_moved_aside_is_told_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "history.db.broken").mkdir()
    (tmp_path / "history.db").write_bytes(b"x" * 9000)
    history = History(tmp_path / "history.db")
    fill(history, BATCH)
    history.close()
    assert history.lost == BATCH
    assert "cannot be moved aside: " in caplog.text


def test_a_file_that_breaks_under_us_costs_a_batch_at_most(history: History, tmp_path: Path, path: Path) -> None:
    fill(history, BATCH)
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma wal_checkpoint(truncate)")
    path.write_bytes(b"x" * 9000)
    for start in range(3):
        lines = fill(history, BATCH, first=start * BATCH)
    assert list(history.read_newest(BATCH)) == lines
    assert history.lost <= 2 * BATCH
    assert (tmp_path / "history.db.broken").exists()
    assert count_rows(path) >= BATCH


def test_a_file_that_is_removed_under_us_is_begun_anew(history: History, tmp_path: Path, path: Path) -> None:
    """To clear the history, say: what comes later must be there after a restart."""
    fill(history, 3 * BATCH)
    for file in tmp_path.iterdir():
        file.unlink()
    lines = fill(history, BATCH)
    assert list(history.read_newest(1000)) == lines
    assert count_rows(path) == BATCH


def test_a_folder_that_is_not_there_loses_lines_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history = History(path := tmp_path / "none" / "history.db")
    assert f"history {path}: No such file or directory; verdicts" in caplog.text
    fill(history, 2 * BATCH)
    history.flush()
    assert history.lost == 2 * BATCH
    assert history.find_newest(b"1") is None
    with pytest.raises(SnitchError, match="cannot be read: No such file or directory"):
        history.read_newest(10)
    assert len(caplog.records) == 1  # logged once, not with every batch
    (tmp_path / "none").mkdir()
    lines = fill(history, BATCH)
    history.flush()
    assert lines[-1:] == list(history.read_newest(1))
    history.close()


def test_what_fails_is_tried_once_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Verdicts wait during each try."""
    history = History(tmp_path / "none" / "history.db")
    fill(history, 3 * BATCH)
    (tmp_path / "none").mkdir()
    history.flush_due(0.5)
    assert (history.lost, (tmp_path / "none" / "history.db").exists()) == (3 * BATCH - BATCH, False)
    history.flush_due(1.0)
    assert len(list(history.read_newest(2 * BATCH))) == BATCH
    fill(history, 3 * BATCH)
    assert history.lost == 2 * BATCH  # it works again
    history.close()


def test_a_full_disk_loses_lines_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk; setrlimit(2)."""
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN  # Python's own start, so that write(2) fails instead
    done = subprocess.run([sys.executable, FULL, tmp_path / "history.db"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("verdicts go on") == 1


@pytest.mark.privileged
def test_a_disk_that_is_full_indeed(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)], check=True)
    try:
        history = History(tmp_path / "history.db")
        for number in range(30 * BATCH):
            history.append(b"%0500d" % number)
            history.flush_due(number / BATCH)
        assert 0 < history.lost < 30 * BATCH
        assert list(history.read_newest(1)) != []
        history.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
