"""Connections that are allowed only until they say a name: which ones, and how closely they are watched.

A connection to an address for which no name was learned may be to any host there; and a program that asked for several
names of one address may mean any of them. The name that a connection says itself is worth less than a resolver's
answer: it never makes a rule allow anything, it can only end the connection.
"""

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import DNS_PORT, TCP, UDP, Direction
from tinysnitch.core.policy.facts import RemoteWords
from tinysnitch.core.rules.rule import LOCALHOST


def can_say_name(connection: Connection, words: RemoteWords) -> bool:
    """Whether the connection may say a name that is read here. To port 53 it is read as DNS."""
    flow = connection.flow
    return (
        flow.direction is Direction.OUTBOUND
        and flow.protocol in (TCP, UDP)
        and flow.remote_port != DNS_PORT
        and not words.takes(LOCALHOST, flow.remote, None)
    )
