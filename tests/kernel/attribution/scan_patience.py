"""Asks again until the scan of all processes is over, as the driver does while the packet is held."""

import time
from collections.abc import Callable
from typing import TypeVar

from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import AttributedPacket
from tinysnitch.kernel.attribution.attribution import Attributor
from tinysnitch.kernel.attribution.socket_holders import ScanNotDue, SocketUsers
from tinysnitch.kernel.bpf.layout import Owner

T = TypeVar("T")


def when_due(ask: Callable[[], T]) -> T:
    while True:
        try:
            return ask()
        except ScanNotDue as early:
            time.sleep(early.wait_s)


class PatientAttributor(Attributor):
    def attribute(self, flow: Flow, interface: int = 0, sender_uid: int | None = None) -> AttributedPacket:
        ask = super().attribute
        return when_due(lambda: ask(flow, interface, sender_uid))


class PatientUsers(SocketUsers):
    def find_user(self, owner: Owner | None, inode: int, uid: int = 0) -> Owner | None:
        ask = super().find_user
        return when_due(lambda: ask(owner, inode, uid))
