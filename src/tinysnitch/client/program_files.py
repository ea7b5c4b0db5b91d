"""What people are told of programs' files: looked up beside the prompt, so that neither question nor verdict waits.

1. `find` returns at once; what is not known yet is looked up by one thread, and `tell` says that it is there.
2. A file counts only while it is the one that was executed: a file of its inode, and regular.
3. It is looked at for each start of a program, and read again if it has changed by then: a prompt runs for months,
   and an upgrade may write into the same file, or be given the inode of the one before.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from queue import SimpleQueue

from tinysnitch.client.package_database import FindOwner, open_package_database
from tinysnitch.core.process import Process
from tinysnitch.core.program_file import ProgramFile
from tinysnitch.core.table import BoundedTable

CAPACITY = 256  # starts of programs that are remembered, and files
MAX_WAITING = 64  # starts whose files wait to be looked up; of those beyond nothing is told
MAX_SIZE = 1 << 30  # bytes; what is larger is not hashed
UNKNOWN_FILE = ProgramFile()

_Key = tuple[str, str, int, int, int]
_Stamp = tuple[int, int, int, int]  # another state of a file has another: stat(2)


class ProgramFiles:
    """`tell` is called in another thread."""

    def __init__(self, tell: Callable[[], None], find_owner: FindOwner | None = None) -> None:
        self._tell = tell
        self._find_owner = find_owner or open_package_database()
        self._known: BoundedTable[_Key, ProgramFile] = BoundedTable(CAPACITY)
        self._read: BoundedTable[tuple[str, str, _Stamp], ProgramFile] = BoundedTable(CAPACITY)  # for the thread alone
        self._waiting: set[_Key] = set()
        self._asked: SimpleQueue[_Key] = SimpleQueue()
        self._found: SimpleQueue[tuple[_Key, ProgramFile]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def find(self, process: Process) -> ProgramFile | None:
        """None while it is being looked up."""
        if not process.is_host_file:
            return UNKNOWN_FILE
        self._collect()
        key = (process.program, process.executable, process.device, process.inode, process.exec_id)
        known = self._known.find(key)
        if known or key in self._waiting:
            return known
        if len(self._waiting) >= MAX_WAITING:
            return UNKNOWN_FILE
        self._ask(key)
        return None

    def _collect(self) -> None:
        while not self._found.empty():
            key, file = self._found.get()
            self._waiting.discard(key)
            self._known.put(key, file)

    def _ask(self, key: _Key) -> None:
        self._waiting.add(key)
        self._asked.put(key)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)  # nobody waits for it at the end
            self._thread.start()

    def _work(self) -> None:
        while True:
            key = self._asked.get()
            program, executable, _device, inode, _exec_id = key
            self._found.put((key, self._look_up(program, executable, inode)))
            self._tell()

    def _look_up(self, program: str, executable: str, inode: int) -> ProgramFile:
        state = program, executable, _read_stamp(executable)  # first: a change meanwhile gives another stamp
        known = self._read.find(state)
        if known is None:
            known = ProgramFile(self._read_owner(program), read_sha256(executable, inode))
            self._read.put(state, known)
        return known

    def _read_owner(self, path: str) -> str | None:
        try:
            return self._find_owner(os.fsencode(path)) if self._find_owner else None
        except OSError:
            return None


def _read_stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return 0, 0, 0, 0
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns


def read_sha256(path: str, inode: int) -> str | None:
    """Hex digest of the file of this inode at the path; None when it is a different file, or can't be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_ino != inode or status.st_size > MAX_SIZE:
            return None
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
