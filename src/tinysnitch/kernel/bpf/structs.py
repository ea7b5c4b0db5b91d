"""The mirror of tinysnitch.h: layouts and values. A test compares the layouts with the BTF of the objects."""

from enum import Enum
from struct import Struct

import msgspec

from tinysnitch.core.model.raw_text import bytes_of, text_of

EXEC_ID_UNKNOWN = 0
EXEC_ID_KERNEL = 1
EXEC_ID_SEEDED = 1 << 63  # the exec ids that user space gives begin here

OUTBOUND = 0
INBOUND = 1
ANY_REMOTE = 2
VERDICT_ALLOW = 1
VERDICT_DENY = 2
VERDICT_ALLOW_NOTED = 3
VERDICT_ALLOW_GUARDED = 4
WATCH_OVER = 3
WATCH_CUT = 4

IMAGE_ARGS_CUT = 1
IMAGE_PATH_CUT = 2
IMAGE_DELETED = 4
IMAGE_SEEDED = 8
IMAGE_DIRECTORY_CUT = 16
IMAGE_ARGS_UNREADABLE = 32
IMAGE_USER_NAMESPACE = 64

CLAIM_PORT = 1
CLAIM_END = 2
CLAIM_OWNER = 3
CLAIM_READER = 4

ANSWER_NS = 30_000_000_000  # how long the first answer may take
LULL_NS = 120_000_000_000  # how long an answered conversation may be silent
CROWD_MOMENT_NS = 67_108_864  # in which the packets of a crowd are counted

EXECUTABLE_SIZE = 1024
DIRECTORY_SIZE = 512
ARGS_SIZE = 2304
STARTED_AS_SIZE = 256
IMAGES_OF_ONE = 4096
PROCESSES_OF_ONE = 16384
USERS_APART = 65536

STATISTICS = (
    "hits_allowed",
    "hits_denied",
    "hits_denied_early",
    "misses",
    "lost_images",
    "lost_processes",
    "lost_sockets",
    "lost_listeners",
    "lost_flows",
    "lost_conversations",
    "lost_watches",
    "lost_packet_users",
    "lost_traces",
    "lost_marks",
    "lost_answers",
    "lost_first_packets",
    "lost_astray",
    "lost_crowd",
    "lost_messages",
)


class TraceKind(Enum):
    EXEC = "exec"
    CONNECT = "connect"
    SEND = "send"
    BIND = "bind"


TRACE_KINDS = {1: TraceKind.EXEC, 2: TraceKind.CONNECT, 3: TraceKind.SEND, 4: TraceKind.BIND}


