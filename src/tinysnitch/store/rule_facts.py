"""What the words of rules stand for on this machine's disk: the files behind links, the uids behind names."""

import os
import pwd
import stat
from collections.abc import Iterable, Mapping

from tinysnitch.core.path_pattern import escape_pattern, literal_of, pattern_tokens
from tinysnitch.core.rule import ProgramKind, Rule

_MAX_LINKS = 40  # as the kernel: path_resolution(7)
_MAX_PARTS = 256  # of a path and of all links on it: users may make links of their own, with 2000 each
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def find_links(rules: Iterable[Rule]) -> dict[str, str]:
    """Each program path that leads elsewhere, with where it leads: the links of Facts."""
    real = {path: resolve_path(path) for path in _paths_of(rules)}
    return {path: target for path, target in real.items() if target != path}


def find_paths(rules: Iterable[Rule]) -> frozenset[str]:
    """What is looked up on the disk for them: programs, parents, and the folders of patterns."""
    rules = tuple(rules)
    return frozenset(_paths_of(rules) | set(map(_folder_of, _patterns_of(rules))))


def _paths_of(rules: Iterable[Rule]) -> set[str]:
    rules = tuple(rules)
    paths = {rule.program.text for rule in rules if rule.program.kind is ProgramKind.PATH}
    return paths | {rule.parent for rule in rules if rule.parent is not None}


def resolve_path(path: str) -> str:
    """The file that it leads to; a path that can't be a file's leads nowhere else.

    os.path.realpath() follows any number of links, and before Python 3.13 it calls itself for each.
    """
    current, links = "", 0
    left = path.split("/")[::-1]
    for _ in range(_MAX_PARTS):
        if not left:
            return current or "/"
        part = left.pop()
        if part == "..":
            current = current.rpartition("/")[0]
        elif part not in ("", "."):
            target = _find_target(f"{current}/{part}")
            links += target is not None
            if links > _MAX_LINKS:
                return path
            if target is None:
                current = f"{current}/{part}"
            else:
                current = "" if target.startswith("/") else current
                left += target.split("/")[::-1]
    return path


def find_turnable_links(rules: Iterable[Rule], links: Mapping[str, str]) -> frozenset[str]:
    """The links in rules that name a user which others than root could turn. `links`: what find_links gave."""
    paths = _paths_of(rule for rule in rules if rule.user is not None)
    return frozenset(path for path in paths if path in links and _follow_roots_links(path) != links[path])


def _follow_roots_links(path: str, depth: int = 0) -> str | None:
    """Where the path leads over links that root alone can turn; None when it goes over another one.

    What changes under our eyes is not root's: then it is None, or a path in which no such link had a part.
    """
    current, is_roots = "/", True
    parts = path.split("/")
    for position, part in enumerate(parts):
        step = os.path.normpath(os.path.join(current, part))
        is_roots = is_roots and _is_roots(step)
        target = _find_target(step)
        if target is None:
            current = step
        elif is_roots and depth < _MAX_LINKS:
            return _follow_roots_links(os.path.join(current, target, *parts[position + 1 :]), depth + 1)
        else:
            return None
    return current


def _is_roots(path: str) -> bool:
    """Whether root alone can turn this link, or put others into this folder; in /tmp each can do so with their own."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return True  # nothing is there: whose the folder is was asked before
    is_shared = stat.S_ISDIR(status.st_mode) and status.st_mode & _OTHERS_WRITE and not status.st_mode & stat.S_ISVTX
    return status.st_uid == 0 and not is_shared


def _find_target(path: str) -> str | None:
    """None: no link. Asked as whoever looks it up later does, so that what does not answer does not here either."""
    try:
        return os.readlink(path) if stat.S_ISLNK(os.lstat(path).st_mode) else None
    except (OSError, ValueError):
        return None


def find_patterns(rules: Iterable[Rule]) -> dict[str, str]:
    """Each pattern that begins with folders which lead elsewhere, with what it is there: the patterns of Facts."""
    real = {pattern: _move_pattern(pattern, resolve_path(_folder_of(pattern))) for pattern in _patterns_of(rules)}
    return {pattern: target for pattern, target in real.items() if target != pattern}


def find_turnable_patterns(rules: Iterable[Rule], patterns: Mapping[str, str]) -> frozenset[str]:
    """Likewise those that go over links which others than root could turn. `patterns`: what find_patterns gave."""
    own = _patterns_of(rule for rule in rules if rule.user is not None) & patterns.keys()
    roots = {pattern: _follow_roots_links(_folder_of(pattern)) for pattern in own}
    return frozenset(
        pattern
        for pattern, folder in roots.items()
        if folder is None or _move_pattern(pattern, folder) != patterns[pattern]
    )


def _patterns_of(rules: Iterable[Rule]) -> set[str]:
    return {rule.program.text for rule in rules if rule.program.kind is ProgramKind.GLOB}


def _folder_of(pattern: str) -> str:
    """The folder that all its files are in or below: what stands before its first star, up to the last slash."""
    return literal_of(_split_pattern(pattern)[0]) or "/"


def _move_pattern(pattern: str, folder: str) -> str:
    """The same pattern in another folder."""
    return f"{escape_pattern(folder).rstrip('/')}/{_split_pattern(pattern)[1]}"


def _split_pattern(pattern: str) -> tuple[str, str]:
    first = pattern_tokens(pattern)[0]
    folder, slash, _ = first.rpartition("/")
    return folder, pattern[len(folder + slash) :]


def user_names(rules: Iterable[Rule]) -> set[str]:
    return {rule.user for rule in rules if rule.user is not None and not rule.user.isdigit()}


def find_uid(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):  # ValueError: as above
        return None
