"""What the words of rules stand for on this machine's disk: the files behind links, the uids behind names."""

import os
import pwd
from collections.abc import Iterable

from tinysnitch.core.rule import ProgramKind, Rule


def find_links(rules: Iterable[Rule]) -> dict[str, str]:
    """Each program path that leads elsewhere, with where it leads: the links of Facts."""
    paths = {rule.program.text for rule in rules if rule.program.kind is ProgramKind.PATH}
    paths |= {rule.parent for rule in rules if rule.parent is not None}
    real = {path: _resolve(path) for path in paths}
    return {path: target for path, target in real.items() if target != path}


def _resolve(path: str) -> str:
    """A path that can't be a file's leads nowhere else."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # ValueError: a zero byte, a character that no file name has
        return path


def find_users(rules: Iterable[Rule]) -> dict[str, int]:
    """Each user's name with its uid, without names that nobody has: the users of Facts."""
    names = {rule.user for rule in rules if rule.user is not None and not rule.user.isdigit()}
    uids = {name: _find_uid(name) for name in names}
    return {name: uid for name, uid in uids.items() if uid is not None}


def _find_uid(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):  # ValueError: as above
        return None
