"""A connection: a flow with what is known of it. All that a rule can test."""

import msgspec

from tinysnitch.core.asking import NOBODY_ASKS, Asking
from tinysnitch.core.flow import Flow
from tinysnitch.core.name_source import NameSource
from tinysnitch.core.process import Attribution


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    flow: Flow
    attribution: Attribution
    name: str | None = None  # the DNS name that decides, lower case, no trailing dot
    other_names: tuple[str, ...] = ()  # further names of the remote address, newest first
    is_name_sure: bool = False  # the process itself asked for `name`, and for no other name of the address
    interface: str = ""  # name of the network interface, "" when not known
    name_expires_s: float = float("inf")  # boot-time seconds when `name` stops holding
    name_source: NameSource = NameSource.DNS
    aliases: tuple[str, ...] = ()  # CNAMEs that `name` led through
    asked_name: str | None = None  # in a DNS question: what it asks for. Shown only
    asking: Asking = NOBODY_ASKS  # of an open question: what its answer's rule has to test
    is_link_talk: bool = False  # likewise: any machine of the link may be the remote next time
    is_from_lan: bool = False  # likewise: it came in from there, without a name that lasts: the lan is its domain
    is_port_told: bool = False  # likewise: another talk has told the port, and the next time it is another one