class Layout:
    """The fields of a struct of tinysnitch.h with their codes of the struct module; structs inside are spelled out."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields
        self.struct = Struct("=" + "".join(fields.values()))

    def inside(self, name: str) -> dict[str, str]:
        return {f"{name}.{field}": code for field, code in self.fields.items()}

    def offsets(self) -> dict[str, int]:
        codes = list(self.fields.values())
        return {name: Struct("=" + "".join(codes[:index])).size for index, name in enumerate(self.fields)}


OWNER = Layout({"exec_id": "Q", "started_ns": "Q", "pid": "I", "uid": "I"})
OWNED_SOCKET = Layout(
    OWNER.inside("owner")
    | {
        "sk": "Q",
        "let_go_port": "H",
        "syn": "B",
        "boundness": "B",
        "watch": "B",
        "is_given": "B",
        "is_tied": "B",
        "protocol": "B",
    }
    | {"let_go_to": "16s"}
)
OWN_KEY = Layout({"address": "16s"})
PROCESS = Layout({"exec_id": "Q", "started_ns": "Q", "user": "I", "pad": "I"})
SHARE = Layout({"images": "I", "processes": "I"})
LISTENER_KEY = Layout({"address": "16s", "port": "H", "protocol": "B", "pad": "B"})
LISTENER = Layout({"cookie": "Q"} | OWNER.inside("owner") | {"members": "I", "is_shared": "I"})
CLAIM = Layout({"cookie": "Q"} | OWNER.inside("owner") | LISTENER_KEY.inside("key") | {"kind": "I"})
FLOW_KEY = Layout(
    {
        "local": "16s",
        "remote": "16s",
        "local_port": "H",
        "remote_port": "H",
        "protocol": "B",
        "direction": "B",
        "pad": "H",
    }
)
FLOW = Layout(
    {"cookie": "Q", "expires_ns": "Q"}
    | OWNER.inside("owner")
    | {"generation": "I", "verdict": "I", "interface": "I", "pad": "I"}
)
CONVERSATION = Layout(
    {"cookie": "Q", "exec_id": "Q", "seen_ns": "Q", "judged_ns": "Q"}
    | {"generation": "I", "pid": "I", "uid": "I", "begun_by": "B", "is_answered": "B", "is_watched": "B", "is_own": "B"}
    | {"interface": "I", "is_local": "I"}
)
VERDICT_KEY = Layout(
    {"exec_id": "Q", "remote": "16s", "uid": "I", "port": "H", "protocol": "B", "direction": "B"},
)
VERDICT_VALUE = Layout({"expires_ns": "Q", "generation": "I", "verdict": "I"})
WATCH_KEY = Layout({"cookie": "Q", "remote": "16s", "local_port": "H", "remote_port": "H", "pad": "I"})
WATCH = Layout({"state": "I"})
SETTINGS = Layout(
    {
        "next_exec_id": "Q",
        "netns_cookie": "Q",
        "generation": "I",
        "is_scoped": "I",
        "is_tracing": "I",
        "is_watching": "I",
        "has_lost_listeners": "I",
        "denied_at": "I",
        "flow_generation": "I",
        "own_epoch": "I",
        "has_ties": "I",
        "is_reset_lost": "I",
        "crowd_limit": "I",
        "message_limit": "I",
    }
    | OWNER.inside("reader")
)
IMAGE = Layout(
    {
        "exec_id": "Q",
        "parent_exec_id": "Q",
        "inode": "Q",
        "cgroup_id": "Q",
        "started_ns": "Q",
        "executed_ns": "Q",
        "device": "I",
        "users": "I",
        "pid": "I",
        "parent_pid": "I",
        "uid": "I",
        "flags": "I",
        "executable_size": "H",
        "directory_size": "H",
        "args_size": "H",
        "started_as_size": "H",
        "executable": f"{EXECUTABLE_SIZE}s",
        "directory": f"{DIRECTORY_SIZE}s",
        "args": f"{ARGS_SIZE}s",
        "started_as": f"{STARTED_AS_SIZE}s",
    }
)
TRACE_EVENT = Layout(
    {"time_ns": "Q", "cookie": "Q"}
    | OWNER.inside("owner")
    | {"address": "16s", "port": "H", "protocol": "B", "kind": "B", "pad": "I"}
)


class Owner(msgspec.Struct, frozen=True):
    """Which process used a socket last. Exec id 0: BPF does not know what it runs."""

    exec_id: int
    started_ns: int
    pid: int
    uid: int


class ProcessEntry(msgspec.Struct, frozen=True):
    exec_id: int
    started_ns: int


class Listener(msgspec.Struct, frozen=True):
    cookie: int
    owner: Owner


class FlowEntry(msgspec.Struct, frozen=True):
    """Whom a queued packet belongs to, as the verdict program noted it."""

    cookie: int  # 0: no socket
    owner: Owner


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, as captured at exec. A path that was cut starts without a slash, so that it equals no real one."""

    exec_id: int
    parent_exec_id: int  # 0: not known
    inode: int
    cgroup_id: int
    started_ns: int
    executed_ns: int  # boot-time clock, 0: not known
    device: int  # the superblock's s_dev: major << 20 | minor
    pid: int
    parent_pid: int
    uid: int
    flags: int  # IMAGE_...
    executable: str
    directory: str
    args: tuple[str, ...]  # argv, its first word too
    started_as: str = ""  # the path that the kernel was given, over links; cut where it is long. "": not known
    users: int = 1  # processes that run it


