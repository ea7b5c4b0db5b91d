"""The texts behind the numbers of the tables, and the parts of queries that look for them."""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from tinysnitch.core.model.flow import format_address
from tinysnitch.store.traffic.schema import ADDRESS, PROGRAM


class Filter(NamedTuple):
    where: str
    values: tuple[object, ...] = ()
    needs_rows: bool = False  # the smaller tables do not know what it tests


def filter_of_program(program: str) -> Filter:
    """A path, or all that end with this word."""
    text = encode_text(program)
    is_like_it, values = ("text = ?", (text,)) if b"/" in text else at_end(text, b"/")
    return Filter(
        f"program in (select id from texts where kind = {PROGRAM} and {is_like_it})", values, needs_rows=False
    )


def at_end(text: bytes, before: bytes) -> tuple[str, tuple[object, ...]]:
    """What tells that a text is this one, or ends with it behind `before`."""
    end = before + text
    return "(text = ? or substr(text, ?) = ?)", (text, -len(end), end)


def encode_text(text: str | bytes) -> bytes:
    """As it stands in the table."""
    return text if isinstance(text, bytes) else text.encode(errors="surrogateescape")


def find_text(db: sqlite3.Connection, kind: int, text: str | bytes) -> int | None:
    """Its number; None: nothing was ever told of it."""
    for (number,) in db.execute("select id from texts where kind = ? and text = ?", (kind, encode_text(text))):
        return int(number)
    return None


def read_texts(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, str]:
    found = {}
    for number in set(numbers):
        row = db.execute("select kind, text from texts where id = ?", (number,)).fetchone()
        if row:
            kind, text = row
            found[number] = format_address(text) if kind == ADDRESS else text.decode(errors="surrogateescape")
    return found
