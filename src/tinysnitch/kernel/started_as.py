"""The name that a program was started by, where its file has several: by links that lead to it.

What such a program does goes by its first argument (busybox, redis-server), which is anybody's to choose, and so are
links and the roots that they are looked up in. So a name is told only if all say the same: it is the path that the
kernel was given at the exec, root alone can have made it a name of this file on the host, and the argument agrees.
"""

import os
import stat

from tinysnitch.core.errors import unless_short
from tinysnitch.core.program import NamedProgram
from tinysnitch.core.raw_text import bytes_of
from tinysnitch.kernel.bpf_structs import Image
from tinysnitch.kernel.trusted_way import resolve_file


def find_started_as(image: Image, program: NamedProgram) -> str | None:
    """The path with that name, for the host's own file; None where it says no more than the file's name (`python3` of
    python3.13), or none is told. A script's is the one that its interpreter was told to open."""
    path = program.told if program.run_by else image.started_as
    name = _name_of(path)
    if not path.startswith("/") or _name_of(program.path).startswith(name):
        return None
    is_meant = program.run_by is not None or _name_of(next(iter(image.args), "")).removeprefix("-") == name
    return path if is_meant and _is_roots_name(path, program.path) else None


def _is_roots_name(path: str, file: str) -> bool:
    """Whether the path leads to the file by links that only root can turn, and the last of these lies in a folder where
    others can neither make nor rename one."""
    try:
        folder = os.stat(os.path.dirname(bytes_of(path)))
    except (OSError, ValueError) as error:
        return unless_short(error, False)
    return folder.st_uid == 0 and not folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and resolve_file(path) == file


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]
