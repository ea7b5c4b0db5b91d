"""A SQLite file of the daemon: opened anew when somebody removes it, moved aside when it is broken.

What fails is told once, not each time: `warn` gets the text. Nothing here keeps a verdict waiting for a disk: there is
no fsync, and no wait for the lock of another process.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# journal_mode: with a WAL a reader never stops the writer. synchronous: after a power cut the newest rows may be
# missing or the file broken, and a broken file is moved aside.
_SET_UP = """
pragma journal_mode = wal;
pragma synchronous = off;
pragma journal_size_limit = 4194304;
"""
_ROWS_AT_ONCE = 64  # with 17 columns 1,088 variables: SQLite takes 32,766 (SQLITE_MAX_VARIABLE_NUMBER)


class Database:
    """`what` it holds and what is lost while it fails are for the warnings."""

    def __init__(
        self,
        path: Path,
        set_up: Callable[[sqlite3.Connection], None],
        warn: Callable[[str], None],
        *,
        what: str,
        lost: str,
    ) -> None:
        self.path = path
        self.aside = path.with_name(f"{path.name}.broken")
        self.is_failing = False
        self._set_up = set_up
        self._warn = warn
        self._what = f"{what} {path}"
        self._lost = lost
        self._db: sqlite3.Connection | None = None

    def open(self) -> None:
        try:
            self.connect()
        except (sqlite3.Error, OSError) as error:
            self.fail(error)

    def connect(self) -> sqlite3.Connection:
        """The connection, for one thread at a time."""
        if self._db is not None and self._is_in_place():
            return self._db
        self.disconnect()
        # Mode 0600: arguments of programs may hold secrets. SQLite gives -wal and -shm the same (findCreateFileMode).
        fd = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        self._file = os.fstat(fd)
        os.close(fd)
        db = sqlite3.connect(self.path, timeout=0.0, isolation_level=None, check_same_thread=False)
        try:
            db.executescript(_SET_UP)
            self._set_up(db)
        except BaseException:
            db.close()
            raise
        self._db = db
        return db

    def disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            try:
                db.close()
            except sqlite3.Error as error:
                self._warn(f"{self._what}: {error}")

    def fail(self, error: Exception) -> None:
        """Tell what is wrong, unless it was told, and do what may help."""
        if not self.is_failing:
            self._warn(f"{self._what}: {reason_of(error)}; verdicts go on, {self._lost} are lost until it works again")
        self.is_failing = True
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        if code in _BROKEN:
            self._move_aside()
        elif code == sqlite3.SQLITE_PROTOCOL:  # perhaps a lock of our own that was not released is in the way
            self.disconnect()  # which releases it: while it is held each try takes 10 s (walBeginReadTransaction())

    def _is_in_place(self) -> bool:
        """Whether the file that we have open is still at its path: somebody may remove it to clear what it holds."""
        try:
            return os.path.samestat(os.stat(self.path), self._file)
        except FileNotFoundError:
            return False

    def _move_aside(self) -> None:
        self.disconnect()
        try:
            self.path.replace(self.aside)
            for ending in ("-wal", "-shm"):
                self.path.with_name(f"{self.path.name}{ending}").unlink(missing_ok=True)
        except OSError as error:
            self._warn(f"{self._what} is broken and cannot be moved aside: {error.strerror}")
            return
        self._warn(f"{self._what} was broken; it is now {self.aside} and a new one is begun")
        self.is_failing = False


def insert_rows(db: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    """Insert many rows with one statement: with one each, a third of a small row's time goes into its statement. The
    rest have one each, since SQLite would keep a compiled statement for each number of rows."""
    row = f"({','.join('?' * len(columns))})"
    one = f"insert into {table} ({','.join(columns)}) values {row}"
    many = one + f",{row}" * (_ROWS_AT_ONCE - 1)
    rest = len(rows) // _ROWS_AT_ONCE * _ROWS_AT_ONCE
    for start in range(0, rest, _ROWS_AT_ONCE):
        db.execute(many, list(chain.from_iterable(rows[start : start + _ROWS_AT_ONCE])))
    db.executemany(one, rows[rest:])


def reason_of(error: Exception) -> object:
    return getattr(error, "strerror", None) or error


def used_bytes(db: sqlite3.Connection) -> int:
    """The size of the file without its free pages."""
    pages, free, size = (
        db.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
