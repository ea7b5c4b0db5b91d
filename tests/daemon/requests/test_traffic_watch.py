"""Who looks gets what their right covers, and while nobody looks nothing is asked for."""

import asyncio

import pytest

from tests.core.engine.transcript import CURL, flow_of
from tests.daemon.loop.driver_place import until
from tests.daemon.requests.small_handler import ALICE, ROOT
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.traffic.row import row_of
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.requests import traffic_watch
from tinysnitch.daemon.requests.traffic_watch import TrafficWatch, entry_of
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.traffic import feed as feed_module
from tinysnitch.daemon.traffic.feed import TrafficFeed
from tinysnitch.protocol.framing import FrameDecoder
from tinysnitch.protocol.messages import FromDaemon, Traffic, TrafficEntry, TrafficTold

_decoder: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)


class Screen:
    """A client that looks."""

    def __init__(self, client_id: int, right: Right) -> None:
        self.client_id = client_id
        self.right = right
        self.told: list[Traffic] = []

    def push(self, frame: bytes) -> None:
        message = _decoder.decode(frame.rstrip(b"\n"))
        assert isinstance(message, Traffic)
        self.told.append(message)

    @property
    def names(self) -> list[str | None]:
        return [entry.name for entry in self.told if isinstance(entry, TrafficEntry)]


def decided(name: str) -> ConnectionDecided:
    connection = Connection(flow=flow_of(), attribution=CURL, name=name)
    return ConnectionDecided(connection, Decision(verdict=Verdict.ALLOW, reason=""), False, 1.0)


@pytest.fixture(name="feed")
def _feed(monkeypatch: pytest.MonkeyPatch) -> TrafficFeed:
    monkeypatch.setattr(feed_module, "BATCH_AFTER_S", 0.001)
    return TrafficFeed(Failures())


def test_who_looks_is_told_what_they_may_see_until_they_look_no_more(feed: TrafficFeed) -> None:
    root, alice, other = Screen(1, ROOT), Screen(2, ALICE), Screen(3, Right(ALICE.uid + 1, sees_all=False))

    async def run() -> None:
        watch = TrafficWatch(feed)
        for screen in (root, alice, other):
            watch.add(screen)
        feed.note(decided("a.test"))
        await until(lambda: root.told)
        watch.remove(1)
        watch.remove(99)
        feed.note(decided("b.test"))
        await until(lambda: len(alice.told) > 2)
        watch.remove(2)
        watch.remove(3)
        assert not feed._lookers
        feed.stop()

    asyncio.run(run())
    assert CURL.process
    assert CURL.process.uid == ALICE.uid
    assert (root.names, alice.names, other.told) == (["a.test"], ["a.test", "b.test"], [])
    assert root.told[-1] == TrafficTold(root.told[-1].until, 0)  # type: ignore[union-attr]


def test_of_too_many_rows_those_with_the_most_are_told(feed: TrafficFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic_watch, "MOST_ROWS", 1)
    root = Screen(1, ROOT)

    async def run() -> None:
        TrafficWatch(feed).add(root)
        for name in ("a.test", "b.test", "b.test", "c.test"):
            feed.note(decided(name))
        await until(lambda: root.told)
        feed.stop()

    asyncio.run(run())
    assert root.names == ["b.test"]
    assert isinstance(told := root.told[-1], TrafficTold)
    assert told.left_out == 2


def test_an_entry_has_what_a_row_has() -> None:
    entry = entry_of(row_of(decided("a.test")))
    flow = flow_of()
    assert (entry.program, entry.uid, entry.name, entry.port) == ("/usr/bin/curl", 1000, "a.test", flow.remote_port)
    assert (entry.remote_address, entry.protocol, entry.connections, entry.first) == ("10.0.0.80", "tcp", 1, 1.0)
