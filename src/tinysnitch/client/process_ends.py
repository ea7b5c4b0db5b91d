"""Whether the process that a question is about has ended since, as far as this machine's /proc tells (proc(5)).

A process counts as ended only if it was seen alive here before: one that never was may be hidden from us (hidepid), or
be in another pid namespace, where its number means another process.
"""

import os

from tinysnitch.core.model.process import Process
from tinysnitch.core.model.tables import BoundedTable

CAPACITY = 1024  # processes seen alive that are remembered
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class ProcessEnds:
    def __init__(self) -> None:
        self._seen: BoundedTable[tuple[int, int], bool] = BoundedTable(CAPACITY)  # by pid and start time

    def has_ended(self, process: Process) -> bool:
        key = (process.pid, process.started_ns)
        if is_alive(*key):
            self._seen.put(key, True)
            return False
        return self._seen.find(key) is not None


def is_alive(pid: int, started_ns: int) -> bool:
    """Whether this pid is still the process that started then (ns since boot), and any of its threads runs."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name of the process is in parentheses and may itself hold some: count fields from the last `)`.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    is_same = len(fields) > 19 and int(fields[19]) == started_ns // _TICK_NS
    # A thread group's leader may end, and be a zombie, before its other threads: field 17 counts them.
    is_dead = fields[:1] in ([b"Z"], [b"X"]) and int(fields[17]) <= 1
    return is_same and not is_dead
