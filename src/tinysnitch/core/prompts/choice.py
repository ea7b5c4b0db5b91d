"""What the person picked: a verdict, how long it holds, and how much it covers."""

from enum import Enum

import msgspec

from tinysnitch.core.model.verdict import Verdict


class Lifetime(Enum):
    ONCE = "once"  # this one connection
    ONE_MINUTE = "1m"
    THREE_MINUTES = "3m"
    NINE_MINUTES = "9m"
    DAY = "24h"
    QUIT = "quit"  # until the process that asked ends
    FOREVER = "forever"

    @property
    def duration_s(self) -> float | None:
        """Seconds it holds; None where something else than time ends it."""
        return _DURATIONS_S.get(self)


_DURATIONS_S = {
    Lifetime.ONE_MINUTE: 60.0,
    Lifetime.THREE_MINUTES: 180.0,
    Lifetime.NINE_MINUTES: 540.0,
    Lifetime.DAY: 86400.0,
}


class RemoteScope(Enum):
    NAME = "name"  # this name, or this address when there is none
    DOMAIN = "domain"  # the registrable domain and all below it; for talk on the link `lan`
    ANY = "any"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    verdict: Verdict
    lifetime: Lifetime = Lifetime.NINE_MINUTES
    remote: RemoteScope = RemoteScope.NAME
    any_port: bool = False
    any_args: bool = False  # for a worker: any that its starter gives, named by parent=
    is_for_user: bool = False  # only for the user that the program runs as
