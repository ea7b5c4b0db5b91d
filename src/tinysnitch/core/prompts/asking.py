"""What the rules that ask about a connection test. An answer's rule has to test the same, so that it is narrower than
they are: otherwise they would ask again, whatever the person answered.

A program may have been started for an address (`ssh root@192.0.2.7`), and then asks for no name. A name that the
address has from another program's question says nothing of this one, and is another in five minutes. Whoever starts the
program chooses its arguments, and so whether the rule is by address; but that only makes it a rule for the address of
this connection, never a wider one.
"""

import re
from collections.abc import Iterable

import msgspec

from tinysnitch.core.model.connection import Asking, Connection, NameSource
from tinysnitch.core.model.flow import ICMP, TCP, Direction, format_address
from tinysnitch.core.model.process import AttributionSource
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.facts import RemoteWords
from tinysnitch.core.policy.precedence import covers_remote
from tinysnitch.core.prompts.lan_traffic import is_from_lan, is_lan_traffic
from tinysnitch.core.rules.protocol_column import general_protocol
from tinysnitch.core.rules.rule import ProgramKind, Remote, RemoteKind, Rule


def with_asking(
    connection: Connection, decision: Decision, words: RemoteWords, *, is_port_negotiated: bool = False
) -> Connection:
    """The connection as people are asked about it: with what the rule of an answer has to test."""
    asking = asking_of(decision.asking, connection.name, words, _find_lasting_address(connection))
    return msgspec.structs.replace(
        connection,
        asking=asking,
        is_lan_traffic=not decision.asking and is_lan_traffic(connection, words),
        is_from_lan=not decision.asking and is_from_lan(connection, words, is_by_address=asking.is_by_address),
        is_port_negotiated=is_port_negotiated,
    )


def asking_of(
    rules: Iterable[Rule], name: str | None, words: RemoteWords, lasting_address: str | None = None
) -> Asking:
    """`rules`: those that ask about a connection with this name. `lasting_address`: set if the name is soon gone."""
    rules = tuple(rules)
    named = Remote(RemoteKind.NAME, name or "")
    is_by_address = not all(covers_remote(rule.remote, named, words) for rule in rules)
    if lasting_address is not None:
        address = Remote(RemoteKind.NETWORK, lasting_address)
        is_by_address |= all(covers_remote(rule.remote, address, words) for rule in rules)
    return Asking(
        user=next((rule.user for rule in rules if rule.user), None),
        parent=next((rule.parent for rule in rules if rule.parent), None),
        iface=next((rule.iface for rule in rules if rule.iface), None),
        is_by_address=bool(name) and is_by_address,
        is_by_args=any(rule.args is not None for rule in rules),
        is_by_path=any(rule.program.kind in (ProgramKind.PATH, ProgramKind.GLOB) for rule in rules),
    )


def _find_lasting_address(connection: Connection) -> str | None:
    """The remote's address, where the connection's name is soon gone; None where the name lasts.

    A name is soon gone if only another program asked for it lately. A rule for it would then no longer match, and
    people would be asked again. Outbound, the other program may have asked on behalf of this one, unless this one was
    given the address as an argument. Inbound over TCP, the program's own question does not count: servers look up the
    name of a client that is connected already (Postfix, MariaDB), and the next process of such a server has not asked.
    """
    address = format_address(connection.flow.remote)
    if connection.flow.direction is Direction.OUTBOUND:
        return address if is_address_given(connection) else None
    is_named_for_long = (
        (connection.is_name_sure and connection.flow.protocol != TCP)
        or connection.name_source is NameSource.HOSTS
        or _is_told_to_kernel(connection)
    )
    return None if is_named_for_long else address


def _is_told_to_kernel(connection: Connection) -> bool:
    """Whether it may be of a tunnel or a mount, whose other end somebody told the kernel (names.py, 4). No ping is."""
    is_kernels = connection.attribution.source is AttributionSource.KERNEL
    return is_kernels and general_protocol(connection.flow.protocol) != ICMP


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
