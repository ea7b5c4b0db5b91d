"""The options of tinysnitchd (docs/commands.md), and the click types of those that are a path or a cgroup.

They come from the command line and from a file, which also has the settings of prompts: SettingsRead is both.
"""

import os
from enum import Enum
from pathlib import Path

import click
import msgspec

from tinysnitch.core.model.errors import LineError
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.rules.remote_column import LISTS_FOLDER
from tinysnitch.kernel.proc.cgroups import HIDDEN_HINT, is_cgroup2
from tinysnitch.protocol.framing import DEFAULT_SOCKET
from tinysnitch.protocol.messages import PromptSettings

SETTINGS = "tinysnitch.toml"


class LogFormat(Enum):
    TEXT = "text"
    JSON = "json"


class OnExit(Enum):
    REMOVE = "remove"  # as if it had never been there
    KEEP = "keep"  # enforcement stays: unknown connections are not let through until the next daemon runs


class Options(msgspec.Struct, frozen=True, kw_only=True):
    config_dir: Path = Path("/etc/tinysnitch.d")  # holds tinysnitch.toml, programs.toml, groups of rules
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
    scope: Scope = Scope.MACHINE
    is_bpf_wanted: bool = True
    has_prompt: bool | None = None  # whether to start the prompt's window; None: where who called sudo has a desktop
    users: tuple[str, ...] = ()  # may answer for their own processes, besides the group: names, uids, %GROUP
    admins: tuple[str, ...] = ()  # may see and do everything: names, uids, %GROUP
    history_days: int = 365  # how long the sums of traffic are kept
    history_size: int = 200  # MiB that they may take
    has_groups: bool = True  # whether the groups of rules count

    @property
    def asks_people(self) -> bool:
        """Whether questions wait for an answer, and the daemon itself tells how to give one."""
        return self.scope.is_service and not self.is_learning and self.timeout_s > 0

    @property
    def groups(self) -> Path | None:
        """The folder of the groups of rules."""
        return self.config_dir if self.has_groups else None

    @property
    def settings_file(self) -> Path:
        return self.config_dir / SETTINGS


class SettingsRead(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line and the settings file say together."""

    options: Options = Options()
    prompt: PromptSettings = PromptSettings()
    errors: tuple[LineError, ...] = ()  # of the file: what they are about does not count
    keys: dict[str, str] = {}  # the fields of the options, and how the file calls them


_CGROUP_HINT = f"name a folder of the cgroup2 hierarchy: `findmnt -t cgroup2` shows where it is mounted; {HIDDEN_HINT}"


class BadPlace(click.BadParameter):
    def __init__(self, problem: str, hint: str, param: click.Parameter | None, ctx: click.Context | None) -> None:
        super().__init__(problem, ctx, param)
        self.hint = hint


class Place(click.Path[Path]):
    """A path. An empty one (from an unset variable, say) is refused: it would be the working folder.

    Whether the path can be read is not checked here: a user who is not root is told to be root, and nothing else.
    """

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, readable=False, path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not os.fspath(value):
            raise BadPlace("the path is empty", "name a place, or leave the option out", param, ctx)
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = "name a folder, not a file" if self.dir_okay else "name a file, not a folder"
            _kind, _, problem = error.message.partition(" ")  # `File '/tmp' is a directory`
            raise BadPlace(problem, hint, param, ctx) from None


class CgroupPlace(Place):
    """A cgroup that BPF programs can be attached to. With another folder the daemon would run in the degraded mode."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        if not path.is_dir():
            raise BadPlace(f"there is no folder {str(path)!r}", _CGROUP_HINT, param, ctx)
        if not is_cgroup2(path):
            raise BadPlace(f"{str(path)!r} is no cgroup of version 2", _CGROUP_HINT, param, ctx)
        return path
