"""What attribution tells of a packet."""

import msgspec

from tinysnitch.core.process import Attribution


class Claim(msgspec.Struct, frozen=True):
    attribution: Attribution
    cookie: int  # of the socket, 0 when none is known
    is_note_lost: bool = False  # whose it is was noted, and has made room for what came since
