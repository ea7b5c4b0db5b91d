"""Questions to servers that are not trusted: their answers are not learned, and that is reported where it matters.

It matters when the program connects to an address that only such an answer may have told it. A forwarding or recursive
resolver, whatever port it listens on, only connects to other resolvers, and `dig` connects to nothing.
"""

import msgspec

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import DNS_PORT, TCP, UDP, Direction, Flow
from tinysnitch.core.model.process import exec_id_of
from tinysnitch.core.model.tables import BoundedTable

RESOLVER_PORTS = (DNS_PORT, 853)  # DNS, and the same over TLS (RFC 7858)
MAX_SERVERS = 64  # programs on this machine that are known to be resolvers
MAX_ASKERS = 256  # programs that asked and did not connect yet; one that has to make room is not reported
MAX_ASKED = 16  # servers of one program


class UnreportedQueries(msgspec.Struct):
    """What one program asked, and was not reported yet."""

    flows: dict[bytes, Flow]  # by server's address, the last of each
    count: int = 0


class UntrustedQueries:
    """Programs are known by their exec ids here."""

    def __init__(self) -> None:
        self.has_any = False  # whether some program asked what was not reported yet
        self._servers: BoundedTable[int, bool] = BoundedTable(MAX_SERVERS)
        self._untold: BoundedTable[int, UnreportedQueries] = BoundedTable(MAX_ASKERS)

    def add(self, flow: Flow, exec_id: int) -> None:
        """Note a question on its way out."""
        if self.is_server(exec_id):
            return
        untold = self._untold.find(exec_id) or UnreportedQueries({})
        untold.count += 1
        if flow.remote in untold.flows or len(untold.flows) < MAX_ASKED:
            untold.flows[flow.remote] = flow
        self._untold.put(exec_id, untold)
        self.has_any = True

    def note_server(self, exec_id: int) -> None:
        """Note a program that is asked on port 53 of this machine: a resolver, which connects for others only."""
        self._servers.put(exec_id, True)
        self.forget(exec_id)

    def is_server(self, exec_id: int) -> bool:
        """Whether the program is known to be a resolver."""
        return bool(self._servers.find(exec_id))

    def find(self, connection: Connection) -> UnreportedQueries | None:
        """What to report of the program, if this connection goes to an address of no name that it asked for."""
        flow = connection.flow
        is_meant = flow.direction is Direction.OUTBOUND and flow.protocol in (TCP, UDP)
        if not is_meant or connection.is_name_sure or flow.remote_port in RESOLVER_PORTS:
            return None
        return self._untold.find(exec_id_of(connection.attribution))

    def forget(self, exec_id: int) -> None:
        """Drop what the program asked: it was reported, or need not be."""
        self._untold.pop(exec_id)
        self.has_any = self._untold.statistics().used > 0