class TraceEvent(msgspec.Struct, frozen=True):
    """One line of tinysnitch-trace. For an exec there is no address, and the image tells the rest."""

    time_ns: int
    cookie: int
    owner: Owner
    address: bytes
    port: int
    protocol: int
    kind: TraceKind


def decode_image(raw: bytes) -> Image:
    fields = dict(zip(IMAGE.fields, IMAGE.struct.unpack(raw), strict=True))
    flags = fields["flags"]
    executable = fields.pop("executable")[: fields.pop("executable_size")]
    directory = fields.pop("directory")[: fields.pop("directory_size")]
    args = fields.pop("args")[: fields.pop("args_size")]
    started_as = fields.pop("started_as")[: fields.pop("started_as_size")]
    return Image(
        **fields,
        executable=join_path(executable, is_cut=bool(flags & IMAGE_PATH_CUT)),
        directory=join_path(directory, is_cut=bool(flags & IMAGE_DIRECTORY_CUT)),
        args=split_args(args),
        started_as=text_of(started_as.removesuffix(b"\0")),
    )


def encode_image(image: Image) -> tuple[int | bytes, ...]:
    """The fields in the order of the layout; what does not fit is cut, as BPF would."""
    executable, is_path_cut = split_path(image.executable, EXECUTABLE_SIZE)
    directory, is_directory_cut = split_path(image.directory, DIRECTORY_SIZE)
    args = b"".join(bytes_of(arg) + b"\0" for arg in image.args)
    started_as = bytes_of(image.started_as)[: STARTED_AS_SIZE - 1] + b"\0"
    cuts = (
        (is_path_cut, IMAGE_PATH_CUT),
        (is_directory_cut, IMAGE_DIRECTORY_CUT),
        (len(args) > ARGS_SIZE, IMAGE_ARGS_CUT),
    )
    numbers = msgspec.structs.asdict(image)
    numbers["flags"] |= sum(flag for is_cut, flag in cuts if is_cut)
    sizes = {
        "executable_size": len(executable),
        "directory_size": len(directory),
        "args_size": min(len(args), ARGS_SIZE),
        "started_as_size": len(started_as),
    }
    texts = {
        "executable": executable,
        "directory": directory,
        "args": args[:ARGS_SIZE],
        "started_as": started_as,
    }
    return tuple((numbers | sizes | texts)[name] for name in IMAGE.fields)


def join_path(components: bytes, *, is_cut: bool) -> str:
    """The path of these components, which come from the last to the first, each NUL-terminated."""
    names = components.split(b"\0")[:-1]
    return ("" if is_cut else "/") + text_of(b"/".join(reversed(names)))


def split_path(path: str, room: int) -> tuple[bytes, bool]:
    """The inverse of `join_path`; True: the first components did not fit."""
    written = b""
    for name in reversed([name for name in bytes_of(path).split(b"/") if name]):
        if len(written) + len(name) + 1 > room:
            return written, True
        written += name + b"\0"
    return written, False


def split_args(args: bytes) -> tuple[str, ...]:
    return tuple(map(text_of, args.removesuffix(b"\0").split(b"\0"))) if args else ()


def decode_owner(raw: bytes) -> Owner:
    return Owner(*OWNER.struct.unpack(raw))


def decode_trace(raw: bytes) -> TraceEvent:
    time_ns, cookie, exec_id, started_ns, pid, uid, address, port, protocol, kind, _pad = TRACE_EVENT.struct.unpack(raw)
    owner = Owner(exec_id, started_ns, pid, uid)
    return TraceEvent(time_ns, cookie, owner, address, port, protocol, TRACE_KINDS[kind])
