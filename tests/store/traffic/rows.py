"""Rows of traffic for tests."""

from typing import Any

from msgspec.structs import replace

from tinysnitch.core.model.flow import TCP, Direction, parse_address
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.traffic.row import TrafficKey, TrafficRow

CURL_KEY = TrafficKey(
    program="/usr/bin/curl",
    uid=1000,
    remote=parse_address("192.0.2.7"),
    name="cdn.shop.test",
    port=443,
    protocol=TCP,
    direction=Direction.OUTBOUND,
    verdict=Verdict.ALLOW,
    rule="allow shop.test 443 tcp /usr/bin/curl",
)


def make_row(at_s: float, connections: int = 1, bytes_in: int = 0, bytes_out: int = 0, **key: Any) -> TrafficRow:  # noqa: ANN401
    return TrafficRow(replace(CURL_KEY, **key), connections, bytes_in, bytes_out, at_s, at_s)
