"""Whether the program that asked has ended meanwhile, as far as this machine's /proc tells (proc(5)).

Only a process that was seen alive here can be seen to end: one that was never seen may be hidden from us (hidepid), or
be of another namespace of pids, where its number means somebody else.
"""

import os

from tinysnitch.core.process import Process
from tinysnitch.core.table import BoundedTable

CAPACITY = 1024  # processes that are remembered
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class ProcessEnds:
    def __init__(self) -> None:
        self._seen: BoundedTable[tuple[int, int], bool] = BoundedTable(CAPACITY)  # alive, by pid and start

    def has_ended(self, process: Process) -> bool:
        key = (process.pid, process.started_ns)
        if is_alive(*key):
            self._seen.put(key, True)
            return False
        return self._seen.find(key) is not None


def is_alive(pid: int, started_ns: int) -> bool:
    """Whether the pid is still that of the process that started then, and any of it runs."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything, parentheses and spaces too: fields count from the last one.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    is_same = len(fields) > 19 and int(fields[19]) == started_ns // _TICK_NS
    is_dead = fields[:1] in ([b"Z"], [b"X"]) and int(fields[17]) <= 1  # a leader may end before its threads
    return is_same and not is_dead
