"""A service's talk with all machines of the link. Rules for `lan` cover it, since each machine would be a question.

Phones, printers and televisions send questions and announcements to the whole link every few minutes (mDNS, SSDP,
NetBIOS), from addresses that change daily (RFC 8981). A rule for one of them would answer one question of dozens.
A DHCP server sends an echo to each address before it gives the address out, to see whether a machine has it. A server
of addresses or names on a link (libvirt, a hotspot, the resolver of podman's networks) hears from each machine and
container there. And the program that publishes a container's port (docker-proxy) reaches the container by an address
that the next container does not have.
"""

from tinysnitch.core.model.connection import LINK_SOURCES, Connection
from tinysnitch.core.model.flow import ICMP, UDP, Direction
from tinysnitch.core.policy.facts import RemoteWords
from tinysnitch.core.rules.rule import LAN, LOCALHOST

_PUBLISHER = "docker-proxy"
_DHCP_SERVERS = frozenset({"dnsmasq", "dhcpd", "kea-dhcp4"})  # dnsmasq(8) --no-ping, dhcpd.conf(5) ping-check
# Names and addresses: RFC 1035, 2131. LLMNR answers come to the port that others ask at (RFC 4795 2.5).
_SERVED_PORTS = frozenset({53, 67, 5355})
KERNELS_PORTS = range(32768, 61000)  # ip(7), ip_local_port_range


def is_lan_traffic(connection: Connection, words: RemoteWords) -> bool:
    """Whether any other machine of the link may be the remote next time.

    Inbound: whether it was sent to a group or to broadcast, may answer what was sent there, or asks a server for a name
    or an address. Outbound: whether a service talks to a machine that it did not look up, asks whether an address is
    taken, or passes on what came to a container's port; or whether a program sends to the broadcast address, which is
    another one in the next network.
    """
    flow = connection.flow
    if not words.takes(LAN, flow.remote, None):
        return False
    is_port_kernels = flow.protocol == UDP and flow.local_port in KERNELS_PORTS
    is_here = words.takes(LOCALHOST, flow.remote, None, is_outbound=flow.direction is Direction.OUTBOUND)
    if flow.direction is Direction.INBOUND:
        is_to_all = words.takes(LAN, flow.local, None) and not words.takes(LOCALHOST, flow.local, None)
        return is_port_kernels or is_to_all or (flow.local_port in _SERVED_PORTS and not is_here)
    is_named = connection.name is not None and connection.name_source not in LINK_SOURCES
    is_said = flow.protocol == UDP and (not is_port_kernels or words.is_broadcast(flow.remote))
    is_said = is_said or _asks_whether_taken(connection) or _called(connection) == _PUBLISHER
    return is_said and not is_named and not is_here


def is_from_lan(connection: Connection, words: RemoteWords, *, is_by_address: bool = False) -> bool:
    """Whether it came in from another machine of a network that this machine is on, without a lasting name: from a
    container or virtual machine on a bridge, say, whose address the next one will not have."""
    flow = connection.flow
    is_other = words.takes(LAN, flow.remote, None) and not words.takes(LOCALHOST, flow.remote, None)
    has_name = connection.name is not None and not is_by_address
    return flow.direction is Direction.INBOUND and is_other and not has_name


def _asks_whether_taken(connection: Connection) -> bool:
    return _called(connection) in _DHCP_SERVERS and connection.flow.protocol == ICMP


def _called(connection: Connection) -> str:
    process = connection.attribution.process
    return process.program.rpartition("/")[2] if process else ""
