"""From where it is known that an address has a name."""

from enum import Enum


class NameSource(Enum):
    DNS = "dns"  # a trusted resolver
    HOSTS = "hosts"  # /etc/hosts
    MDNS = "mDNS"  # a machine of the link says it of itself
    LLMNR = "LLMNR"  # as mDNS


LINK_SOURCES = frozenset({NameSource.MDNS, NameSource.LLMNR})
