"""Finds the name that a program was started by, if its file has several, by links that lead to it.

Such a program does what its first argument says (busybox, redis-server), and whoever starts it chooses that argument,
the links, and the root folder that these are looked up in. So a name is shown only if it is the path that the kernel
was given at the exec, if root alone can have made it a name of this file on the host, and if the first argument agrees.
"""

import os
import stat

from tinysnitch.core.model.errors import unless_short
from tinysnitch.core.model.raw_text import bytes_of
from tinysnitch.core.programs.program import NamedProgram
from tinysnitch.kernel.bpf.structs import Image
from tinysnitch.kernel.files.trusted_path import resolve_file


def find_started_as(image: Image, program: NamedProgram) -> str | None:
    """The path with that name, for the host's own file. None if it says no more than the file's name (`python3` for
    python3.13), or does not count. For a script, it is the path that its interpreter was told to open."""
    path = program.told if program.run_by else image.started_as
    name = _name_of(path)
    if not path.startswith("/") or _name_of(program.path).startswith(name):
        return None
    is_meant = program.run_by is not None or _name_of(next(iter(image.args), "")).removeprefix("-") == name
    return path if is_meant and _is_roots_name(path, program.path) else None


def _is_roots_name(path: str, file: str) -> bool:
    """Whether the path leads to the file by links that only root can change, and is in a folder in which others can
    neither make nor rename a link."""
    try:
        folder = os.stat(os.path.dirname(bytes_of(path)))
    except (OSError, ValueError) as error:
        return unless_short(error, False)
    return folder.st_uid == 0 and not folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and resolve_file(path) == file


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]
