"""Pushes traffic to the clients that look: each second the rows that have changed, to each what its right covers.

Without such a client nothing is asked of the feed. A client gets at most MOST_ROWS a second, those with the most bytes
and connections, and is told how many were left out: it could not be read anyway.
"""

from collections.abc import Callable, Sequence
from heapq import nlargest
from typing import Protocol

from tinysnitch.core.model.flow import format_address, format_protocol
from tinysnitch.core.traffic.row import TrafficRow
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.traffic.feed import TrafficFeed
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import TrafficEntry, TrafficTold

MOST_ROWS = 1000


class Watcher(Protocol):
    """A client, as far as it is pushed to."""

    client_id: int
    right: Right

    def push(self, frame: bytes) -> None: ...


class TrafficWatch:
    def __init__(self, feed: TrafficFeed) -> None:
        self._feed = feed
        self._watchers: dict[int, Watcher] = {}
        self._stop: Callable[[], None] | None = None  # looking

    def add(self, watcher: Watcher) -> None:
        self._watchers[watcher.client_id] = watcher
        if self._stop is None:
            self._stop = self._feed.look(self._push)

    def remove(self, client_id: int) -> None:
        """Does nothing for a client that does not look."""
        self._watchers.pop(client_id, None)
        if self._stop and not self._watchers:
            self._stop()
            self._stop = None

    def _push(self, rows: Sequence[TrafficRow]) -> None:
        until_s = read_instant().wall_s
        for watcher in list(self._watchers.values()):
            seen = [row for row in rows if watcher.right.covers(row.key.uid)]
            for row in seen if len(seen) <= MOST_ROWS else nlargest(MOST_ROWS, seen, key=_weight):
                watcher.push(encode_frame(entry_of(row)))
            if seen:
                watcher.push(encode_frame(TrafficTold(until_s, max(0, len(seen) - MOST_ROWS))))


def _weight(row: TrafficRow) -> tuple[int, int]:
    return row.bytes_in + row.bytes_out, row.connections


def entry_of(row: TrafficRow) -> TrafficEntry:
    key = row.key
    return TrafficEntry(
        program=key.program,
        uid=key.uid,
        remote_address=format_address(key.remote),
        name=key.name,
        port=key.port,
        protocol=format_protocol(key.protocol),
        direction=key.direction,
        verdict=key.verdict,
        rule=key.rule,
        connections=row.connections,
        bytes_in=row.bytes_in,
        bytes_out=row.bytes_out,
        first=row.first_s,
        last=row.last_s,
    )
