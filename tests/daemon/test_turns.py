"""However many clients ask at once, what else the loop does has its turn."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tinysnitch.daemon import turns
from tinysnitch.daemon.turns import Turns

PIECE_S = 0.002


class Client:
    """Has so many pieces of work to do."""

    def __init__(self, shared: Turns, pieces: int, note: Callable[["Client"], None]) -> None:
        self._turns = shared
        self._note = note
        self.pieces = pieces

    def pump(self) -> None:
        while self.pieces:
            if not self._turns.has_time():
                self._turns.wait(self.pump)
                return
            self.pieces -= 1
            time.sleep(PIECE_S)
            self._note(self)


async def work_off(count: int, pieces: int) -> tuple[list[int], int]:
    """Whose pieces were done in which order, and how many of them in one turn of the loop at the most."""
    done: list[int] = []
    shared = Turns()
    clients = [Client(shared, pieces, lambda client: done.append(clients.index(client))) for _ in range(count)]
    for client in clients:
        client.pump()
    most = before = len(done)
    while any(client.pieces for client in clients):
        await asyncio.sleep(0)
        most, before = max(most, len(done) - before), len(done)
    return done, most


def test_a_turn_is_short_however_many_wait() -> None:
    done, most = asyncio.run(work_off(count=20, pieces=5))
    assert len(done) == 100
    assert most <= turns.TURN_S / PIECE_S + 1


def test_who_has_more_to_do_goes_behind_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_S", PIECE_S / 2)
    done, _most = asyncio.run(work_off(count=3, pieces=4))
    assert done == [0, *[0, 1, 2] * 3, 1, 2]


def test_with_nothing_to_do_no_turn_is_asked_for() -> None:
    async def run() -> None:
        shared = Turns()
        assert shared.has_time()
        await asyncio.sleep(0)
        assert shared._ends_s is None

    asyncio.run(run())
