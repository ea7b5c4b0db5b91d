import pytest

from tests.core.transcript import flow_of, inbound, whose
from tinysnitch.core.connection import Connection
from tinysnitch.core.decision import Decision
from tinysnitch.core.process import NOT_LISTENING
from tinysnitch.core.prompts import TURNED_AWAY
from tinysnitch.core.records import ConnectionDecided, LossCounted, Record
from tinysnitch.core.verdict import Verdict
from tinysnitch.daemon.refusals import (
    BURST,
    BURST_OF_USER,
    BURST_OF_VISITORS,
    EACH_OF_USER_S,
    EACH_S,
    EACH_VISITOR_S,
    Refusals,
)

DENIED = Decision(verdict=Verdict.DENY, reason="no program listens on this port")
ALLOWED = Decision(verdict=Verdict.ALLOW, reason="allowed by a rule")
NO_ROOM = Decision(verdict=Verdict.DENY, reason=f"{TURNED_AWAY}; no rule with its path covers it")
TO_NOBODY = ConnectionDecided(Connection(flow=inbound(), attribution=NOT_LISTENING), DENIED, False, 1.5)
TO_SOMEBODY = ConnectionDecided(Connection(flow=inbound(), attribution=whose()), DENIED, False, 1.5)
LET_IN = ConnectionDecided(Connection(flow=inbound(), attribution=whose()), ALLOWED, False, 1.5)
REFUSED = ConnectionDecided(Connection(flow=flow_of(), attribution=whose()), DENIED, False, 1.5)
AWAY = ConnectionDecided(Connection(flow=flow_of(), attribution=whose()), NO_ROOM, False, 1.5)
LOSS = LossCounted("packets", 3, 2.5)


def kept(refusals: Refusals, records: list[Record], now_s: float) -> list[Record]:
    return [record for record in records if refusals.is_kept(record, now_s)]


def test_the_first_of_a_scan_are_kept_and_everything_else_always() -> None:
    refusals = Refusals()
    assert kept(refusals, [TO_NOBODY] * (BURST + 7), 50.0) == [TO_NOBODY] * BURST
    assert refusals.to_closed_ports.left_out == 7
    assert kept(refusals, [TO_NOBODY, TO_SOMEBODY, LOSS] * 200, 50.0) == [TO_SOMEBODY, LOSS] * 200
    assert kept(refusals, [LET_IN, REFUSED, LOSS] * 2000, 50.0) == [LET_IN, REFUSED, LOSS] * 2000


def test_then_one_in_a_while() -> None:
    refusals = Refusals()
    kept(refusals, [TO_NOBODY] * BURST, 50.0)
    assert sum(refusals.is_kept(TO_NOBODY, 50.0 + second) for second in range(1, 101)) == 100 / EACH_S
    assert kept(refusals, [TO_NOBODY] * 200, 50.0 + 200 * BURST * EACH_S) == [TO_NOBODY] * BURST


@pytest.mark.parametrize("record", [TO_SOMEBODY, AWAY])
def test_so_it_is_with_visitors_and_what_is_turned_away(record: ConnectionDecided) -> None:
    refusals = Refusals()
    assert len(kept(refusals, [record] * (BURST_OF_VISITORS + 7), 50.0)) == BURST_OF_VISITORS
    assert refusals.of_visitors.left_out + refusals.turned_away.left_out == 7
    assert sum(refusals.is_kept(record, 50.0 + second) for second in range(1, 101)) == 100 / EACH_VISITOR_S


def test_no_user_pushes_all_else_out() -> None:
    """By connections that are allowed to each of the addresses of 127.0.0.0/8."""
    mine, others = (
        [ConnectionDecided(Connection(flow=flow_of(), attribution=whose(uid=uid)), ALLOWED, False, 1.5) for uid in uids]
        for uids in ((200_000, 300_000), (0, 1001))
    )
    refusals = Refusals()
    assert len(kept(refusals, mine * BURST_OF_USER, 50.0)) == BURST_OF_USER
    assert refusals.of_users == BURST_OF_USER
    assert kept(refusals, others, 50.0) == others
    assert len(kept(refusals, [others[0]] * BURST_OF_USER * 2, 50.0)) == 2 * BURST_OF_USER
    assert sum(refusals.is_kept(mine[0], 50.0 + second / 4) for second in range(1, 101)) == 25 / EACH_OF_USER_S


def test_whatever_a_port_that_nobody_has_is_let_in_for() -> None:
    let_in = ConnectionDecided(Connection(flow=inbound(), attribution=NOT_LISTENING), ALLOWED, False, 1.5)
    assert len(kept(Refusals(), [let_in] * (BURST + 7), 50.0)) == BURST
