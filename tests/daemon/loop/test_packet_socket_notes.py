"""Processes that open a packet socket are reported; nothing is read after the end."""

import asyncio
import errno
import os
import threading
from typing import cast

import pytest

from tinysnitch.core.engine.records import PacketSocketSeen
from tinysnitch.daemon.loop import packet_socket_notes
from tinysnitch.daemon.loop.packet_socket_notes import LOOK_EACH_S, PacketSocketNotes
from tinysnitch.kernel.bpf.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.proc.packet_sockets import PacketSocketHolder
from tinysnitch.kernel.system.clock import read_instant

OLD, NEW = (PacketSocketHolder(pid, 0, f"/usr/bin/{pid}", 0) for pid in (1, 2))


class SmallWatch:
    """There is one holder in the table, and an event for each byte in a pipe."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.is_closed = False

    def fileno(self) -> int:
        return self.reader

    def find_unknown(self) -> set[int]:
        return {7}

    def take_found(self, _inodes: set[int], holders: list[PacketSocketHolder]) -> list[PacketSocketHolder]:
        return holders

    def read_events(self) -> list[PacketSocketHolder]:
        return [NEW] * len(os.read(self.reader, 10))

    def close(self) -> None:
        self.is_closed = True
        os.close(self.reader)
        os.close(self.writer)


def test_old_and_new_ones_are_reported_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_socket_notes, "find_holders", lambda inodes: [OLD] if inodes == {7} else [])

    async def run() -> None:
        told: asyncio.Queue[PacketSocketSeen] = asyncio.Queue()
        watch = SmallWatch()
        notes = PacketSocketNotes(cast(PacketSocketWatch, watch), told.put_nowait)
        notes.start()
        assert (await asyncio.wait_for(told.get(), 60)).pid == OLD.pid
        os.write(watch.writer, b"x")
        assert (await asyncio.wait_for(told.get(), 60)).program == NEW.executable
        os.write(watch.writer, b"x")
        notes.stop()
        assert watch.is_closed
        await asyncio.sleep(0)
        assert told.empty()

    asyncio.run(run())


def test_where_events_cannot_be_waited_for_the_table_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_socket_notes, "find_holders", lambda _inodes: [OLD])

    async def run() -> None:
        told: asyncio.Queue[PacketSocketSeen] = asyncio.Queue()
        notes = PacketSocketNotes(cast(PacketSocketWatch, SmallWatch()), told.put_nowait)
        monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", refuse)
        with pytest.raises(OSError, match="epoll"):
            notes.start()
        assert (await asyncio.wait_for(told.get(), 60)).pid == OLD.pid
        notes.stop()

    asyncio.run(run())


def refuse(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "no room in epoll")


def test_no_timer_runs_and_the_table_is_looked_at_when_something_else_wakes_us(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    monkeypatch.setattr(SmallWatch, "find_unknown", lambda _watch: looks.append(read_instant().boot_s) or set())

    async def run() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", refuse)
        monkeypatch.setattr(loop, "call_at", refuse)
        notes = PacketSocketNotes(cast(PacketSocketWatch, SmallWatch()), lambda _record: None)
        notes.look(read_instant().boot_s)
        assert looks == []  # not before its start
        notes.start()
        notes.look(looks[0] + LOOK_EACH_S / 2)
        assert len(looks) == 1
        notes.look(looks[0] + LOOK_EACH_S + 1)
        assert len(looks) == 2
        notes.stop()
        notes.look(looks[0] + 9 * LOOK_EACH_S)
        assert len(looks) == 2

    asyncio.run(run())


@pytest.mark.parametrize("is_stopped", [False, True])
def test_nothing_waits_while_processes_are_looked_through(monkeypatch: pytest.MonkeyPatch, is_stopped: bool) -> None:
    """Any user may have tens of thousands of descriptors."""
    goes_on, looks = threading.Event(), threading.Semaphore(0)

    def find_holders(_inodes: set[int]) -> list[PacketSocketHolder]:
        looks.release()
        assert goes_on.wait(60)
        return [OLD]

    monkeypatch.setattr(packet_socket_notes, "find_holders", find_holders)
    monkeypatch.setattr(packet_socket_notes, "LOOK_EACH_S", 0.0)

    async def run() -> None:
        told: asyncio.Queue[int] = asyncio.Queue()
        notes = PacketSocketNotes(cast(PacketSocketWatch, SmallWatch()), lambda record: told.put_nowait(record.pid))
        notes.start()
        for later_s in range(3):  # several looks are due meanwhile, and none is begun beside another
            notes.look(read_instant().boot_s + later_s)
        assert looks.acquire(timeout=60)
        assert (looks.acquire(blocking=False), told.empty()) == (False, True)
        if is_stopped:
            notes.stop()
            goes_on.set()
            await asyncio.sleep(0.1)
            assert told.empty()
            return
        goes_on.set()
        assert await asyncio.wait_for(told.get(), 60) == OLD.pid
        notes.stop()

    asyncio.run(run())
