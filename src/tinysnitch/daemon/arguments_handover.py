"""What servers were started with goes from one daemon to the next, where they wrote a title over it (nginx, sshd).

The kernel's side noted it when they were executed. It goes with the daemon that is stopped, and with an upgrade that
brings other programs for the kernel; from /proc it cannot be had any more. Without it a rule with arguments would not
hold for a server that runs on, be it the one by which whoever did the upgrade got there.
"""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec.structs import replace

from tinysnitch.core.errors import SnitchError
from tinysnitch.core.raw_text import bytes_of, text_of
from tinysnitch.kernel import procfs
from tinysnitch.kernel.bpf_structs import IMAGE_ARGS_CUT, IMAGE_ARGS_UNREADABLE, IMAGE_DIRECTORY_CUT
from tinysnitch.kernel.clock import read_boot_id
from tinysnitch.kernel.process_builder import ImageTable
from tinysnitch.kernel.procfs import LiveProcess
from tinysnitch.store.kept_arguments import KeptArguments, KeptProcess

MAX_PROCESSES = 4096
_INCOMPLETE = IMAGE_ARGS_CUT | IMAGE_ARGS_UNREADABLE

_log = logging.getLogger(__name__)


class EarlierArguments:
    """What the daemon before left."""

    def __init__(self, kept: Iterable[KeptProcess]) -> None:
        self._kept = {(each.pid, each.started_ns): each for each in kept}

    @classmethod
    def of(cls, file: KeptArguments) -> "EarlierArguments":
        return cls(file.read(read_boot_id()))

    def complete(self, process: LiveProcess) -> LiveProcess:
        """The process with what it was started with, if that is hidden and known."""
        found = None if process.is_argv_complete else self._kept.get((process.pid, process.started_ns))
        if found is None or (found.stack, found.inode) != (procfs.read_stack(process.pid), process.inode):
            return process
        argv, directory = tuple(map(text_of, found.argv)), text_of(found.directory) or process.directory
        return replace(process, argv=argv, directory=directory, is_argv_complete=True)


def keep_arguments(table: ImageTable, file: KeptArguments) -> None:
    """For the next daemon; what fails is told, and keeps nobody."""
    try:
        file.replace(read_boot_id(), list(islice(_find_titled(table), MAX_PROCESSES)))
    except (SnitchError, OSError) as error:
        _log.warning("after a restart rules with arguments may not hold for programs with a title: %s", error)


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
