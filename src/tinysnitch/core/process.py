"""Who: a process as it was captured at exec, and the claim that a flow belongs to it.

Texts may hold any character; bytes that are not UTF-8 are surrogate escapes (PEP 383).
"""

from enum import Enum

import msgspec

from tinysnitch.core.user_share import CONTAINERS_FROM

UNKNOWN_EXEC_ID, KERNEL_EXEC_ID = 0, 1  # EXEC_ID_UNKNOWN and EXEC_ID_KERNEL of bpf/tinysnitch.h
MEMORY_FILE = "/memfd:"  # how the path of an executable in memory begins: memfd_create(2). Else only root can make one
FLATPAK, CONTAINER = "flatpak:", "container:"  # how such an owner begins


class AttributionSource(Enum):
    BPF = "bpf"  # captured by the kernel at exec, joined by the socket cookie
    PROCFS = "procfs"  # read from /proc afterwards: weaker
    KERNEL = "kernel"  # the kernel itself sends or answers
    UNKNOWN = "unknown"


class ProcessKey(msgspec.Struct, frozen=True):
    """One process, for ever: a pid alone belongs to another some day."""

    pid: int
    started_ns: int  # boot-time clock


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process and the image it runs. Equal exec ids mean equal everything but pid and start."""

    exec_id: int  # never reused until reboot; forks share their parent's
    pid: int
    started_ns: int  # boot-time clock
    uid: int
    executable: str  # path of the file that was executed, in its mount namespace
    device: int  # of the executable, as os.makedev gives it
    inode: int
    program: str  # what a rule's column names: the executable, or the script it runs
    args: tuple[str, ...]  # after the program's own name: `curl -s x` has ("-s", "x")
    are_args_complete: bool = True  # False: cut at capture, the last one anywhere; no rule with args allows it
    run_by: str | None = None  # the interpreter, when program is a script
    started_as: str | None = None  # a link of root's to `program`, of another name, by which it was started. Shown only
    parents: tuple[str, ...] = ()  # programs of the ancestors, nearest first
    owners: tuple[str, ...] = ()  # from the cgroup: `unit:ssh.service`, `container:ID`, `flatpak:ID`, `snap:NAME`
    is_host_file: bool = True  # the host's file at `program` is the one that runs
    is_file_told: bool = True  # False: what is at the path could not be looked up in time; it may be the next time
    sha256: str | None = None  # hex, of the executable, when a rule demands it
    is_sha256_told: bool = True  # False: its file cannot be read; no rule with sha256= allows it, all others take it
    warnings: tuple[str, ...] = ()  # for people: "deleted file", ...

    @property
    def key(self) -> ProcessKey:
        return ProcessKey(self.pid, self.started_ns)


class Attribution(msgspec.Struct, frozen=True):
    """Whose flow it is. `process` is None exactly for KERNEL and UNKNOWN."""

    source: AttributionSource
    process: Process | None = None
    is_listening: bool = True  # inbound only: False when no socket takes this port


KERNEL = Attribution(AttributionSource.KERNEL)
UNKNOWN = Attribution(AttributionSource.UNKNOWN)
NOT_LISTENING = Attribution(AttributionSource.UNKNOWN, is_listening=False)  # nobody takes what comes in


def program_of(attribution: Attribution) -> str:
    """The word for rules and logs: a path, `kernel` or `unknown`."""
    return attribution.process.program if attribution.process else attribution.source.value


def exec_id_of(attribution: Attribution) -> int:
    """As the kernel's side has it."""
    if attribution.process:
        return attribution.process.exec_id
    return KERNEL_EXEC_ID if attribution.source is AttributionSource.KERNEL else UNKNOWN_EXEC_ID


def user_of(attribution: Attribution) -> int:
    """Whose share of a room it takes: what is nobody's takes none from services."""
    if attribution.process:
        return attribution.process.uid
    return 0 if attribution.source is AttributionSource.KERNEL else CONTAINERS_FROM


OtherFile = tuple[int, int, tuple[str, ...]]  # device, inode, owners


def other_file_of(attribution: Attribution) -> OtherFile | None:
    """What tells a program from others of its path; None where the path alone does: the host's file there runs."""
    process = attribution.process
    return (process.device, process.inode, process.owners) if process and not process.is_host_file else None


def uid_of(attribution: Attribution) -> int | None:
    """Whose process it is; None where there is none."""
    return attribution.process.uid if attribution.process else None
