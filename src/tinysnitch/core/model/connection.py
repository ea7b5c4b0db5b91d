"""A connection: a flow with what is known of it, which is all that a rule can test."""

from enum import Enum

import msgspec

from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import Attribution


class NameSource(Enum):
    """From where it is known that an address has a name."""

    DNS = "dns"  # a trusted resolver
    HOSTS = "hosts"  # /etc/hosts
    MDNS = "mDNS"  # a machine of the link says it of itself
    LLMNR = "LLMNR"  # as mDNS


LINK_SOURCES = frozenset({NameSource.MDNS, NameSource.LLMNR})


class Asking(msgspec.Struct, frozen=True):
    """What the answer's rule has to test; all empty where no rule asks. Qualifiers are as in a rule."""

    user: str | None = None
    parent: str | None = None
    iface: str | None = None
    is_by_address: bool = False  # the answer's rule names the address, though the connection has a name
    is_by_path: bool = False  # the answer's rule names the program's path, also where it would name the snap
    is_by_args: bool = False  # a rule that asks tests the arguments


NOBODY_ASKS = Asking()


class Traits(msgspec.Struct, frozen=True):
    """What the catalogue of programs says of the one that connects (core/prompts/catalogue.py)."""

    is_its_file: bool = False  # it is what its file is. Of others, as `python3 -c`, the arguments say what they run
    starter: str | None = None  # whose worker it is: a rule for any arguments names it as parent=
    lasting_path: str | None = None  # the pattern for its path, which is another one at the next start
    counts_ports: bool = False  # its UDP port is another one each time


NO_TRAITS = Traits()


_FIELDS = {
    "is_lan_traffic": "is_link_talk",
    "is_port_negotiated": "is_port_told",
}  # in messages


class Connection(msgspec.Struct, frozen=True, kw_only=True, rename=_FIELDS):
    flow: Flow
    attribution: Attribution
    name: str | None = None  # the DNS name that decides, lower case, no trailing dot
    other_names: tuple[str, ...] = ()  # further names of the remote address, newest first
    is_name_sure: bool = False  # the process itself asked for `name`, and for no other name of the address
    interface: str = ""  # name of the network interface, "" when not known
    name_expires_s: float = float("inf")  # boot-time seconds when `name` stops holding
    name_source: NameSource = NameSource.DNS
    aliases: tuple[str, ...] = ()  # CNAMEs that `name` led through
    asked_name: str | None = None  # the name that a DNS question asks for; only shown
    # The rest is for questions, and for the rules that answers to them make.
    asking: Asking = NOBODY_ASKS  # what the rules that ask test, and the answer's rule has to
    traits: Traits = NO_TRAITS
    is_lan_traffic: bool = False  # next time any other machine of the link may be the remote
    is_from_lan: bool = False  # it came in from the lan without a lasting name: `lan` is its domain scope
    is_port_negotiated: bool = False  # the program was told the port at a well-known one, and next time it is another
