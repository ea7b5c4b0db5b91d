"""The client that looks at who talks with whom. What was counted while it was cut off is not known."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tinysnitch.client.follower import Follower, decoder
from tinysnitch.protocol.messages import TrafficEntry, TrafficTold, WatchTraffic
from tinysnitch.view.live.seen import TrafficSeen


class TrafficClient(Follower[TrafficSeen]):
    def __init__(self, path: str | Path) -> None:
        super().__init__(path, WatchTraffic())

    def _begin(self) -> None:
        super()._begin()
        self._entries: list[TrafficEntry] = []  # of the second that is being told

    def _tell(self, frames: Sequence[bytes]) -> Iterator[TrafficSeen]:
        for message in map(decoder.decode, frames):
            if isinstance(message, TrafficEntry):
                self._entries.append(message)
            elif isinstance(message, TrafficTold):
                entries, self._entries = tuple(self._entries), []
                yield TrafficSeen(entries, message.until, message.left_out)
