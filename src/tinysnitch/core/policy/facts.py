"""What the words in rules stand for on this machine now: localhost, lan, @resolvers, lists, users, links.

The daemon gathers the Facts. RemoteWords compares remotes with the words of the remote column.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from tinysnitch.core.model.flow import V4_PREFIX, is_of_link
from tinysnitch.core.rules.network import ADDRESS_BITS, Network, parse_network
from tinysnitch.core.rules.rule import Remote, RemoteKind

RESOLVERS = "resolvers"  # the list that is built in
_LOOPBACK4 = V4_PREFIX + b"\x7f"  # RFC 1122 3.2.1.3: 127.0.0.0/8
_LOOPBACK6 = bytes(15) + b"\x01"
_LONGEST_WITH_BROADCAST = ADDRESS_BITS - 1  # RFC 3021: a network of two addresses has none
WORDS = (RemoteKind.LOCALHOST, RemoteKind.LAN, RemoteKind.LIST)


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


class RemoteWords:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def takes(self, word: Remote, address: bytes, name: str | None, *, is_outbound: bool = False) -> bool:
        """Whether the remote is among those of the word, whose kind is one of WORDS."""
        if word.kind is RemoteKind.LOCALHOST:
            if is_outbound and is_of_link(address):  # another link may have the same: the interface matters
                return False
            return address.startswith(_LOOPBACK4) or address == _LOOPBACK6 or address in self._facts.own_addresses
        if word.kind is RemoteKind.LAN:
            return _is_in(self._facts.lan, address)
        if word.text == RESOLVERS:
            return address in self._facts.resolvers
        members = self._facts.lists.get(word.text)
        if members is None:
            return False
        return (name is not None and members.has_name(name)) or members.has_address(address)

    def is_broadcast(self, address: bytes) -> bool:
        """Whether this is the broadcast address of an IPv4 network that the machine is on (RFC 919)."""
        number = int.from_bytes(address)
        networks = (each for each in self._facts.lan if each.is_v4 and each.prefix < _LONGEST_WITH_BROADCAST)
        return any(number == each.base | (1 << ADDRESS_BITS - each.prefix) - 1 for each in networks)

    def covers(self, word: Remote, remote: Remote) -> bool:
        """Whether all remotes of a name, domain or network are among the word's. False for any other kind."""
        if remote.kind is RemoteKind.NETWORK:
            return self._covers_network(word, parse_network(remote.text))
        if remote.kind not in (RemoteKind.NAME, RemoteKind.DOMAIN) or word.kind is not RemoteKind.LIST:
            return False
        members = self._find_list(word.text)
        return members is not None and members.has_name(remote.text)

    def _covers_network(self, word: Remote, network: Network) -> bool:
        first = network.base.to_bytes(16)
        if network.prefix == ADDRESS_BITS and self.takes(word, first, None):
            return True
        if word.kind is RemoteKind.LOCALHOST:
            return first.startswith(_LOOPBACK4)  # with a prefix below 8 bits the first byte would be even
        if word.kind is RemoteKind.LAN:
            return any(linked.contains(network) for linked in self._facts.lan)
        members = self._find_list(word.text)
        return members is not None and members.has_network(network)

    def _find_list(self, name: str) -> RemoteList | None:
        """A list from a file; None for the built-in one, which holds only addresses."""
        return None if name == RESOLVERS else self._facts.lists.get(name)


def _is_in(networks: tuple[Network, ...], address: bytes) -> bool:
    host = Network(int.from_bytes(address), ADDRESS_BITS)
    return any(network.contains(host) for network in networks)
