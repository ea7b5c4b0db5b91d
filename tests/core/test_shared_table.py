"""No user can fill the table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.shared_table import SharedTable
from tinysnitch.core.table import TableStatistics
from tinysnitch.core.user_share import share_of

ALICE, BOB, SERVICE = 1000, 1001, 999


@pytest.mark.parametrize(("user", "room"), [(ALICE, 10), (100_000, 10), (SERVICE, 20), (0, 20)])
def test_a_user_who_has_too_much_loses_the_oldest(user: int, room: int) -> None:
    table: SharedTable[object, int] = SharedTable(40)
    table.put("other", 7, BOB)
    for number in range(100):
        table.put(number, number, user)
    assert table.find("other") == 7
    assert [table.find(number) for number in range(100)] == [None] * (100 - room) + list(range(100 - room, 100))
    assert table.statistics() == TableStatistics(room + 1, 100 - room)


def test_all_users_of_containers_are_as_one() -> None:
    table: SharedTable[int, int] = SharedTable(4)
    table.put(1, 1, 100_000)
    table.put(2, 2, 200_000)
    assert table.shares() == (share_of(100_000),)
    assert (table.find(1), table.find(2)) == (None, 2)


def test_where_many_have_some_the_oldest_of_all_goes() -> None:
    table: SharedTable[int, int] = SharedTable(4)
    for user in range(ALICE, ALICE + 5):
        table.put(user, user, user)
    assert table.find(ALICE) is None
    assert table.find_oldest() == (BOB, BOB)
    table.put(ALICE, 1, ALICE)
    assert table.statistics() == TableStatistics(4, 2)


def test_what_was_looked_at_stays() -> None:
    table: SharedTable[str, int] = SharedTable(8)
    table.put("a", 1, ALICE)
    table.put("b", 2, ALICE)
    table.find("a")
    table.put("c", 3, ALICE)
    assert (table.find("a"), table.find("b"), table.find("c")) == (1, None, 3)


def test_an_entry_may_pass_to_another_user() -> None:
    table: SharedTable[str, int] = SharedTable(4)
    table.put("a", 1, ALICE)
    table.put("a", 2, BOB)
    table.put("b", 3, ALICE)
    assert (table.find("a"), table.find("b"), table.find("c")) == (2, 3, None)
    assert table.statistics() == TableStatistics(2, 0)


def test_nothing_is_the_oldest_of_nothing() -> None:
    table: SharedTable[str, int] = SharedTable(1)
    assert table.find_oldest() is None
    assert table.pop("a") is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.sampled_from([0, SERVICE, ALICE, BOB, 70_000]))))
def test_it_knows_whose_each_is(steps: list[tuple[bool, int, int]]) -> None:
    table: SharedTable[int, int] = SharedTable(6)
    for is_put, key, user in steps:
        if is_put:
            table.put(key, user, user)
            assert table.find(key) == user
        else:
            table.pop(key)
        assert table.statistics().used == sum(map(len, table._of_user.values())) <= 6
        assert all(table._of_user.values())
