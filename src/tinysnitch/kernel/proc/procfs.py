"""Processes as /proc shows them (proc(5)). They may end at any moment: for one that is gone, functions return None or
nothing. All raise OSError when there are too few descriptors or too little memory to tell."""

import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Literal, TypeVar

import msgspec

from tinysnitch.core.model.errors import unless_short
from tinysnitch.core.model.undecoded import text_of
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.kernel.system.proc_place import PROC

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
INIT = 1  # pid; keeps sockets for the services that it starts
_MAX_BYTES = 128 * 1024  # of the arguments or the environment of one process, which may take megabytes
_MAX_WORDS = 4096  # of the arguments; BPF cuts long ones, too
_DELETED = " (deleted)"
_SOCKET = "socket:["
_MAX_THREADS = 256  # that are looked at
# Of the processor's time for each link, where only so many are looked at. It takes 12 us. Of a file below mounts by the
# thousand, which any user can make in a namespace of their own, it takes a hundred times as long: d_path() climbs them.
_LINK_S, _LINKS_AT_ONCE = 50e-6, 32
_PF_EXITING = 0x4  # include/linux/sched.h; a thread that has ended keeps it
# Indexes of the fields of /proc/PID/stat behind the name: the first is the third field of proc_pid_stat(5).
_PARENT, _FLAGS, _THREADS, _START_TIME, _START_STACK = 1, 6, 17, 19, 25


T = TypeVar("T")


class ProcessStat(msgspec.Struct, frozen=True):
    parent_pid: int
    started_ns: int  # boot-time clock, in steps of a clock tick (10 ms)


class LiveProcess(msgspec.Struct, frozen=True, kw_only=True):
    """What /proc says now. A process can change its argv, its directory and (with some rights) its executable."""

    pid: int
    parent_pid: int
    started_ns: int  # as in ProcessStat
    uid: int  # real
    executable: str
    device: int  # st_dev of the executable, 0 when it can't be told
    inode: int
    is_deleted: bool
    argv: tuple[str, ...]
    is_argv_complete: bool
    directory: str
    cgroup: str  # path in the cgroup v2 tree, "" when not known


def list_processes() -> list[int]:
    """All pids, the lowest first."""
    return sorted(int(name) for name in os.listdir(PROC) if name.isdecimal())


def read_stat(pid: int) -> ProcessStat | None:
    """Parent and start time: cheap, and enough to tell that a pid is still the same process."""
    fields = _read_stat_fields(pid)
    return ProcessStat(int(fields[_PARENT]), int(fields[_START_TIME]) * TICK_NS) if fields else None


def has_ended(pid: int) -> bool:
    """Whether nothing of its program runs any more: it is gone, or its last thread is ending."""
    fields = _read_stat_fields(pid)
    return not fields or (int(fields[_FLAGS]) & _PF_EXITING != 0 and int(fields[_THREADS]) <= 1)


def is_ending(pid: int) -> bool:
    """Whether it is still there, but its first thread has ended or is ending."""
    fields = _read_stat_fields(pid)
    return bool(fields) and int(fields[_FLAGS]) & _PF_EXITING != 0


def _read_stat_fields(pid: int) -> list[bytes]:
    """What follows the name, which may hold anything, parentheses and blanks too; empty when the process is gone."""
    return _read(pid, "stat").rpartition(b")")[2].split()


def to_tick(exact_ns: int) -> int:
    """The start time that /proc prints, for the exact one that the kernel has."""
    return exact_ns // TICK_NS * TICK_NS


def is_same_start(exact_ns: int, ticked_ns: int) -> bool:
    """Whether the exact start time that the kernel has is the one that /proc prints."""
    return exact_ns // TICK_NS == ticked_ns // TICK_NS


def is_no_younger(parent_ns: int, child_ns: int) -> bool:
    """Whether the first started before the second or with it; either may be exact or in ticks."""
    return parent_ns // TICK_NS <= child_ns // TICK_NS


