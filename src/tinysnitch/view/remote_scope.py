"""What `d` walks through: this name, its domain, any remote; only what makes other rules of what is answered."""

from collections.abc import Sequence

import msgspec

from tinysnitch.core.answer import rule_for_choice
from tinysnitch.core.choice import Choice, RemoteScope
from tinysnitch.core.connection import Connection

_RING = (RemoteScope.NAME, RemoteScope.DOMAIN, RemoteScope.ANY)


def next_scope(connections: Sequence[Connection], choice: Choice) -> RemoteScope:
    """Of an address alone, and of a name without a domain, the domain is what the name is."""

    def remotes_of(scope: RemoteScope) -> list[object]:
        scoped = msgspec.structs.replace(choice, remote=scope)
        return [rule_for_choice(connection, scoped, 0.0).remote for connection in connections]

    at = _RING.index(choice.remote)
    further = (*_RING[at + 1 :], *_RING[:at])
    return next(scope for scope in further if remotes_of(scope) != remotes_of(choice.remote))
