"""The history: the newest log lines, written to a SQLite file in batches.

Lines that cannot be written (a full or broken disk) are counted as lost, and nothing is raised. Only reading raises an
error: an empty answer would mean that nothing was decided.
"""

import logging
import sqlite3
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tinysnitch.core.engine.records import MAX_LINES
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.store.database import Database, insert_rows, reason_of, used_bytes

BATCH = 128  # so many lines, or so many bytes, are written at once; no verdict is given meanwhile
BATCH_BYTES = 1 << 20
MAX_PENDING = 4096  # lines in memory; further ones are lost
MAX_BYTES = 256 << 20  # of the file: a program's arguments can make a line as long as 54 KB
FLUSH_AFTER_S = 1.0  # how long a line waits for its batch
LOOKED_THROUGH = 20_000  # rows that `find_newest` looks at: 10 MB, 20 ms
PAGE = 64  # rows that are read at once: 3.5 MB at worst

_log = logging.getLogger(__name__)

# cache_size: only the ends of the table and of the index are written to, for which 256 KiB do; SQLite would take 2 MB.
# wal_autocheckpoint: a few pages at a time, since SQLite's 1000 pages at once hold up verdicts for 3 ms, and take as
# long in sum.
_SET_UP = """
pragma cache_size = -256;
pragma wal_autocheckpoint = 50;
create table if not exists history (id integer primary key, line blob not null, uid integer);
create index if not exists history_of_user on history (uid, id) where uid is not null;
"""
_PAGE_OF_ALL = "select id, line from history where id > ? and id <= ? order by id limit ?"
_PAGE_OF_USER = "select id, line from history where uid = ? and id > ? and id <= ? order by id limit ?"
_NTH_OF_USER = "select id from history where uid = ? order by id desc limit 1 offset ?"
_ADD_UID = "alter table history add column uid integer"  # to a file of an earlier build


