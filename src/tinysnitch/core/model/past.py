"""What the history has of earlier connections like one that people are asked about."""

import msgspec


class PastQuestion(msgspec.Struct, frozen=True):
    """What is looked for: connections of the same user alone, so that whoever may see the question may see the rest."""

    prompt_id: int
    program: str
    uid: int | None  # of the process; None: there is none
    remote: str | bytes  # a name, else a packed address


class Past(msgspec.Struct, frozen=True, kw_only=True):
    domain: str  # what is counted: all names that somebody registered together, or one address
    allowed: int = 0  # connections of this program
    denied: int = 0
    other: str | None = None  # the program that was allowed most often, of all but this one
    other_allowed: int = 0
