"""Says on standard error who uses a packet socket, which no rule sees: each process once."""

import asyncio
import sys
from collections.abc import Iterable

from tinysnitch.kernel.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.packet_sockets import PacketSocketHolder
from tinysnitch.view.text import escape_text

LOOK_EVERY_S = 30.0  # at the table of open sockets, for those that neither open nor send anything now


class PacketSocketNotes:
    def __init__(self, watch: PacketSocketWatch) -> None:
        self._watch = watch
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Say who has one now, and from now on."""
        descriptor = self._watch.fileno()
        if descriptor is not None:
            asyncio.get_running_loop().add_reader(descriptor, self._read)
        self._look()

    def stop(self) -> None:
        descriptor = self._watch.fileno()
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
        if self._timer:
            self._timer.cancel()
        self._watch.close()

    def _read(self) -> None:
        say_holders(self._watch.read_events())

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)
        say_holders(self._watch.look())


def say_holders(holders: Iterable[PacketSocketHolder]) -> None:
    for holder in holders:
        who = f"{escape_text(holder.executable)} (pid {holder.pid}, uid {holder.uid})"
        sys.stderr.write(f"tinysnitch: note: {who} has a packet socket, which no firewall rule sees\n")
    sys.stderr.flush()
