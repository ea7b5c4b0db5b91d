"""Processes that open a packet socket are reported; nothing is read after the end."""

import asyncio
import errno
import os
import threading
from typing import cast

import pytest

from tinysnitch.core.engine.records import PacketSocketSeen
from tinysnitch.daemon.loop import packet_socket_notes
from tinysnitch.daemon.loop.packet_socket_notes import PacketSocketNotes
from tinysnitch.kernel.bpf.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.proc.packet_sockets import PacketSocketHolder

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


@pytest.mark.parametrize("is_stopped", [False, True])
def test_nothing_waits_while_processes_are_looked_through(monkeypatch: pytest.MonkeyPatch, is_stopped: bool) -> None:
    """Any user may have tens of thousands of descriptors."""
    goes_on, looks = threading.Event(), threading.Semaphore(0)

    def find_holders(_inodes: set[int]) -> list[PacketSocketHolder]:
        looks.release()
        assert goes_on.wait(60)
        return [OLD]

    monkeypatch.setattr(packet_socket_notes, "find_holders", find_holders)
    monkeypatch.setattr(packet_socket_notes, "LOOK_EVERY_S", 0.01)

    async def run() -> None:
        told: asyncio.Queue[int] = asyncio.Queue()
        notes = PacketSocketNotes(cast(PacketSocketWatch, SmallWatch()), lambda record: told.put_nowait(record.pid))
        notes.start()
        await asyncio.sleep(0.1)  # several looks are due meanwhile, and none is begun beside another
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
