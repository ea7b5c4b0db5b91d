"""The package and sha256 of a program's file, looked up in a thread so that neither the question nor its answer waits.

1. `find` returns at once. What is not known yet is looked up by one thread, which then calls `tell`.
2. A file is hashed only if it is the one that was executed: a regular file with the same inode.
3. Each start of a program looks at its file, and reads it again if it has changed since: a prompt runs for months,
   and an upgrade may write into the same file, or its new file may get the inode of the old one.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from queue import SimpleQueue

from tinysnitch.client.package_database import FindOwner, open_package_database
from tinysnitch.core.model.process import Process, ProgramFile
from tinysnitch.core.model.tables import BoundedTable

CAPACITY = 256  # of each table: starts of programs, and files
MAX_WAITING = 64  # starts whose file waits to be looked up; for any more, UNKNOWN_FILE is shown
MAX_SIZE = 1 << 30  # bytes; larger files are not hashed
UNKNOWN_FILE = ProgramFile()

_Key = tuple[str, str, int, int, int]
_Stamp = tuple[int, int, int, int]  # device, inode, size and change time: differs once the file has changed (stat(2))


class ProgramFiles:
    """All calls must come from one thread. `tell` is called in another one."""

    def __init__(self, tell: Callable[[], None], find_owner: FindOwner | None = None) -> None:
        self._tell = tell
        self._find_owner = find_owner or open_package_database()
        self._known: BoundedTable[_Key, ProgramFile] = BoundedTable(CAPACITY)
        # Only the look-up thread uses this table.
        self._read: BoundedTable[tuple[str, str, _Stamp], ProgramFile] = BoundedTable(CAPACITY)
        self._waiting: set[_Key] = set()
        self._asked: SimpleQueue[_Key] = SimpleQueue()
        self._found: SimpleQueue[tuple[_Key, ProgramFile]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def find(self, process: Process) -> ProgramFile | None:
        """What is known of the process's file; None while it is being looked up."""
        if not process.is_host_file:
            return UNKNOWN_FILE
        self._collect()
        key = (process.program, process.executable, process.device, process.inode, process.exec_id)
        known = self._known.find(key)
        if known or key in self._waiting:
            return known
        if len(self._waiting) >= MAX_WAITING or not self._start_thread():
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

    def _start_thread(self) -> bool:
        """Whether the thread runs; False where the system has none left, which is tried again for the next file."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, daemon=True)  # the prompt's end does not wait for it
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _work(self) -> None:
        while True:
            key = self._asked.get()
            program, executable, _device, inode, _exec_id = key
            self._found.put((key, self._look_up(program, executable, inode)))
            self._tell()

    def _look_up(self, program: str, executable: str, inode: int) -> ProgramFile:
        # The stamp is read before the file: if the file changes meanwhile, the next look finds another stamp.
        state = program, executable, _read_stamp(executable)
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
    """Hex digest of the file at the path; None if it has another inode, is not regular, too large, or unreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_ino != inode or status.st_size > MAX_SIZE:
            return None
        with open(descriptor, "rb", closefd=False) as file:  # it raises for a folder
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    finally:
        os.close(descriptor)
