"""Whether a program takes questions on this machine's port of DNS: a resolver, which asks others on their behalf."""

from typing import Protocol

from tinysnitch.core.errors import SnitchError
from tinysnitch.core.flow import UDP
from tinysnitch.kernel.bpf_structs import Owner
from tinysnitch.kernel.packet_events import DNS_PORT
from tinysnitch.kernel.sockets import SocketDiag


class OwnerTable(Protocol):
    def find_owner(self, cookie: int) -> Owner | None: ...


def takes_questions(table: OwnerTable, exec_id: int, port: int = DNS_PORT) -> bool:
    try:
        with SocketDiag() as diag:
            sockets = diag.list_sockets(UDP, port)
    except SnitchError:
        return False
    owners = (table.find_owner(each.cookie) for each in sockets)
    return any(owner is not None and owner.exec_id == exec_id for owner in owners)
