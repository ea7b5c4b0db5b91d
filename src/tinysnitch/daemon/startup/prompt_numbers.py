"""Finds the number of a daemon's first question. It must be new: a late answer could otherwise hit another question."""

from contextlib import suppress

from tinysnitch.core.model.errors import Malformed
from tinysnitch.protocol.log_lines import AskLine, parse_log_line
from tinysnitch.store.history import BATCH, History

_BEGINNING = b'{"event":"ask",'


def find_first_number(history: History, boot_s: float) -> int:
    """A number beyond the last one in the history, and beyond those that a killed daemon had no time to write.

    Without a history the seconds since the boot: new if there was at most one question a second.
    """
    newest = history.find_newest(_BEGINNING)
    with suppress(Malformed):
        line = parse_log_line(newest) if newest else None
        if isinstance(line, AskLine):
            return max(int(boot_s), line.id + BATCH + 1)
    return int(boot_s)
