"""Who says that an address has a name."""

from enum import Enum


class NameSource(Enum):
    DNS = "dns"  # a trusted resolver
    HOSTS = "hosts"  # /etc/hosts
    MDNS = "mDNS"  # a machine of the link, of itself
    LLMNR = "LLMNR"  # likewise


LINK_SOURCES = frozenset({NameSource.MDNS, NameSource.LLMNR})
