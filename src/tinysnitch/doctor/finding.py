"""What was found about one thing that a part needs."""

from enum import Enum

import msgspec

from tinysnitch.core.model.errors import SnitchError


class State(Enum):
    OK = "ok"
    NOTE = "note"  # tinysnitch works; a person may want to know
    ROOT = "root"  # only root can tell
    LACKING = "lacking"


class Finding(msgspec.Struct, frozen=True):
    name: str
    state: State
    text: str
    follows: str = ""  # what does not work
    mend: str = ""  # a command, or what else to do


def fine(name: str, text: str) -> Finding:
    return Finding(name, State.OK, text)


def for_root(name: str) -> Finding:
    return Finding(name, State.ROOT, "only root can tell")


def lacking(name: str, error: SnitchError | str, follows: str, mend: str = "") -> Finding:
    """`mend`: in place of the error's own hint."""
    hint = error.hint if isinstance(error, SnitchError) else ""
    return Finding(name, State.LACKING, str(error), follows, mend or hint)
