"""What one daemon hands to the next: names, arguments of servers, and the number of the next prompt.

What a program resolved before a restart keeps its name. Every daemon assigns new exec ids, so the programs that asked
for a name are handed on as processes: all that run the image now, up to MAX_ASKERS, since a program may fork any number
of times. If there are more, the next daemon takes any process for one that may have asked.

Some servers write a title over their arguments (nginx, sshd). The BPF programs noted these arguments at the exec, and
/proc no longer has them. The note is lost when a daemon that is stopped removes its BPF programs, or when an upgrade
brings different ones. Without the handover a rule with arguments would stop matching a server that goes on running,
such as the sshd through which the administrator is logged in.

The number of a daemon's first prompt must be new: a late answer could otherwise hit another prompt.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from itertools import islice

from msgspec.structs import replace

from tinysnitch.core.dns.belief import KnownName
from tinysnitch.core.dns.names import Names
from tinysnitch.core.model.errors import Malformed, SnitchError
from tinysnitch.core.model.undecoded import bytes_of, text_of
from tinysnitch.kernel.attribution.process_builder import ImageTable
from tinysnitch.kernel.attribution.socket_holders import ProcessTable
from tinysnitch.kernel.bpf.layout import IMAGE_ARGS_CUT, IMAGE_ARGS_UNREADABLE, IMAGE_DIRECTORY_CUT
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.procfs import LiveProcess
from tinysnitch.kernel.system.clock import read_boot_id, read_instant
from tinysnitch.protocol.log_lines import AskLine, parse_log_line
from tinysnitch.store.handover_files import Asker, KeptArguments, KeptName, KeptNames, KeptProcess
from tinysnitch.store.history import BATCH, History

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


MAX_PROCESSES = 4096
_INCOMPLETE = IMAGE_ARGS_CUT | IMAGE_ARGS_UNREADABLE


class EarlierArguments:
    """The arguments that the previous daemon left."""

    def __init__(self, kept: Iterable[KeptProcess]) -> None:
        self._kept = {(each.pid, each.started_ns): each for each in kept}

    @classmethod
    def of(cls, file: KeptArguments) -> "EarlierArguments":
        return cls(file.read(read_boot_id()))

    def complete(self, process: LiveProcess) -> LiveProcess:
        """The process with the arguments it was started with, where a title hides them and they were handed over."""
        found = None if process.is_argv_complete else self._kept.get((process.pid, process.started_ns))
        if found is None or (found.stack, found.inode) != (procfs.read_stack(process.pid), process.inode):
            return process
        argv, directory = tuple(map(text_of, found.argv)), text_of(found.directory) or process.directory
        return replace(process, argv=argv, directory=directory, is_argv_complete=True)


def keep_arguments(table: ImageTable, file: KeptArguments) -> None:
    """Write the file for the next daemon. A failure is logged and does not hold up the end."""
    try:
        file.replace(read_boot_id(), list(islice(_find_titled(table), MAX_PROCESSES)))
    except (SnitchError, OSError) as error:
        hidden = "programs that wrote a title over their arguments"
        _log.warning("after a restart rules with arguments may not match %s: %s", hidden, error)


def _find_titled(table: ImageTable) -> Iterator[KeptProcess]:
    for pid in procfs.list_processes():
        entry = table.find_process(pid)
        if entry is None or procfs.read_argv(pid)[1]:
            continue
        image, stack = table.find_image(entry.exec_id), procfs.read_stack(pid)
        if image is None or image.flags & _INCOMPLETE or not stack:
            continue
        argv = tuple(map(bytes_of, image.args))
        directory = b"" if image.flags & IMAGE_DIRECTORY_CUT else bytes_of(image.directory)
        yield KeptProcess(pid, procfs.to_tick(entry.started_ns), stack, image.inode, argv, directory)


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
