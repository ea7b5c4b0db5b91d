"""What the words in rules stand for on this machine now: localhost, lan, @resolvers, lists, links."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from tinysnitch.core.rules.network import Network


class RemoteList(Protocol):
    """A list of remotes that a rule names as @NAME."""

    def has_name(self, name: str) -> bool:
        """Whether the name, or a name above it that the list covers, is in the list."""
        ...

    def has_address(self, address: bytes) -> bool:
        """Whether the packed address is in the list."""
        ...

    def has_network(self, network: Network) -> bool:
        """Whether all of the network is in the list, in one of its own."""
        ...


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    own_addresses: frozenset[bytes] = frozenset()  # packed; loopback is not among them, and always counts as own
    lan: tuple[Network, ...] = ()  # networks on our links, multicast and broadcast
    resolvers: frozenset[bytes] = frozenset()  # packed addresses of the trusted resolvers
    hosts: Mapping[bytes, tuple[str, ...]] = {}  # packed address → its names in /etc/hosts, the first one first
    lists: Mapping[str, RemoteList] = {}
    links: Mapping[str, str] = {}  # program path as a rule has it → the file it leads to, where they differ
    turnable_links: frozenset[str] = frozenset()  # paths in rules with user= over a link that any but root can change
    patterns: Mapping[str, str] = {}  # a rule's pattern → that without links before its first star, if another
    turnable_patterns: frozenset[str] = frozenset()  # as turnable_links
    users: Mapping[str, int] = {}  # user name as a rule has it → uid
