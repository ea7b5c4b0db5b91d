"""The key of the kernel's cache of verdicts."""

from tests.core.engine.transcript import SHOP, flow_of, inbound, whose
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP, TCP, Direction, parse_address
from tinysnitch.core.model.process import KERNEL, UNKNOWN
from tinysnitch.core.model.verdict import VerdictKey, verdict_key_of


def test_the_key_is_all_that_the_kernel_knows() -> None:
    assert verdict_key_of(Connection(flow=flow_of(), attribution=whose())) == VerdictKey(
        7, 1000, TCP, Direction.OUTBOUND, parse_address(SHOP), 443
    )
    assert verdict_key_of(Connection(flow=inbound(port=22), attribution=KERNEL)) == VerdictKey(
        1, 0, TCP, Direction.INBOUND, parse_address("10.0.0.5"), 22
    )
    assert verdict_key_of(Connection(flow=flow_of(), attribution=UNKNOWN)) is None
    echo = verdict_key_of(Connection(flow=flow_of(protocol=ICMP), attribution=whose()))
    assert echo is not None
    assert echo.port == 0
