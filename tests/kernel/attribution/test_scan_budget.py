"""scan_budget.py: the time of long looks is bounded for each user, and for all."""

import pytest

from tinysnitch.kernel.attribution.scan_budget import ScanBudget
from tinysnitch.kernel.proc import procfs

ALICE, BOB = 100, 200  # each has the processes of their hundred


class Place:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.budget = ScanBudget(lambda: self.now_s)

    def look(self, pid: int, takes_s: float = 0.02) -> bool:
        """A look that takes long if it may; whether it may."""
        with self.budget.look(pid) as may_be_long:
            self.now_s += takes_s if may_be_long else 0.001
        return may_be_long


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(procfs, "read_uid", lambda pid: pid // 100)
    return Place()


def spend(place: Place, pid: int) -> float:
    """Look until looks may not take long any more."""
    spent_s = 0.0
    while place.look(pid):
        spent_s += 0.02
    return spent_s


def test_short_looks_are_free(place: Place) -> None:
    assert all(place.look(ALICE, takes_s=0.001) for _ in range(10_000))


def test_a_user_has_what_was_saved_up_and_a_tenth(place: Place) -> None:
    assert spend(place, ALICE) == pytest.approx(0.3, abs=0.04)
    assert not place.look(ALICE + 1)
    assert place.look(BOB)
    before_s, spent_s = place.now_s, 0.0
    while place.now_s < before_s + 100:
        spent_s += 0.02 * place.look(ALICE)
    assert spent_s == pytest.approx(10, rel=0.1)


def test_many_users_have_a_fifth_together(place: Place) -> None:
    spent_s = sum(spend(place, 100 * user) for user in range(1, 100))
    assert spent_s == pytest.approx(0.6, abs=0.1)
    place.now_s += 100
    assert spend(place, BOB) == pytest.approx(0.3, abs=0.04)


def test_that_we_had_no_processor_meanwhile_is_at_nobodys_cost(place: Place) -> None:
    place.look(ALICE, takes_s=10.0)
    assert place.look(ALICE)
    assert place.look(BOB)
