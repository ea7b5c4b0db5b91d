"""Adds many rows at once: they wait in tables of their own, and a few statements add all of them to the file.

SQLite works these off without Python, so that the daemon's loop goes on meanwhile: a row costs 6 us of a processor and
holds the interpreter for 2 of them. With four statements for each row it was 24, and the loop waited again and again.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from tinysnitch.store.database import insert_rows
from tinysnitch.store.traffic.schema import ADD_UP, NAME, PROGRAM, RULE

MAX_WAITING = 4096  # rows at once: 1 MB


class WaitingRow(NamedTuple):
    """Columns of `hours` (schema.py), with texts in place of their numbers."""

    period: int  # its first second, as `day` has it
    day: int
    program: bytes
    kind: int  # of the remote
    remote: bytes
    domain: bytes
    port: int
    uid: int
    protocol: int
    inbound: bool
    denied: bool
    rule: bytes
    first: int
    last: int
    connections: int
    received: int
    sent: int


class WaitingName(NamedTuple):
    """A question for a name."""

    at_ms: int
    day: int
    program: bytes
    uid: int
    remote: bytes
    domain: bytes
    denied: bool
    single: bool  # it is kept by itself too


def _numbered(kind: int | str, text: str) -> str:
    return f"(select id from texts where kind = {kind} and text = {text})"


SET_UP = f"""
pragma temp_store = memory;
create temp table if not exists waiting ({", ".join(WaitingRow._fields)});
create temp table if not exists waiting_names ({", ".join(WaitingName._fields)});
create temp table if not exists numbered (
  period, day, program, remote, domain, port, uid, protocol, inbound, denied, rule,
  first, last, connections, received, sent
);
create temp table if not exists numbered_names (at_ms, day, program, uid, remote, domain, denied, single);
"""
# `where true`: else `on conflict` would be read as the condition of a join (sqlite.org/lang_upsert.html, 2.2).
_ADD_TEXTS = """
insert into texts (kind, text, day) select kind, text, ? from ({texts}) where true
on conflict do update set day = excluded.day where day < excluded.day
"""
_TEXTS = f"""
select {PROGRAM} as kind, program as text from waiting union select kind, remote from waiting
union select kind, domain from waiting union select {RULE}, rule from waiting
"""
_TEXTS_OF_NAMES = f"""
select {PROGRAM} as kind, program as text from waiting_names union select {NAME}, remote from waiting_names
union select {NAME}, domain from waiting_names
"""
_NUMBER = f"""
insert into numbered select period, day, {_numbered(PROGRAM, "program")}, {_numbered("waiting.kind", "remote")},
  {_numbered("waiting.kind", "domain")}, port, uid, protocol, inbound, denied, {_numbered(RULE, "rule")},
  first, last, connections, received, sent from waiting
"""
_NUMBER_NAMES = f"""
insert into numbered_names select at_ms, day, {_numbered(PROGRAM, "program")}, uid, {_numbered(NAME, "remote")},
  {_numbered(NAME, "domain")}, denied, single from waiting_names
"""
_ADD = (
    f"""
insert into hours select period, program, remote, port, uid, protocol, inbound, denied, rule, day, domain,
  first, last, connections, received, sent from numbered where true {ADD_UP}
""",
    f"""
insert into day_sums select day, domain, program, uid, inbound, denied, first, last, connections, received, sent
  from numbered where true {ADD_UP}
""",
    """
insert into pairs select domain, program, uid, first, last, iif(denied, 0, connections), iif(denied, connections, 0)
  from numbered where true
on conflict do update set first = min(first, excluded.first), last = max(last, excluded.last),
  allowed = allowed + excluded.allowed, denied = denied + excluded.denied
""",
    "delete from waiting",
    "delete from numbered",
)
_ADD_NAMES = (
    """
insert into asked select day, program, uid, remote, domain, at_ms / 1000, at_ms / 1000, 1, denied
  from numbered_names where true
on conflict do update set first = min(first, excluded.first), last = max(last, excluded.last),
  questions = questions + 1, denied = denied + excluded.denied
""",
    """
insert into questions (at_ms, program, uid, remote, domain, denied)
  select at_ms, program, uid, remote, domain, denied from numbered_names where single order by rowid
""",
    "delete from waiting_names",
    "delete from numbered_names",
)


def add_rows(db: sqlite3.Connection, rows: Sequence[WaitingRow], today: int) -> None:
    """Within a transaction. `today`: when a text of theirs was last used."""
    for start in range(0, len(rows), MAX_WAITING):
        insert_rows(db, "waiting", WaitingRow._fields, rows[start : start + MAX_WAITING])
        db.execute(_ADD_TEXTS.format(texts=_TEXTS), (today,))
        db.execute(_NUMBER)
        for statement in _ADD:
            db.execute(statement)


def add_names(db: sqlite3.Connection, names: Sequence[WaitingName], today: int, kept: int) -> None:
    """As `add_rows`. Of single questions the newest `kept` stay."""
    for start in range(0, len(names), MAX_WAITING):
        insert_rows(db, "waiting_names", WaitingName._fields, names[start : start + MAX_WAITING])
        db.execute(_ADD_TEXTS.format(texts=_TEXTS_OF_NAMES), (today,))
        db.execute(_NUMBER_NAMES)
        for statement in _ADD_NAMES:
            db.execute(statement)
    db.execute("delete from questions where id <= (select max(id) from questions) - ?", (kept,))
