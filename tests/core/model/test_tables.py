"""Tables with a bound, and that no user can push out what others claim."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.process import share_of
from tinysnitch.core.model.tables import MAX_CLAIMS, BoundedTable, ClaimedTable, TableStatistics

ALICE, BOB, SERVICE = 1000, 1001, 999


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


def test_who_has_most_loses_the_oldest() -> None:
    table: ClaimedTable[str, int] = ClaimedTable(3)
    table.put("alice's", 1, ALICE)
    table.put("old", 2, BOB)
    table.put("new", 3, BOB)
    assert table.put("newer", 4, BOB) == ("old", 2)
    assert table.put("newest", 5, ALICE) == ("new", 3)
    assert list(table.items()) == [("alice's", 1), ("newer", 4), ("newest", 5)]
    assert table.statistics() == TableStatistics(3, 2)


def test_who_is_alone_may_have_it_all() -> None:
    table: ClaimedTable[int, int] = ClaimedTable(8)
    for number in range(9):
        table.put(number, number, ALICE)
    assert [key for key, _ in table.items()] == list(range(1, 9))


def test_what_others_claim_stays_for_them() -> None:
    table: ClaimedTable[str, int] = ClaimedTable(3)
    table.put("shared", 1, ALICE)
    table.put("shared", 2, BOB)
    for number in range(9):
        table.put(f"bob's {number}", number, BOB)
    assert (table.find("shared"), table.claims_of("shared")) == (2, (ALICE,))
    assert table.statistics() == TableStatistics(3, 7)


def test_the_claims_to_an_entry_are_bounded() -> None:
    table: ClaimedTable[str, int] = ClaimedTable(1)
    for user in range(MAX_CLAIMS + 1):
        table.put("shared", user, user)
    assert table.claims_of("shared") == tuple(range(1, MAX_CLAIMS + 1))
    assert table._of_share.keys() == set(range(1, MAX_CLAIMS + 1))
    assert table.make_room() == ("shared", MAX_CLAIMS)


def test_what_was_looked_at_stays() -> None:
    table: ClaimedTable[str, int] = ClaimedTable(2)
    table.put("a", 1, ALICE)
    table.put("b", 2, ALICE)
    assert (table.find("a"), table.find("none")) == (1, None)
    assert table.put("c", 3, ALICE) == ("b", 2)


def test_what_is_taken_from_those_who_claim_it_is_not_counted_as_evicted() -> None:
    table: ClaimedTable[str, int] = ClaimedTable(2)
    assert (table.find_oldest(), table.pop("a"), table.make_room()) == (None, None, None)
    table.put("a", 1, ALICE)
    table.put("a", 1, BOB)
    table.put("b", 2, ALICE)
    assert (table.find_oldest(), table.pop("a"), table.make_room()) == (("a", 1), 1, ("b", 2))
    assert table.statistics() == TableStatistics(0, 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.sampled_from([0, SERVICE, ALICE, 70_000, 80_000]))))
def test_it_knows_who_claims_each(steps: list[tuple[bool, int, int]]) -> None:
    table: ClaimedTable[int, int] = ClaimedTable(4)
    for is_put, key, user in steps:
        if is_put:
            table.put(key, user, user)
            assert table.find(key) == user
            assert share_of(user) in table.claims_of(key)
        else:
            table.pop(key)
        claims = {(share, key) for share, theirs in table._of_share.items() for key in theirs}
        assert claims == {(share, key) for key, _ in table.items() for share in table.claims_of(key)}
        assert all(table.claims_of(key) for key, _ in table.items())
        assert all(table._of_share.values())
        assert table.statistics().used <= 4
