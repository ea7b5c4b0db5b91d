"""The options of tinysnitchd (docs/commands.md)."""

from enum import Enum
from pathlib import Path

import msgspec

from tinysnitch.core.rules.remote_text import LISTS_FOLDER
from tinysnitch.protocol.framing import DEFAULT_SOCKET


class LogFormat(Enum):
    TEXT = "text"
    JSON = "json"


class OnExit(Enum):
    REMOVE = "remove"  # as if it had never been there
    KEEP = "keep"  # enforcement stays: unknown connections are not let through until the next daemon runs


class Options(msgspec.Struct, frozen=True, kw_only=True):
    rules: Path = Path("/etc/tinysnitch.rules")
    lists: Path = Path(LISTS_FOLDER)
    state_dir: Path = Path("/var/lib/tinysnitch")
    socket: Path = Path(DEFAULT_SOCKET)
    cgroup: Path | None = None  # None: the root of the cgroup2 hierarchy
    timeout_s: float = 60.0
    log: LogFormat = LogFormat.TEXT
    is_learning: bool = False
    on_exit: OnExit = OnExit.REMOVE
    resolvers: tuple[str, ...] = ()  # addresses to trust besides those that the machine is set up with
    is_scoped: bool = False  # judge a cgroup of our own making and nothing else (tinysnitch run)
    is_bpf_wanted: bool = True
    has_prompt: bool = False  # start the prompt's window, for the user who called sudo
    users: tuple[str, ...] = ()  # may answer for their own processes, besides the group: names, uids, %GROUP
    admins: tuple[str, ...] = ()  # may see and do everything: names, uids, %GROUP
