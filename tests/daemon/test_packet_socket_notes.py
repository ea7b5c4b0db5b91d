"""Who opens a packet socket is reported; nothing is read after the end."""

import asyncio
import os
from typing import cast

from tinysnitch.core.records import PacketSocketSeen
from tinysnitch.daemon.packet_socket_notes import PacketSocketNotes
from tinysnitch.kernel.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.packet_sockets import PacketSocketHolder

OLD, NEW = (PacketSocketHolder(pid, 0, f"/usr/bin/{pid}", 0) for pid in (1, 2))


class SmallWatch:
    """One holder in the table; one more for each byte in a pipe."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.is_closed = False

    def fileno(self) -> int:
        return self.reader

    def look(self) -> list[PacketSocketHolder]:
        return [OLD]

    def read_events(self) -> list[PacketSocketHolder]:
        return [NEW] * len(os.read(self.reader, 10))

    def close(self) -> None:
        self.is_closed = True
        os.close(self.reader)
        os.close(self.writer)


def test_old_and_new_ones_are_reported_until_the_end() -> None:
    async def run() -> None:
        told: asyncio.Queue[PacketSocketSeen] = asyncio.Queue()
        watch = SmallWatch()
        notes = PacketSocketNotes(cast(PacketSocketWatch, watch), told.put_nowait)
        notes.start()
        assert (await told.get()).pid == OLD.pid
        os.write(watch.writer, b"x")
        assert (await asyncio.wait_for(told.get(), 60)).program == NEW.executable
        os.write(watch.writer, b"x")
        notes.stop()
        assert watch.is_closed
        await asyncio.sleep(0)
        assert told.empty()

    asyncio.run(run())
