import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.tables import BoundedTable, TableStatistics


def table_of(*keys: str, capacity: int = 3) -> BoundedTable[str, int]:
    table: BoundedTable[str, int] = BoundedTable(capacity)
    for number, key in enumerate(keys):
        table.put(key, number)
    return table


def test_the_least_recently_stored_goes_first() -> None:
    table = table_of("a", "b", "c")
    assert table.put("d", 3) == ("a", 0)
    assert list(table.items()) == [("b", 1), ("c", 2), ("d", 3)]
    assert table.statistics() == TableStatistics(used=3, evicted=1)


def test_a_look_up_keeps_an_entry_alive() -> None:
    table = table_of("a", "b", "c")
    assert table.find("a") == 0
    assert table.put("d", 3) == ("b", 1)


def test_storing_again_replaces_and_keeps_alive() -> None:
    table = table_of("a", "b", "c")
    assert table.put("a", 9) is None
    assert list(table.items()) == [("b", 1), ("c", 2), ("a", 9)]


def test_find_of_an_absent_key_is_none() -> None:
    assert table_of().find("a") is None


def test_what_is_taken_out_is_not_counted_as_evicted() -> None:
    table = table_of("a", "b", "c")
    assert table.pop("b") == 1
    assert table.pop("b") is None
    assert table.find_oldest() == ("a", 0)
    assert table.statistics() == TableStatistics(used=2, evicted=0)


def test_an_empty_table_has_no_oldest() -> None:
    table = table_of("a")
    table.clear()
    assert list(table.items()) == []
    assert table.find_oldest() is None


def test_a_table_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="room for one entry"):
        table_of(capacity=0)


@given(st.lists(st.integers(0, 20)), st.integers(1, 8))
def test_it_holds_the_newest_keys_and_counts_the_rest(keys: list[int], capacity: int) -> None:
    table: BoundedTable[int, str] = BoundedTable(capacity)
    evicted = [table.put(key, str(key)) for key in keys]
    newest = list(dict.fromkeys(reversed(keys)))[:capacity]
    assert [key for key, _ in table.items()] == newest[::-1]
    assert table.statistics().evicted == sum(entry is not None for entry in evicted)
