"""Addresses that a program was started for: `ssh root@192.0.2.7`.

It asks for no name, and what other programs ask for that leads there is none of its own: another one in five minutes.
Whoever chooses the arguments chooses this. It makes a rule for the address of the question, never a wider one.
"""

import re

from tinysnitch.core.connection import Connection
from tinysnitch.core.flow import Direction, format_address
from tinysnitch.core.name_source import NameSource


def is_address_given(connection: Connection) -> bool:
    """Whether the program goes to the remote because its address is among the arguments, and not by its name, which it
    asked for or was given too."""
    process = connection.attribution.process
    is_by_name = connection.is_name_sure or connection.name_source is NameSource.HOSTS
    if process is None or is_by_name or connection.flow.direction is Direction.INBOUND:
        return False
    if connection.name and any(connection.name in arg for arg in process.args):  # curl --resolve shop.test:443:ADDRESS
        return False
    address = format_address(connection.flow.remote)
    return any(_has_whole(arg, address) for arg in process.args if address in arg)


def _has_whole(text: str, address: str) -> bool:
    """By itself, beside `http://`, `@`, `:443` or brackets: not as a piece of another one or of a name."""
    before, behind = (r"(?<![\w:])", r"(?![\w:])") if ":" in address else (r"(?<![\w.-])", r"(?![\w-]|\.\w)")
    return re.search(f"{before}{re.escape(address)}{behind}", text) is not None
