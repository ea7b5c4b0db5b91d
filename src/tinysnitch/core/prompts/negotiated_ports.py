"""Ports that one side tells the other at a well-known port: for data of FTP and TFTP, for what a camera shows and for
calls, for what is scanned or heard, for a service of RPC or Erlang.

The next file or call has another port, and so has the service after its next start: a rule with the port would match
only once. Which port was told is said within an allowed connection, perhaps encrypted, and is not read. A port counts
as told if the program has talked with the same remote at the well-known port, and if the port is 1024 or higher.
"""

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import TCP, UDP
from tinysnitch.core.model.process import exec_id_of
from tinysnitch.core.model.tables import BoundedTable

MAX_TALKS = 1024  # if one has to make room, a person may get one question more
_FIRST_ANYBODYS = 1024  # below it only root may listen (ip(7))
_NEGOTIATED_AT = {  # protocol and port → protocols of the ports that are told there
    (TCP, 21): (TCP,),  # FTP, in both modes: RFC 959, 2428
    (TCP, 990): (TCP,),  # the same over TLS
    (UDP, 69): (UDP,),  # TFTP: RFC 1350, section 4
    (TCP, 111): (TCP, UDP),  # rpcbind: RFC 1833
    (UDP, 111): (TCP, UDP),
    (TCP, 135): (TCP,),  # the same of Windows and Samba: MS-RPCE, 2.1.1.1
    (TCP, 4369): (TCP,),  # epmd of Erlang: RabbitMQ, ejabberd
    (TCP, 554): (UDP,),  # RTSP: RFC 2326
    (TCP, 8554): (UDP,),
    (TCP, 322): (UDP,),  # the same over TLS: RFC 7826
    (TCP, 8009): (TCP, UDP),  # Google Cast: a film that the other side fetches here, a screen that it is sent
    (TCP, 5060): (UDP,),  # SIP: RFC 3261, section 19.1.2
    (UDP, 5060): (UDP,),
    (TCP, 5061): (UDP,),  # the same over TLS
    (TCP, 6566): (TCP,),  # SANE, from a scanner at another machine: section 5.2 of its standard, SANE_NET_START
    (UDP, 9875): (UDP,),  # SAP, for sound that PulseAudio or PipeWire sends: RFC 2974
    (TCP, 12865): (TCP, UDP),  # netperf
    (TCP, 24007): (TCP,),  # GlusterFS: each brick has a port of its own since version 10
}
NEGOTIATING_PORTS = frozenset(port for _protocol, port in _NEGOTIATED_AT)


class NegotiatedPorts:
    """Programs are known by their exec ids here."""

    def __init__(self) -> None:
        self._talks: BoundedTable[tuple[int, bytes, int], bool] = BoundedTable(MAX_TALKS)

    def note(self, connection: Connection) -> None:
        """Note an allowed connection, if it is to a port at which others are told."""
        flow = connection.flow
        for protocol in _NEGOTIATED_AT.get((flow.protocol, flow.port), ()):
            self._talks.put((exec_id_of(connection.attribution), flow.remote, protocol), True)

    def has(self, connection: Connection) -> bool:
        """Whether the connection's port may have been told at a well-known one."""
        flow = connection.flow
        is_process = connection.attribution.process is not None
        is_plain = flow.port >= _FIRST_ANYBODYS and (flow.protocol, flow.port) not in _NEGOTIATED_AT
        talk = (exec_id_of(connection.attribution), flow.remote, flow.protocol)
        return is_process and is_plain and self._talks.find(talk) is not None
