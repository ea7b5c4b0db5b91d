"""The event of the live page: what was counted in a second."""

import msgspec

from tinysnitch.protocol.messages import TrafficEntry


class TrafficSeen(msgspec.Struct, frozen=True):
    entries: tuple[TrafficEntry, ...]
    until_s: float  # wall-clock seconds
    left_out: int = 0  # rows that were not told
