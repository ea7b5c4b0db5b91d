import pytest

from tests.core.engine.transcript import flow_of, inbound, whose
from tinysnitch.core.engine.records import ConnectionDecided, LossCounted, NameSaid, Record
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.process import NOT_LISTENING
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.daemon.logs.history_budget import HistoryBudget, Share

DENIED = Decision(verdict=Verdict.DENY, reason="no program listens on this port")
ALLOWED = Decision(verdict=Verdict.ALLOW, reason="allowed by a rule")
NO_ROOM = Decision(verdict=Verdict.DENY, reason="too many open questions", is_turned_away=True)
TO_NOBODY = ConnectionDecided(Connection(flow=inbound(), attribution=NOT_LISTENING), DENIED, False, 1.5)
TO_SOMEBODY = ConnectionDecided(Connection(flow=inbound(), attribution=whose()), DENIED, False, 1.5)
LET_IN = ConnectionDecided(Connection(flow=inbound(), attribution=whose()), ALLOWED, False, 1.5)
REFUSED = ConnectionDecided(Connection(flow=flow_of(), attribution=whose()), DENIED, False, 1.5)
AWAY = ConnectionDecided(Connection(flow=flow_of(), attribution=whose()), NO_ROOM, False, 1.5)
LOSS = LossCounted("packets", 3, 2.5)
PORTS, USER = Share.CLOSED_PORTS, Share.USER


def kept(budget: HistoryBudget, records: list[Record], now_s: float) -> list[Record]:
    return [record for record in records if budget.has_room(record, now_s)]


def test_the_first_of_a_scan_are_kept_and_everything_else_always() -> None:
    budget = HistoryBudget()
    assert kept(budget, [TO_NOBODY] * (PORTS.burst + 7), 50.0) == [TO_NOBODY] * PORTS.burst
    assert budget.left_out[PORTS] == 7
    assert kept(budget, [TO_NOBODY, TO_SOMEBODY, LOSS] * 200, 50.0) == [TO_SOMEBODY, LOSS] * 200
    assert kept(budget, [LET_IN, REFUSED, LOSS] * 2000, 50.0) == [LET_IN, REFUSED, LOSS] * 2000


def test_then_one_in_a_while() -> None:
    budget = HistoryBudget()
    kept(budget, [TO_NOBODY] * PORTS.burst, 50.0)
    assert sum(budget.has_room(TO_NOBODY, 50.0 + second) for second in range(1, 101)) == 100 / PORTS.each_s
    assert kept(budget, [TO_NOBODY] * 200, 50.0 + 200 * PORTS.burst * PORTS.each_s) == [TO_NOBODY] * PORTS.burst


@pytest.mark.parametrize(("record", "share"), [(TO_SOMEBODY, Share.VISITORS), (AWAY, Share.TURNED_AWAY)])
def test_so_it_is_with_visitors_and_what_is_turned_away(record: ConnectionDecided, share: Share) -> None:
    budget = HistoryBudget()
    assert len(kept(budget, [record] * (share.burst + 7), 50.0)) == share.burst
    assert budget.left_out == {share: 7}
    assert sum(budget.has_room(record, 50.0 + second) for second in range(1, 101)) == 100 / share.each_s


def test_no_user_pushes_all_else_out() -> None:
    """Allowed connections to all addresses of 127.0.0.0/8 would fill the history."""
    mine, others = (
        [ConnectionDecided(Connection(flow=flow_of(), attribution=whose(uid=uid)), ALLOWED, False, 1.5) for uid in uids]
        for uids in ((200_000, 300_000), (0, 1001))
    )
    budget = HistoryBudget()
    assert len(kept(budget, mine * USER.burst, 50.0)) == USER.burst
    assert budget.left_out[USER] == USER.burst
    assert kept(budget, others, 50.0) == others
    assert len(kept(budget, [others[0]] * USER.burst * 2, 50.0)) == 2 * USER.burst
    assert sum(budget.has_room(mine[0], 50.0 + second / 4) for second in range(1, 101)) == 25 / USER.each_s


def test_what_connections_say_of_themselves_is_of_their_users_share() -> None:
    said = NameSaid(LET_IN.connection, ALLOWED, 1.5)
    assert len(kept(HistoryBudget(), [said, LET_IN] * USER.burst, 50.0)) == USER.burst


def test_whatever_a_port_that_nobody_has_is_let_in_for() -> None:
    let_in = ConnectionDecided(Connection(flow=inbound(), attribution=NOT_LISTENING), ALLOWED, False, 1.5)
    assert len(kept(HistoryBudget(), [let_in] * (PORTS.burst + 7), 50.0)) == PORTS.burst
