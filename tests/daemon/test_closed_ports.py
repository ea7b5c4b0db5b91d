from tests.core.transcript import inbound, whose
from tinysnitch.core.connection import Connection
from tinysnitch.core.decision import Decision
from tinysnitch.core.process import NOT_LISTENING
from tinysnitch.core.records import ConnectionDecided, LossCounted, Record
from tinysnitch.core.verdict import Verdict
from tinysnitch.daemon.closed_ports import BURST, EACH_S, ClosedPorts

DENIED = Decision(verdict=Verdict.DENY, reason="no program listens on this port")
TO_NOBODY = ConnectionDecided(Connection(flow=inbound(), attribution=NOT_LISTENING), DENIED, False, 1.5)
TO_SOMEBODY = ConnectionDecided(Connection(flow=inbound(), attribution=whose()), DENIED, False, 1.5)
LOSS = LossCounted("packets", 3, 2.5)


def kept(ports: ClosedPorts, records: list[Record], now_s: float) -> list[Record]:
    return [record for record in records if ports.is_kept(record, now_s)]


def test_the_first_of_a_scan_are_kept_and_everything_else_always() -> None:
    ports = ClosedPorts()
    assert kept(ports, [TO_NOBODY] * (BURST + 7), 50.0) == [TO_NOBODY] * BURST
    assert ports.left_out == 7
    assert kept(ports, [TO_NOBODY, TO_SOMEBODY, LOSS] * 200, 50.0) == [TO_SOMEBODY, LOSS] * 200


def test_then_one_in_a_while() -> None:
    ports = ClosedPorts()
    kept(ports, [TO_NOBODY] * BURST, 50.0)
    assert sum(ports.is_kept(TO_NOBODY, 50.0 + second) for second in range(1, 101)) == 100 / EACH_S
    assert kept(ports, [TO_NOBODY] * 200, 50.0 + 200 * BURST * EACH_S) == [TO_NOBODY] * BURST
