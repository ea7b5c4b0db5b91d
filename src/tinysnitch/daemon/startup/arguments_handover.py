"""Hands the arguments of servers that wrote a title over them (nginx, sshd) from one daemon to the next.

The BPF programs noted these arguments at the exec, and /proc no longer has them. The note is lost when a daemon that is
stopped removes its BPF programs, or when an upgrade brings different ones. Without the handover a rule with arguments
would stop matching a server that goes on running, such as the sshd through which the administrator is logged in.
"""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec.structs import replace

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.raw_text import bytes_of, text_of
from tinysnitch.kernel.attribution.process_builder import ImageTable
from tinysnitch.kernel.bpf.structs import IMAGE_ARGS_CUT, IMAGE_ARGS_UNREADABLE, IMAGE_DIRECTORY_CUT
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.procfs import LiveProcess
from tinysnitch.kernel.system.clock import read_boot_id
from tinysnitch.store.kept_arguments import KeptArguments, KeptProcess

MAX_PROCESSES = 4096
_INCOMPLETE = IMAGE_ARGS_CUT | IMAGE_ARGS_UNREADABLE

_log = logging.getLogger(__name__)


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
