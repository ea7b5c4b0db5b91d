"""Rows that are inserted many at once."""

import sqlite3

import pytest

from tinysnitch.store.database import insert_rows


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 200])
def test_all_rows_are_inserted_in_order(count: int) -> None:
    rows = [(f"row {number}", number) for number in range(count)]
    db = sqlite3.connect(":memory:")
    db.execute("create table kept (id integer primary key, text, number)")
    insert_rows(db, "kept", ("text", "number"), rows)
    assert db.execute("select text, number from kept order by id").fetchall() == rows
    db.close()
