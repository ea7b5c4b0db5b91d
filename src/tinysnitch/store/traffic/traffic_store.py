"""Writes the sums, and keeps the file within its size and age.

What cannot be written is counted as lost, and nothing is raised. `write` may take long: it is for a thread, which gets
the warnings back, as only the daemon's loop may log.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import msgspec

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import share_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.traffic.asked_names import NameAsked
from tinysnitch.core.traffic.row import TrafficRow
from tinysnitch.store.database import Database, used_bytes
from tinysnitch.store.traffic import batch, schema
from tinysnitch.store.traffic.batch import WaitingName, WaitingRow
from tinysnitch.store.traffic.interned import encode_text
from tinysnitch.store.traffic.schema import HOUR_S

DAYS = 365
MAX_BYTES = 200 << 20
MAX_ROWS = 10_000  # in an hour, of a user and a direction; what is beyond is summed up without names
MAX_QUESTIONS = 20_000  # in an hour, of a user, that are kept one by one
QUESTIONS_KEPT = 200_000  # of all users
_FULL = 0.9  # of the size: from there on the oldest rows go
_DAY_S = 24 * HOUR_S


class Written(msgspec.Struct, frozen=True):
    lost: int = 0  # connections and questions that are not in the file
    warnings: tuple[str, ...] = ()


class TrafficStore:
    def __init__(self, path: Path, days: int = DAYS, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._days = days
        self._max_bytes = max_bytes
        self._warnings: list[str] = []
        self._database = Database(path, self._set_up, self._warnings.append, what="history of sums", lost="rows")
        self._lock = Lock()
        self._today = 0
        self._hour = 0
        self._days_of: dict[int, int] = {}  # by hour
        # Hashes of this hour's rows, by share and direction; None in its place: of names that were asked for.
        self._rows_of: dict[tuple[int, Direction | None], set[int]] = {}
        self._asked: Counter[int] = Counter()  # questions in this hour, by share

    def write(self, rows: Sequence[TrafficRow], now_s: float, asked: Sequence[NameAsked] = ()) -> Written:
        with self._lock:
            try:
                self._write(rows, asked, now_s)
                self._database.is_failing = False
                lost = 0
            except (sqlite3.Error, OSError) as error:
                lost = sum(row.connections for row in rows) + len(asked)
                self._database.fail(error)
            warnings = tuple(self._warnings)
            self._warnings.clear()
        return Written(lost, warnings)

    def close(self) -> None:
        with self._lock:
            self._database.disconnect()

    def _set_up(self, db: sqlite3.Connection) -> None:
        schema.set_up(db)
        (page,) = db.execute("pragma page_size").fetchone()
        db.execute(f"pragma max_page_count = {self._max_bytes // page}")  # beyond it a write fails as on a full disk
        db.executescript(batch.SET_UP)

    def _write(self, rows: Sequence[TrafficRow], asked: Sequence[NameAsked], now_s: float) -> None:
        db = self._database.connect()
        self._begin_period(now_s)
        with _transaction(db):
            self._tidy(db, now_s)
        with _transaction(db):
            batch.add_rows(db, [self._waiting(row) for row in rows], self._today)
            batch.add_names(db, [self._waiting_name(each) for each in asked], self._today, QUESTIONS_KEPT)

    def _begin_period(self, now_s: float) -> None:
        self._days_of.clear()  # the time zone may have changed
        self._today, hour = schema.day_of(now_s), int(now_s) // HOUR_S
        if hour != self._hour:
            self._hour = hour
            self._rows_of.clear()
            self._asked.clear()

    def _has_room(self, share: tuple[int, Direction | None], row: int) -> bool:
        """Whether the share has this row in this hour already, or may have one more."""
        known = self._rows_of.setdefault(share, set())
        if row not in known and len(known) >= MAX_ROWS:
            return False
        known.add(row)
        return True

    def _waiting_name(self, asked: NameAsked) -> WaitingName:
        """Of a user with too many names the rest are sums without names; with too many questions, only sums."""
        share = share_of(asked.uid)
        has_room = self._has_room((share, None), hash((asked.program, asked.name)))
        _, name, domain = _name_and_domain(asked.name if has_room else "")
        self._asked[share] += 1
        return WaitingName(
            int(asked.at_s * 1000),
            self._day_of(int(asked.at_s) // HOUR_S * HOUR_S),
            encode_text(asked.program),
            asked.uid,
            name,
            domain,
            asked.is_denied,
            single=has_room and self._asked[share] <= MAX_QUESTIONS,
        )

    def _waiting(self, row: TrafficRow) -> WaitingRow:
        """Of a user with too many rows in a direction the rest are summed up without names."""
        key, hour = row.key, int(row.last_s) // HOUR_S * HOUR_S
        uid = schema.NOBODY if key.uid is None else key.uid
        remote, port = key.remote if key.name is None else key.name, key.port
        subject = (hour, key.program, remote, port, uid, key.protocol, key.direction, key.verdict, key.rule)
        if not self._has_room((share_of(uid), key.direction), hash(subject)):
            remote, port = "", 0
        return WaitingRow(
            hour, self._day_of(hour), encode_text(key.program), *_name_and_domain(remote), port, uid, key.protocol,
            key.direction is Direction.INBOUND, key.verdict is Verdict.DENY, encode_text(key.rule or ""),
            int(row.first_s), int(row.last_s), row.connections, row.bytes_in, row.bytes_out,
        )  # fmt: skip

    def _day_of(self, hour: int) -> int:
        if hour not in self._days_of:
            self._days_of[hour] = schema.day_of(hour)
        return self._days_of[hour]

    def _tidy(self, db: sqlite3.Connection, now_s: float) -> None:
        """One step at most of each kind, so that no write takes long: an old hour becomes part of its day, and what is
        too old or too much goes."""
        (hour,) = db.execute("select min(period) from hours").fetchone()
        if hour is not None and hour < now_s - schema.HOURS_KEPT_S:
            db.execute(schema.HOUR_TO_DAYS, (hour,))
            db.execute("delete from hours where period = ?", (hour,))
        oldest = _find_oldest(db)
        if oldest is None:
            return
        is_full = used_bytes(db) > _FULL * self._max_bytes
        if oldest < self._today - self._days * _DAY_S or (is_full and oldest < self._today):
            self._forget_day(db, oldest)
        elif is_full and hour is not None:
            db.execute("delete from hours where period = ?", (hour,))

    def _forget_day(self, db: sqlite3.Connection, day: int) -> None:
        db.execute("delete from day_sums where day <= ?", (day,))
        db.execute("delete from days where period <= ?", (day,))
        db.execute("delete from hours where day <= ?", (day,))
        db.execute("delete from asked where day <= ?", (day,))
        oldest = _find_oldest(db)
        if oldest is not None:
            db.execute("delete from pairs where last < ?", (oldest,))
            db.execute("delete from questions where at_ms < ?", (oldest * 1000,))
            db.execute("delete from texts where day < ?", (oldest,))


def _name_and_domain(remote: str | bytes) -> tuple[int, bytes, bytes]:
    """What kind of text it is, how it is stored, and its domain; an address is its own."""
    if isinstance(remote, bytes):
        return schema.ADDRESS, remote, remote
    return schema.NAME, encode_text(remote), encode_text(schema.domain_of(remote))


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("begin immediate")
    try:
        yield
        db.execute("commit")
    except BaseException:
        with suppress(sqlite3.Error):
            if db.in_transaction:  # some errors roll back by themselves
                db.execute("rollback")
        raise


def _find_oldest(db: sqlite3.Connection) -> int | None:
    """The first day that there is anything of."""
    found: int | None = db.execute(
        """select min(day) from (select min(day) as day from day_sums
             union all select min(period) from days union all select min(day) from asked)"""
    ).fetchone()[0]
    return found
