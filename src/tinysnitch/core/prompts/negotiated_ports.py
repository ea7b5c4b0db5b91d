"""Ports that one side tells the other at a well-known port: for data of FTP and TFTP, for what a camera shows and for
calls, for what is scanned or heard, for a service of RPC or Erlang. Which ports these are is in programs.toml.

The next file or call has another port, and so has the service after its next start: a rule with the port would match
only once. Which port was told is said within an allowed connection, perhaps encrypted, and is not read. A port counts
as told if the program has talked with the same remote at the well-known port, and if the port is 1024 or higher.
"""

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.process import exec_id_of
from tinysnitch.core.model.tables import BoundedTable

MAX_TALKS = 1024  # if one has to make room, a person may get one question more
_FIRST_ANYBODYS = 1024  # below it only root may listen (ip(7))


class NegotiatedPorts:
    """Programs are known by their exec ids here."""

    def __init__(self, told_at: frozenset[int] = frozenset()) -> None:
        self.told_at = told_at
        self._talks: BoundedTable[tuple[int, bytes], bool] = BoundedTable(MAX_TALKS)

    def note(self, connection: Connection) -> None:
        """Note an allowed connection, if it is to a port at which others are told."""
        if connection.flow.port in self.told_at:
            self._talks.put((exec_id_of(connection.attribution), connection.flow.remote), True)

    def has(self, connection: Connection) -> bool:
        """Whether the connection's port may have been told at a well-known one."""
        flow = connection.flow
        is_process = connection.attribution.process is not None
        is_plain = flow.port >= _FIRST_ANYBODYS and flow.port not in self.told_at
        return (
            is_process and is_plain and self._talks.find((exec_id_of(connection.attribution), flow.remote)) is not None
        )
