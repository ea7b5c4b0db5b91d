"""The compiled objects: where they lie, and which programs each must hold."""

import hashlib
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.scope import Scope

FOLDER = Path(__file__).parent / "compiled"

TRACING_PROGRAMS = ("on_exec", "on_fork", "on_exit")
CGROUP_PROGRAMS = (
    "on_sock_create",
    "on_sock_release",
    "on_post_bind4",
    "on_post_bind6",
    "on_connect4",
    "on_connect6",
    "on_sendmsg4",
    "on_sendmsg6",
)
SCOPE_PROGRAMS = ("on_receive",)
ACCEPT_PROGRAMS = ("on_getpeername4", "on_getpeername6")
SYNC_PROGRAM, SUM_PROGRAM = "on_sync", "on_sum"  # user space runs them (BPF_PROG_TEST_RUN)
TRAFFIC_PROGRAM, TRAFFIC_ITERATOR = "on_tcp_state", "on_each_tcp"
VERDICT_PROGRAMS = (
    "out_allowed",
    "out_denied",
    "out_astray",
    "out_stream",
    "out_unopened",
    "out_strayed",
    "out_watched",
    "out_guarded",
    "out_leaves",
    "out_copied",
    "out_escaped",
    "out_unheard",
    "out_ours",
    "in_allowed",
    "in_denied",
    "in_escaped",
    "in_going",
    "in_answer",
    "in_unasked",
)

RATE_LIMIT_PROGRAMS = ("out_over_quota", "in_over_quota", "out_unread", "in_unread", "in_told")
NETFILTER_PROGRAMS = (*VERDICT_PROGRAMS, *RATE_LIMIT_PROGRAMS)  # that netfilter's rules refer to

PROGRAMS = {
    "process": TRACING_PROGRAMS,
    "socket": CGROUP_PROGRAMS,
    "scope": SCOPE_PROGRAMS,
    "accept": ACCEPT_PROGRAMS,
    "verdict": VERDICT_PROGRAMS,
    "rate_limit": RATE_LIMIT_PROGRAMS,
    "sync": (SYNC_PROGRAM, SUM_PROGRAM),
    "traffic": (TRAFFIC_PROGRAM, TRAFFIC_ITERATOR),
}
PINNED_OBJECTS = ("verdict", "rate_limit", "sync")  # netfilter's rules, or we, run their programs by the pin
TRACING_OBJECTS = ("process", "traffic")
CGROUP_OBJECTS = ("socket", "accept", "scope")  # attached to the cgroup
# Each in an object of its own. The daemon uses the first that the kernel can run, and does not pin it.
PACKET_PROGRAMS = {"packet_open": "on_packet_open", "packet_send": "on_packet_send"}
LIST_OBJECT, LIST_PROGRAMS = "kernel_socket", ("on_list_udp", "on_list_tcp")  # run once, when a daemon starts
# Of tinysnitch-trace alone. The last is attached to the cgroup.
TRACE_OBJECT, LIFE_PROGRAMS, ACCEPTED_PROGRAM = "trace", ("on_traced_fork", "on_traced_exit"), "on_traced_accept"
MAPS = (
    "images",
    "shares",
    "retired",
    "processes",
    "sockets",
    "released",
    "listeners",
    "bindings",
    "lost_ports",
    "flows",
    "displaced",
    "conversations",
    "crowded",
    "verdicts",
    "own_addresses",
    "quotas",
    "rule_uses",
    "traffic_even",
    "traffic_odd",
    "carried",
    "watched",
    "settings",
    "statistics",
    "questions",
    "traces",
    "scratch",
)


def objects_of(scope: Scope) -> list[str]:
    """Those that are loaded. A packet for one command is told from others' by a hook that the machine does not need."""
    return [name for name in PROGRAMS if name != "scope" or scope.makes_cgroup]


def object_path(name: str) -> Path:
    return FOLDER / f"{name}.bpf.o"


def missing_objects() -> list[Path]:
    return [
        path for path in map(object_path, (*PROGRAMS, *PACKET_PROGRAMS, LIST_OBJECT, TRACE_OBJECT)) if not path.exists()
    ]


def read_digest() -> str:
    """Hex digest of all objects whose programs are pinned."""
    digest = hashlib.sha256()
    for name in PROGRAMS:
        try:
            digest.update(hashlib.sha256(object_path(name).read_bytes()).digest())
        except OSError as error:
            raise SnitchError(f"{object_path(name)}: {error.strerror}", "run `make setup` to compile it") from error
    return digest.hexdigest()
