"""What the rules that ask about a connection test. An answer's rule has to test the same, so that it is narrower than
they are: otherwise they would ask again, whatever the person said.
"""

from collections.abc import Iterable

import msgspec

from tinysnitch.core.policy.remote_words import RemoteWords
from tinysnitch.core.policy.scope import covers_remote
from tinysnitch.core.rules.rule import ProgramKind, Remote, RemoteKind, Rule


class Asking(msgspec.Struct, frozen=True):
    """What the answer's rule has to test; all empty where no rule asks. Qualifiers are as in a rule."""

    user: str | None = None
    parent: str | None = None
    iface: str | None = None
    is_by_address: bool = False  # the answer's rule names the address, though the connection has a name
    is_by_path: bool = False  # the answer's rule names the program's path, also where it would name the snap


NOBODY_ASKS = Asking()


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
        is_by_path=any(rule.program.kind in (ProgramKind.PATH, ProgramKind.GLOB) for rule in rules),
    )
