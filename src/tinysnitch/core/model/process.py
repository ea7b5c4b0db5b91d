"""A process as it was captured at exec, and an attribution: the claim that a flow belongs to it.

Texts may hold any character; bytes that are not UTF-8 are surrogate escapes (PEP 383). What is kept for users is shared
among them by uid (`share_of`), as on the kernel's side (bpf/include/quota.bpf.h).
"""

from enum import Enum

import msgspec

CONTAINERS_FROM = 1 << 16  # uids from here on are of containers: USERS_APART in bpf/include/tinysnitch.h
UNKNOWN_EXEC_ID, KERNEL_EXEC_ID = 0, 1  # EXEC_ID_UNKNOWN and EXEC_ID_KERNEL of bpf/include/tinysnitch.h
MEMORY_FILE = "/memfd:"  # how the path of a memfd_create(2) file begins; only root can make a file of that name
FLATPAK, CONTAINER = "flatpak:", "container:"  # how the owner words of these begin


class AttributionSource(Enum):
    BPF = "bpf"  # captured by the kernel at exec, joined by the socket cookie
    PROCFS = "procfs"  # read from /proc afterwards: weaker
    KERNEL = "kernel"  # the kernel itself sends or answers
    UNKNOWN = "unknown"


class ProcessKey(msgspec.Struct, frozen=True):
    """Identifies one process for ever, while a pid is used again some day."""

    pid: int
    started_ns: int  # boot-time clock


class Grains(msgspec.Struct, frozen=True):
    """Numbers of all execs that are alike in something: keyed hashes of the kernel's side (bpf/identity/grain.bpf.h).
    0: they are not known, or tell less than what the process is named by."""

    file: int = 0  # in file and path, user and cgroup
    args: int = 0  # in these, and in all arguments
    lineage: int = 0  # in these but the arguments, and in all ancestors with their arguments


NO_GRAINS = Grains()


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
    are_args_complete: bool = True  # False: cut at capture, perhaps within the last one; no rule with args allows it
    run_by: str | None = None  # the interpreter, when program is a script
    started_as: str | None = None  # root's link of another name to `program` that it was started by; only shown
    parents: tuple[str, ...] = ()  # programs of the ancestors, nearest first
    owners: tuple[str, ...] = ()  # from the cgroup: `unit:ssh.service`, `container:ID`, `flatpak:ID`, `snap:NAME`
    is_host_file: bool = True  # the file that runs is the one that the host has at `program`
    is_file_told: bool = True  # False: its file or its cgroup was not looked up in time; it may be next time
    sha256: str | None = None  # hex, of the executable, when a rule demands it
    is_sha256_told: bool = True  # False: the file is unreadable; of rules with sha256= only those that allow fail
    grains: Grains = NO_GRAINS
    warnings: tuple[str, ...] = ()  # for people: "deleted file", ...

    @property
    def key(self) -> ProcessKey:
        return ProcessKey(self.pid, self.started_ns)


class Attribution(msgspec.Struct, frozen=True):
    """To which process a flow belongs. `process` is None exactly for KERNEL and UNKNOWN."""

    source: AttributionSource
    process: Process | None = None
    is_listening: bool = True  # False: inbound, and no socket listens on the port


KERNEL = Attribution(AttributionSource.KERNEL)
UNKNOWN = Attribution(AttributionSource.UNKNOWN)
NOT_LISTENING = Attribution(AttributionSource.UNKNOWN, is_listening=False)  # inbound, to a port without a socket


def program_of(attribution: Attribution) -> str:
    """The word for rules and logs: a path, `kernel` or `unknown`."""
    return attribution.process.program if attribution.process else attribution.source.value


def exec_id_of(attribution: Attribution) -> int:
    """The exec id as the kernel's side has it, also for the kernel and for what is unknown."""
    if attribution.process:
        return attribution.process.exec_id
    return KERNEL_EXEC_ID if attribution.source is AttributionSource.KERNEL else UNKNOWN_EXEC_ID


def share_of(uid: int) -> int:
    """The share of a user. All uids of containers share one, since any user may have any number of them (subuid(5))."""
    return min(uid, CONTAINERS_FROM)


def user_of(attribution: Attribution) -> int:
    """The uid whose share of a table it takes. What is unknown shares with containers, not with services."""
    if attribution.process:
        return attribution.process.uid
    return 0 if attribution.source is AttributionSource.KERNEL else CONTAINERS_FROM


class Asker(msgspec.Struct, frozen=True):
    """Who asks a DNS question. That is all that names need, and costs no look at the disk."""

    exec_id: int
    uid: int  # whose share of the tables it takes
    is_note_lost: bool = False  # as in AttributedPacket


def asker_of(attribution: Attribution, *, is_note_lost: bool = False) -> Asker:
    return Asker(exec_id_of(attribution), user_of(attribution), is_note_lost)


OtherFile = tuple[int, int, tuple[str, ...]]  # device, inode, owners


def other_file_of(attribution: Attribution) -> OtherFile | None:
    """What tells a program from others of the same path; None if the path suffices, since the host's file runs."""
    process = attribution.process
    return (process.device, process.inode, process.owners) if process and not process.is_host_file else None


def uid_of(attribution: Attribution) -> int | None:
    """The uid of the process; None where there is none."""
    return attribution.process.uid if attribution.process else None


class ProgramFile(msgspec.Struct, frozen=True):
    """What people are told of a program's file. No rule tests the package: whoever may write the file may fake it."""

    package: str | None = None  # that owns the file; "": none does; None: not known
    sha256: str | None = None  # hex, of the executable: what `sha256=` in a rule demands


class AttributedPacket(msgspec.Struct, frozen=True):
    """What attribution tells of a packet."""

    attribution: Attribution
    cookie: int  # of the socket, 0 when none is known
    is_note_lost: bool = False  # it was noted whose packet this is, but the note made room for newer ones
