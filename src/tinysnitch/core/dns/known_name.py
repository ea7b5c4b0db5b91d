"""A name that an address is believed to have, as one daemon hands it on to the next (names.py)."""

import msgspec

from tinysnitch.core.model.name_source import NameSource


class KnownName(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    address: bytes  # packed
    name: str
    number: int  # of the newest question for it; a higher one is newer
    expires_s: float  # boot-time seconds
    kept_until_s: float  # boot-time seconds; until then the processes that asked may keep the name
    askers: tuple[tuple[int, int], ...]  # exec id and the number of its newest question, oldest first
    source: NameSource
    aliases: tuple[str, ...]
    is_askers_lost: bool = False  # there were more askers than are kept
    users: tuple[int, ...] = ()  # who looked the address up; none: not known