def read_process(pid: int) -> LiveProcess | None:
    """All of a process; None when it is gone, a kernel thread, or ended meanwhile."""
    try:
        before = read_stat(pid)
        process = _read_fields(pid, before) if before else None
    except (OSError, ValueError, IndexError) as error:
        return unless_short(error, None)
    return process if read_stat(pid) == before else None


def _read_fields(pid: int, stat: ProcessStat) -> LiveProcess:
    device, inode, is_deleted = _read_file(pid)
    argv, is_complete = read_argv(pid)
    executable = read_link(pid, "exe")
    uid = read_uid(pid)
    if uid is None:
        raise ValueError(f"process {pid} is gone")
    return LiveProcess(
        pid=pid,
        parent_pid=stat.parent_pid,
        started_ns=stat.started_ns,
        uid=uid,
        executable=executable.removesuffix(_DELETED) if is_deleted else executable,
        device=device,
        inode=inode,
        is_deleted=is_deleted,
        argv=argv,
        is_argv_complete=is_complete,
        directory=read_link(pid, "cwd"),
        cgroup=read_cgroup(pid),
    )


def _read_file(pid: int) -> tuple[int, int, bool]:
    """Device and inode of the executable, and whether it was deleted. Where even root may not look (a user's own FUSE,
    as an AppImage mounts it), or the file system does not answer (a user's own mount below an overlay of theirs), the
    device is 0, and the rest is what proc_pid_fdinfo(5) and the link say."""
    try:
        file = bounded.read(pid, lambda: os.stat(f"{PROC}/{pid}/exe"))
    except PermissionError:
        file = None
    if file is None:
        return 0, _read_inode(f"{PROC}/{pid}/exe"), read_link(pid, "exe").endswith(_DELETED)
    return file.st_dev, file.st_ino, file.st_nlink == 0


def _read_inode(path: str) -> int:
    descriptor = os.open(path, os.O_PATH)
    try:
        with open(f"{PROC}/self/fdinfo/{descriptor}", "rb") as file:
            return int(next((line.split()[1] for line in file if line.startswith(b"ino:")), b"0"))
    finally:
        os.close(descriptor)


def read_argv(pid: int) -> tuple[tuple[str, ...], bool]:
    """The arguments as they are in memory now, and whether these are all. Empty if a title was written over them."""
    raw = _read_memory(pid, "cmdline")
    if not raw:  # not to be had; or in the middle of an exec, when argv is not there yet (create_elf_tables())
        return (), False
    text, is_complete = raw.removesuffix(b"\0"), len(raw) < _MAX_BYTES
    if is_complete and _read_argc(pid) not in (None, text.count(b"\0") + 1):
        return (), False
    words = text.split(b"\0", _MAX_WORDS)
    return tuple(map(text_of, words[:_MAX_WORDS])), is_complete and len(words) <= _MAX_WORDS


def _read_argc(pid: int) -> int | None:
    """How many arguments it was started with; None when that cannot be had. A program that shows a title writes it over
    the text of the arguments. Their number is elsewhere (create_elf_tables()): at `startstack` of proc_pid_stat(5)."""
    start = read_stack(pid)
    raw = bounded.read(pid, lambda: _read_at(pid, start)) if start else None
    return parse_argc(raw, sys.byteorder) if raw else None


def parse_argc(start: bytes, order: Literal["little", "big"]) -> int | None:
    """`start`: the first 8 bytes of a stack. A program of 64 bits has a number of 8 bytes there: where the upper half
    comes first, that is 0."""
    return int.from_bytes(start[:4], order) or int.from_bytes(start[4:], order) or None


def read_stack(pid: int) -> int:
    """The address at which its stack began at the exec; 0 when that cannot be had."""
    fields = _read_stat_fields(pid)
    return int(fields[_START_STACK]) if fields else 0


def read_environment(pid: int) -> bytes | None:
    """The block that holds the environment since the exec: `NAME=value`, each with a NUL behind it. None when it cannot
    be had. Not split: there may be a hundred thousand of them."""
    return _read_memory(pid, "environ")


