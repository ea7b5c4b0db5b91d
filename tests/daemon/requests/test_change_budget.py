import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.engine.transcript import flow_of, whose, yes
from tests.daemon.loop.driver_place import Place
from tests.daemon.requests.small_desk import ALICE, ROOT
from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.requests import change_budget
from tinysnitch.daemon.requests.change_budget import BURST, EACH_S, ChangeBudget


def spend(budget: ChangeBudget, uid: int, now_s: float) -> int:
    """Make changes until one is refused; how many were permitted."""
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


def test_nobody_keeps_the_daemon_busy_with_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root has no limit."""
    monkeypatch.setattr(change_budget, "EACH_S", 60.0)  # else one more may be free while the hundred are made
    others = "deny - 23 tcp"

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.driver.feed(PacketQueued(1, flow_of(), whose(uid=1000)))
            for _change in range(BURST):
                with pytest.raises(NotPermitted):
                    place.desk.remove_rule(others, ALICE)
            for change in (place.desk.add_rule, place.desk.remove_rule):
                for line in ("deny user=1000 - 23 tcp", "no rule"):  # to read one of 60 KB takes long, too
                    with pytest.raises(SnitchError, match="changes too much"):
                        change(line, ALICE)
            with pytest.raises(SnitchError, match="changes too much"):
                place.desk.answer(1, yes(), ALICE)
            place.desk.add_rule("deny user=1001 - 23 tcp", Right(1001, sees_all=False))
            for _change in range(BURST + 1):
                with pytest.raises(SnitchError, match="there is no rule"):
                    place.desk.remove_rule(others, ROOT)
                with pytest.raises(SnitchError, match="not about this connection"):
                    place.desk.answer(1, others, ROOT)
            place.desk.answer(1, yes(), ROOT)

    asyncio.run(run())
