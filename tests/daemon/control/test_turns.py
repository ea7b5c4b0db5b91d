"""However many clients ask at once, the other work of the loop gets its turn."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from tests.daemon.control.raw_client import RawClient
from tests.daemon.requests.small_desk import RunningServer, SmallDesk
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.daemon.control import turns
from tinysnitch.daemon.control.clients import MAX_CLIENTS, MAX_CLIENTS_OF_USER
from tinysnitch.daemon.control.permissions import Permissions, Right
from tinysnitch.daemon.control.server import ACCEPTED_AT_ONCE, ControlServer
from tinysnitch.daemon.control.turns import Turns
from tinysnitch.protocol.messages import Hello, ListAsks

PIECE_S = 0.002


class Clock:
    """Stands still but for the work: a real one goes on where a busy machine lets us wait, and then a turn is over."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    return clock


class Client:
    """A client with a number of pieces of work."""

    def __init__(self, clock: "Clock", shared: Turns, pieces: int, note: Callable[["Client"], None]) -> None:
        self._clock = clock
        self._turns = shared
        self._note = note
        self.pieces = pieces

    def pump(self) -> None:
        while self.pieces:
            if not self._turns.has_time():
                self._turns.wait(self.pump)
                return
            self.pieces -= 1
            self._clock.now_s += PIECE_S
            self._note(self)


async def work_off(clock: Clock, count: int, pieces: int) -> tuple[list[int], int]:
    """Work all off: the order of the clients, and the largest number of pieces in one turn of the loop."""
    done: list[int] = []
    shared = Turns()
    clients = [Client(clock, shared, pieces, lambda client: done.append(clients.index(client))) for _ in range(count)]
    for client in clients:
        client.pump()
    most = before = len(done)
    while any(client.pieces for client in clients):
        await asyncio.sleep(0)
        most, before = max(most, len(done) - before), len(done)
    return done, most


def test_a_turn_is_short_however_many_wait(clock: Clock) -> None:
    done, most = asyncio.run(work_off(clock, count=20, pieces=5))
    assert len(done) == 100
    assert most <= turns.TURN_S / PIECE_S + 1


def test_who_has_more_to_do_goes_behind_the_others(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_S", PIECE_S / 2)
    done, _most = asyncio.run(work_off(clock, count=3, pieces=4))
    assert done == [0, *[0, 1, 2] * 3, 1, 2]


def test_with_nothing_to_do_no_turn_is_asked_for() -> None:
    async def run() -> None:
        shared = Turns()
        assert shared.has_time()
        await asyncio.sleep(0)
        assert shared._ends_s is None

    asyncio.run(run())


def test_many_clients_that_ask_at_once_leave_the_loop_its_turns(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    thoughts: list[Right] = []
    counts: list[int] = []  # of thoughts, from turn to turn

    def think(right: Right) -> list[Prompt]:
        thoughts.append(right)
        time.sleep(0.005)
        return []

    def count() -> None:
        counts.append(len(thoughts))
        if len(thoughts) < MAX_CLIENTS_OF_USER * 10:
            asyncio.get_running_loop().call_soon(count)

    monkeypatch.setattr(running.desk, "list_asks", think)
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(running)) for _ in range(MAX_CLIENTS_OF_USER)]
        running.call(count)
        for client in clients:
            client.send(Hello(), *[ListAsks()] * 10)
        running.wait_until(lambda: counts[-1] == MAX_CLIENTS_OF_USER * 10)
    assert max(later - before for before, later in pairwise(counts)) <= 2  # each takes the time of a whole turn


def test_many_who_knock_at_once_leave_the_loop_its_turns(tmp_path: Path) -> None:
    """Any user may connect, without sending anything."""

    async def session(comers: list[socket.socket]) -> list[int]:
        desk = SmallDesk()
        server = ControlServer(desk, Permissions(), desk.clients)
        await server.start(tmp_path / "socket")
        for comer in comers:
            comer.setblocking(False)
            comer.connect(str(tmp_path / "socket"))
        counts = [0]  # of who is in, from turn to turn
        while counts[-1] < len(comers):
            await asyncio.sleep(0)
            counts.append(desk.clients.statistics().clients)
        await server.close()
        return counts

    with ExitStack() as stack:
        comers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(MAX_CLIENTS)]
        counts = asyncio.run(session(comers))
    assert max(later - before for before, later in pairwise(counts)) <= ACCEPTED_AT_ONCE + 1
