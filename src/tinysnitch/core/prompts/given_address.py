"""Addresses that a program was started for: `ssh root@192.0.2.7`.

Such a program asks for no name. A name that the address has from another program's question says nothing of this one,
and is another in five minutes. Whoever starts the program chooses its arguments, and so whether the rule is by address;
but that only makes it a rule for the address of this connection, never a wider one.
"""

import re

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction, format_address
from tinysnitch.core.model.name_source import NameSource


def is_address_given(connection: Connection) -> bool:
    """Whether the program was given the remote's address as an argument, and neither asked for the name that decides
    nor was given that as well."""
    process = connection.attribution.process
    is_by_name = connection.is_name_sure or connection.name_source is NameSource.HOSTS
    if process is None or is_by_name or connection.flow.direction is Direction.INBOUND:
        return False
    if connection.name and any(connection.name in arg for arg in process.args):  # curl --resolve shop.test:443:ADDRESS
        return False
    address = format_address(connection.flow.remote)
    return any(_has_whole(arg, address) for arg in process.args if address in arg)


def _has_whole(text: str, address: str) -> bool:
    """Whether the address stands in the text by itself, or beside `http://`, `@`, `:443` or brackets: not as a part of
    another address or of a name."""
    before, behind = (r"(?<![\w:])", r"(?![\w:])") if ":" in address else (r"(?<![\w.-])", r"(?![\w-]|\.\w)")
    return re.search(f"{before}{re.escape(address)}{behind}", text) is not None
