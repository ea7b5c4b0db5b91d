import pytest

from tinysnitch.core.errors import SnitchError
from tinysnitch.daemon.change_budget import BURST, EACH_S, ChangeBudget


def spend(budget: ChangeBudget, uid: int, now_s: float) -> int:
    """How many changes are free."""
    for count in range(10 * BURST):
        try:
            budget.spend(uid, now_s)
        except SnitchError:
            return count
    raise AssertionError("there is no end")


def test_many_at_once_and_then_one_at_a_time() -> None:
    budget = ChangeBudget()
    assert spend(budget, 1000, 50.0) == BURST
    assert spend(budget, 1000, 50.0 + EACH_S) == 1
    assert spend(budget, 1000, 50.0 + 4 * EACH_S) == 3


def test_each_user_has_their_own() -> None:
    budget = ChangeBudget()
    assert spend(budget, 1000, 50.0) == BURST
    assert spend(budget, 1001, 50.0) == BURST


def test_what_was_not_used_is_not_saved_up() -> None:
    budget = ChangeBudget()
    budget.spend(1000, 0.0)
    assert spend(budget, 1000, 1e6) == BURST


def test_who_must_wait_is_told() -> None:
    budget = ChangeBudget()
    spend(budget, 1000, 50.0)
    with pytest.raises(SnitchError, match="user 1000 changes too much") as caught:
        budget.spend(1000, 50.0)
    assert "0.5 s" in caught.value.hint
