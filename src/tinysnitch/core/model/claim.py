"""What attribution tells of a packet."""

import msgspec

from tinysnitch.core.model.process import Attribution


class Claim(msgspec.Struct, frozen=True):
    attribution: Attribution
    cookie: int  # of the socket, 0 when none is known
    is_note_lost: bool = False  # it was noted whose packet this is, but the note made room for newer ones
