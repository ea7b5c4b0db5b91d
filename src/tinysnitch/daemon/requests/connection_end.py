"""Ends connections for a person: those of one program with one remote and port, as a reset would.

The kernel lists all sockets for it, and each that fits is attributed anew: only what belongs to that program, and to a
user that the right covers, is ended. What is new afterwards is decided by the rules, as before.
"""

from collections.abc import Iterator

from tinysnitch.core.model.errors import Malformed, NotUnderstood, SnitchError
from tinysnitch.core.model.flow import TCP, Direction, Flow, format_protocol, parse_address
from tinysnitch.core.model.process import program_of, uid_of
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.kernel.attribution.attribution import Attributor
from tinysnitch.kernel.netlink.sock_diag import ALL_STATES, TCP_LISTEN, TCP_TIME_WAIT, DiagSocket, SocketDiag
from tinysnitch.protocol.messages import EndConnections

MOST_ENDED = 1000  # of one request
_STATES = ALL_STATES & ~(1 << TCP_LISTEN | 1 << TCP_TIME_WAIT)
_ONLY_TCP = SnitchError("only connections of tcp can be ended", "deny the remote: that holds for all that comes")


def end_connections(wanted: EndConnections, right: Right, attributor: Attributor) -> int:
    """End them, and return how many. Raises SnitchError if the kernel ended none of those that there are."""
    if wanted.protocol != format_protocol(TCP):
        raise _ONLY_TCP
    with SocketDiag() as sockets:
        found = list(_find(sockets, wanted, right, attributor))
        ended = sum(sockets.end_connection(flow, socket.cookie) for flow, socket in found)
    if found and not ended:
        raise SnitchError("the kernel ended none of them", "it needs INET_DIAG_DESTROY")
    return ended


def _find(
    sockets: SocketDiag, wanted: EndConnections, right: Right, attributor: Attributor
) -> Iterator[tuple[Flow, DiagSocket]]:
    try:
        remote = parse_address(wanted.remote_address)
    except Malformed:
        raise NotUnderstood(f"{wanted.remote_address!r} is no address", "write one address") from None
    local_port = wanted.port if wanted.direction is Direction.INBOUND else 0
    listed = sockets.list_sockets(TCP, local_port, _STATES)
    fitting = [each for each in listed if each.remote == remote and wanted.port in (each.remote_port, local_port)]
    for each in fitting[:MOST_ENDED]:
        flow = Flow(TCP, wanted.direction, each.local, each.local_port, each.remote, each.remote_port)
        packet = attributor.attribute(flow)
        is_same = packet.cookie in (0, each.cookie) and program_of(packet.attribution) == wanted.program
        if is_same and right.covers(uid_of(packet.attribution)):
            yield flow, each