class History:
    def __init__(self, path: Path, max_rows: int = MAX_LINES, max_bytes: int = MAX_BYTES) -> None:
        self.lost = 0  # lines
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._pending: list[tuple[bytes, int | None]] = []
        self._pending_bytes = 0
        self._deadline_s: float | None = None
        self._first = self._last = 0  # ids: the rows first + 1 to last exist
        self._database = Database(path, self._set_up, _log.warning, what="history", lost="lines")
        self._database.open()

    def append(self, line: bytes, uid: int | None = None) -> None:
        """Queue a line about a process of this user (None: of none); `flush_due` writes it."""
        if len(self._pending) >= (BATCH if self._database.is_failing else MAX_PENDING):
            self.lost += 1
        else:
            self._pending.append((line, uid))
            self._pending_bytes += len(line)

    def flush_due(self, now_s: float) -> float | None:
        """Write when a batch is full or the oldest line has waited FLUSH_AFTER_S. After a failure only the latter.

        Returns when it is due again, on the clock of its argument; None: nothing waits.
        """
        if not self._pending:
            return None
        if self._deadline_s is None:
            self._deadline_s = now_s + FLUSH_AFTER_S
        is_large = len(self._pending) >= BATCH or self._pending_bytes >= BATCH_BYTES
        is_batch = is_large and not self._database.is_failing
        if is_batch or now_s >= self._deadline_s:
            self.flush()
        return self._deadline_s

    def flush(self) -> None:
        """Write everything that waits, now."""
        lines, self._pending, self._pending_bytes, self._deadline_s = self._pending, [], 0, None
        if not lines:
            return
        try:
            self._write(lines)
            self._database.is_failing = False
        except (sqlite3.Error, OSError) as error:
            self.lost += len(lines)
            self._database.fail(error)

    def read_newest(self, limit: int, uid: int | None = None) -> Iterator[bytes]:
        """The newest lines, of one user or of all, the oldest of them first, with those that are not written yet.

        They are chosen now, but read a few at a time while iterating, since together they may be as large as the file.
        Lines that are pruned meanwhile are left out. Raises SnitchError, also while iterating.
        """
        waiting = [line for line, whose in self._pending if uid in (None, whose)][-limit:] if limit > 0 else []
        try:
            after = self._find_start(limit - len(waiting), uid)
        except (sqlite3.Error, OSError) as error:
            raise self._fail_to_read(error) from error
        return chain(self._read_rows(after, self._last, uid), waiting)

    def find_newest(self, beginning: bytes) -> bytes | None:
        """The newest line with this beginning, if it is among the last LOOKED_THROUGH rows."""
        query = "select line from history where id > ? and substr(line, 1, ?) = ? order by id desc limit 1"
        try:
            values = (self._last - LOOKED_THROUGH, len(beginning), beginning)
            found = self._database.connect().execute(query, values).fetchone()
        except (sqlite3.Error, OSError) as error:
            self._database.fail(error)
            return None
        return found[0] if found else None

    def close(self) -> None:
        self.flush()
        self._database.disconnect()

    def _set_up(self, db: sqlite3.Connection) -> None:
        columns = [name for _, name, *_ in db.execute("pragma table_info(history)")]
        if columns and "uid" not in columns:
            db.execute(_ADD_UID)
        db.executescript(_SET_UP)
        first, last = db.execute("select min(id) - 1, max(id) from history").fetchone()
        self._first, self._last = first or 0, last or 0

    def _write(self, lines: list[tuple[bytes, int | None]]) -> None:
        db = self._database.connect()
        limit = max(self._max_bytes, used_bytes(db))
        db.execute("begin immediate")
        try:
            insert_rows(db, "history", ("line", "uid"), lines)
            first = self._prune(db, len(lines), limit)
            db.execute("commit")
        except sqlite3.Error:
            if db.in_transaction:  # some errors roll back by themselves
                db.execute("rollback")
            raise
        self._last += len(lines)
        self._first = first

    def _prune(self, db: sqlite3.Connection, came: int, limit: int) -> int:
        """Delete the oldest rows if there are too many, and return the id before the first row that is left.

        Twice as many as came, so that no flush takes long; and as many again while the file uses more than `limit`
        bytes, since new rows may be longer than old ones.
        """
        first, used = self._first, used_bytes(db)
        last = self._last if used > self._max_bytes else self._last + came - self._max_rows
        while first < last:
            first = min(last, first + 2 * came)
            db.execute("delete from history where id <= ?", (first,))
            if used_bytes(db) <= limit:
                break
        return first

    def _find_start(self, limit: int, uid: int | None) -> int:
        """The id before the newest `limit` rows."""
        db = self._database.connect()
        if limit <= 0:
            return self._last
        if uid is None:
            return max(self._first, self._last - limit)
        found = db.execute(_NTH_OF_USER, (uid, limit - 1)).fetchone()
        return found[0] - 1 if found else self._first

    def _read_rows(self, after: int, last: int, uid: int | None) -> Iterator[bytes]:
        while page := self._read_page(after, last, uid):
            yield from (line for _, line in page)
            after = page[-1][0]

    def _read_page(self, after: int, last: int, uid: int | None) -> list[tuple[int, bytes]]:
        """The next rows after that id; none at the end."""
        query, whose = (_PAGE_OF_ALL, ()) if uid is None else (_PAGE_OF_USER, (uid,))
        try:
            return self._database.connect().execute(query, (*whose, after, last, PAGE)).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise self._fail_to_read(error) from error

    def _fail_to_read(self, error: Exception) -> SnitchError:
        self._database.fail(error)
        hint = (
            "see that its folder is there, and has room; `tinysnitch log --follow --lines 0` shows what happens now"
            if self._database.is_failing
            else f"what can be saved of it is in {self._database.aside}; a new one is begun"
        )
        return SnitchError(f"the history {self._database.path} cannot be read: {reason_of(error)}", hint)
