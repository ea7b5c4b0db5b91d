"""Hands the known names from one daemon to the next: what a program resolved before a restart keeps its name.

Every daemon assigns new exec ids, so the programs that asked for a name are handed on as processes: all that run the
image now, up to MAX_ASKERS, since a program may fork any number of times. If there are more, the next daemon takes any
process for one that may have asked.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice

from msgspec.structs import replace

from tinysnitch.core.dns.known_name import KnownName
from tinysnitch.core.dns.names import Names
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.attribution.socket_users import ProcessTable
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.system.clock import read_boot_id, read_instant
from tinysnitch.store.kept_names import Asker, KeptName, KeptNames

MAX_ASKERS = 64  # processes handed on with one name

_log = logging.getLogger(__name__)
_Processes = Mapping[int, list[tuple[int, int]]]  # exec id → pid and start of those that run it


@contextmanager
def names_handed_over(names: Names, file: KeptNames, table: ProcessTable | None) -> Iterator[None]:
    """Take the names that the previous daemon left, and leave ours at the end. A failure there is only logged.

    Without a table (no BPF) it is not known who asked: a name holds for all processes, as long as its TTL says.
    """
    boot_id = read_boot_id()
    find_exec_id = cache(partial(_find_exec_id, table))  # one program may have asked for thousands of names
    names.restore(_as_known(kept, find_exec_id) for kept in file.take(boot_id))
    try:
        yield
    finally:
        try:
            processes = _list_processes(table) if table else {}
            file.replace(boot_id, [_as_kept(known, processes) for known in names.known(read_instant().boot_s)])
        except (SnitchError, OSError) as error:
            _log.warning("after a restart names are learned anew: %s", error)


def _list_processes(table: ProcessTable) -> _Processes:
    found: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for pid in procfs.list_processes():
        entry = table.find_process(pid)
        if entry is not None and len(found[entry.exec_id]) <= MAX_ASKERS:  # one more: there are too many
            found[entry.exec_id].append((pid, entry.started_ns))
    return found


def _find_exec_id(table: ProcessTable | None, pid: int, started_ns: int) -> int | None:
    """The exec id of a process that was handed on; None when it has ended."""
    entry = table.find_process(pid) if table else None
    return entry.exec_id if entry and procfs.is_same_start(entry.started_ns, started_ns) else None


def _as_known(kept: KeptName, find_exec_id: Callable[[int, int], int | None]) -> KnownName:
    found = ((find_exec_id(asker.pid, asker.started_ns), asker.number) for asker in kept.askers)
    return replace(kept.known, askers=tuple((who, number) for who, number in found if who is not None))


def _as_kept(known: KnownName, processes: _Processes) -> KeptName:
    """The name with its processes, those that asked last if there are too many."""
    newest = (
        Asker(*process, number)
        for who, number in reversed(known.askers)
        for process in reversed(processes.get(who, ()))
    )
    found = tuple(islice(newest, MAX_ASKERS + 1))
    is_lost = known.is_askers_lost or len(found) > MAX_ASKERS
    return KeptName(replace(known, askers=(), is_askers_lost=is_lost), found[:MAX_ASKERS][::-1])
