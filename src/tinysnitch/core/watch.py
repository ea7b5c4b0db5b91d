"""Connections that are allowed only until they say a name: which ones, and how closely they are watched.

A connection that no resolver's answer explains may be anything behind its address, and where a program asked for
several names of one address, it may mean any of them. What it says of itself is never better than a resolver's word: it
opens nothing, it can only be held against the connection.
"""

from enum import Enum

from tinysnitch.core.connection import Connection
from tinysnitch.core.dns_wire import DNS_PORT
from tinysnitch.core.flow import TCP, UDP, Direction
from tinysnitch.core.remote_words import RemoteWords
from tinysnitch.core.rule import LOCALHOST


class Watch(Enum):
    NONE = "none"
    NOTED = "noted"  # the name is for the log
    GUARDED = "guarded"  # a rule may deny the name: nothing of it goes on unread


def can_say_name(connection: Connection, words: RemoteWords) -> bool:
    """Whether it might say one that is read."""
    flow = connection.flow
    return (
        flow.direction is Direction.OUTBOUND
        and flow.protocol in (TCP, UDP)
        and flow.remote_port != DNS_PORT
        and not words.takes(LOCALHOST, flow.remote, None)
    )