def read_cgroup(pid: int) -> str:
    """The path in the cgroup v2 tree (cgroups(7)), "" when not known."""
    for line in _read_lines(pid, "cgroup"):
        if line.startswith(b"0::"):
            return text_of(line[3:])
    return ""


def read_link(pid: int, name: str) -> str:
    """The target of a link in /proc/PID; "" when it can't be read."""
    try:
        return text_of(os.readlink(f"{PROC}/{pid}/{name}".encode()))
    except OSError as error:
        return unless_short(error, "")


def list_sockets(pid: int, limit: int | None = None) -> Iterator[tuple[int, int]]:
    """(descriptor, inode) of each socket that the process holds, among its `limit` lowest descriptors."""
    links = list(_first(limit, _read_links(pid, "fd"))) or _first(limit, _list_links(pid))
    for place, target in links:
        if target.startswith(_SOCKET):
            yield int(place.rpartition("/")[2]), int(target[len(_SOCKET) : -1])


def find_socket(pid: int, inode: int, limit: int | None = None) -> str | None:
    """Where below /proc/PID a socket is held, by any thread. No more than `limit` descriptors are looked at."""
    wanted = f"{_SOCKET}{inode}]"
    return next((place for place, target in _first(limit, _list_links(pid)) if target == wanted), None)


def _first(limit: int | None, links: Iterator[T]) -> Iterator[T]:
    """The first `limit`, or fewer if these take long; None: all."""
    end_s = time.thread_time() + limit * _LINK_S if limit else 0.0
    for number, link in enumerate(islice(links, limit), 1):
        yield link
        if limit and number % _LINKS_AT_ONCE == 0 and time.thread_time() > end_s:
            return


def is_socket(pid: int, place: str, inode: int) -> bool:
    """Whether the process has this very socket open there."""
    return read_link(pid, place) == f"{_SOCKET}{inode}]"


def _list_links(pid: int) -> Iterator[tuple[str, str]]:
    """Of all threads: each may have its own descriptors (unshare(2), CLONE_FILES), a first one that ended has none."""
    yield from _read_links(pid, "fd")
    for thread in islice(_list(pid, "task"), _MAX_THREADS):
        if thread != str(pid):
            yield from _read_links(pid, f"task/{thread}/fd")


def _read_links(pid: int, folder: str) -> Iterator[tuple[str, str]]:
    return ((f"{folder}/{name}", read_link(pid, f"{folder}/{name}")) for name in _list(pid, folder))


def _list(pid: int, folder: str) -> Iterator[str]:
    """Names, the lowest first."""
    try:
        with os.scandir(f"{PROC}/{pid}/{folder}") as entries:
            yield from (entry.name for entry in entries)
    except OSError as error:
        unless_short(error, None)


def read_uid(pid: int) -> int | None:
    """The real user now; None when the process is gone."""
    for line in _read_lines(pid, "status"):
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return None


def _read_lines(pid: int, name: str) -> list[bytes]:
    """Split at newlines alone: names of processes and cgroups may contain anything else."""
    return _read(pid, name).split(b"\n")


def _read(pid: int, name: str, limit: int = 65536) -> bytes:
    """A small file of /proc/PID; empty when the process is gone."""
    try:
        with open(f"{PROC}/{pid}/{name}", "rb", buffering=0) as file:
            return file.read(limit)
    except OSError as error:
        return unless_short(error, b"")


def _read_memory(pid: int, name: str) -> bytes | None:
    """A file whose content is in the process's own memory; None when the process lets nobody read that."""
    return bounded.read(pid, lambda: _read(pid, name, _MAX_BYTES))


def _read_at(pid: int, address: int) -> bytes:
    """Eight bytes of the process's memory; empty when they cannot be had."""
    try:
        with open(f"{PROC}/{pid}/mem", "rb", buffering=0) as file:
            return os.pread(file.fileno(), 8, address)
    except OSError as error:
        return unless_short(error, b"")


bounded = Offload(read_uid)  # for what other users can block
