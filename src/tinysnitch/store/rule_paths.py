"""Where the paths and patterns that rules mention (core/policy/references.py) lead on this machine."""

import os
import stat
from collections.abc import Callable, Iterable, Mapping

from tinysnitch.core.rules.path_pattern import escape_pattern, literal_of, pattern_tokens

_MAX_LINKS = 40  # as in the kernel: path_resolution(7)
_MAX_PARTS = 256  # in a path and all links on it together: a link of a user's own may have 2000
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def find_target(path: str) -> str | None:
    """The target of a link, None for anything else. This calls lstat() as later look-ups do, so that a file system that
    does not answer is noticed here."""
    try:
        return os.readlink(path) if stat.S_ISLNK(os.lstat(path).st_mode) else None
    except (OSError, ValueError):
        return None


FindTarget = Callable[[str], str | None]


def find_turnable_links(paths: Iterable[str], links: Mapping[str, str]) -> frozenset[str]:
    """Those of the paths that lead elsewhere over a link which others than root could change: `Facts.turnable_links`.

    `paths`: those in rules that name a user. `links`: all that lead elsewhere, each with where: `Facts.links`.
    """
    return frozenset(path for path in paths if path in links and _walk(path, _is_roots) != links[path])


def resolve_path(path: str, find_target: FindTarget = find_target) -> str:
    """The file that the path leads to; the path itself if it leads too far.

    Not os.path.realpath(): that follows any number of links, and before Python 3.13 calls itself for each.
    """
    return _walk(path, lambda _step: True, find_target) or path


def _walk(path: str, may_lead: Callable[[str], bool], find_target: FindTarget = find_target) -> str | None:
    """Where the path leads. None if that is too far, or over a link at or behind a step for which `may_lead` is false.

    Only what others than root own changes while we walk: then this is None, or a path that no such link led to.
    """
    current, links, is_led_right = "", 0, True
    left = path.split("/")[::-1]
    for _ in range(_MAX_PARTS):
        if not left:
            return current or "/"
        part = left.pop()
        if part == "..":
            current = current.rpartition("/")[0]
        elif part not in ("", "."):
            step = f"{current}/{part}"
            is_led_right = is_led_right and may_lead(step)
            target = find_target(step)
            links += target is not None
            if target is None:
                current = step
            elif not is_led_right or links > _MAX_LINKS:
                return None
            else:
                current = "" if target.startswith("/") else current
                left += target.split("/")[::-1]
    return None


def _is_roots(path: str) -> bool:
    """Whether root alone can change this link, or the entries of this folder. A sticky folder (/tmp) counts as root's:
    users can change only entries of their own there."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return True  # it does not exist: whether others can make it was asked of its folder
    is_shared = stat.S_ISDIR(status.st_mode) and status.st_mode & _OTHERS_WRITE and not status.st_mode & stat.S_ISVTX
    return status.st_uid == 0 and not is_shared


def find_patterns(patterns: Iterable[str], leads: Mapping[str, str]) -> dict[str, str]:
    """The patterns whose folder leads elsewhere, each with the same pattern there: `Facts.patterns`.

    `leads`: the folders that lead elsewhere, each with where.
    """
    real = {pattern: _move_pattern(pattern, leads.get(folder_of(pattern), folder_of(pattern))) for pattern in patterns}
    return {pattern: target for pattern, target in real.items() if target != pattern}


def find_turnable_patterns(own: Iterable[str], patterns: Mapping[str, str]) -> frozenset[str]:
    """Those of the patterns whose folder leads elsewhere over a link which others than root could change.

    `own`: those in rules that name a user. `patterns`: what find_patterns gave.
    """
    roots = {pattern: _walk(folder_of(pattern), _is_roots) for pattern in own if pattern in patterns}
    return frozenset(
        pattern
        for pattern, folder in roots.items()
        if folder is None or _move_pattern(pattern, folder) != patterns[pattern]
    )


def folder_of(pattern: str) -> str:
    """The folder in or below which all files of the pattern are: the text before its first star, up to a slash."""
    return literal_of(_split_pattern(pattern)[0]) or "/"


def _move_pattern(pattern: str, folder: str) -> str:
    """The same pattern in another folder."""
    return f"{escape_pattern(folder).rstrip('/')}/{_split_pattern(pattern)[1]}"


def _split_pattern(pattern: str) -> tuple[str, str]:
    first = pattern_tokens(pattern)[0]
    folder, slash, _ = first.rpartition("/")
    return folder, pattern[len(folder + slash) :]
