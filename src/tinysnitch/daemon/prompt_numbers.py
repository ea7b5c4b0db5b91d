"""The number of a daemon's first question: none that was given before, or a late answer might hit another question."""

from contextlib import suppress

from tinysnitch.core.errors import Malformed
from tinysnitch.protocol.log_lines import AskLine, parse_log_line
from tinysnitch.store.history import BATCH, History

_BEGINNING = b'{"event":"ask",'


def find_first_number(history: History, boot_s: float) -> int:
    """Beyond the last one in the history, and those that a killed daemon had no time to write.

    Without a history it is the seconds since the boot: right where there was one question a second at most.
    """
    newest = history.find_newest(_BEGINNING)
    with suppress(Malformed):
        line = parse_log_line(newest) if newest else None
        if isinstance(line, AskLine):
            return max(int(boot_s), line.id + BATCH + 1)
    return int(boot_s)
