"""Paths that are new at each start or update, and the pattern that matches the next one too."""

import re

from tinysnitch.core.path_pattern import escape_pattern

# An AppImage is mounted at /tmp/.mount_, up to six letters of its name, and six of mkdtemp() (runtime.c of type 2).
# Ansible lays what it runs on a machine into a folder named by time, process and a number (_generate_tmp_path()).
# snapd restarts itself from a snap of its own, whose folder is named by the revision, but belongs to a unit of systemd.
_FLEETING = re.compile(
    r"(/tmp/\.mount_[^/]{1,6})[A-Za-z0-9]{6}(/.+)|(/.*/\.ansible/tmp/ansible-tmp-)[\d.-]+(/.+)"
    r"|((?:/var/lib/snapd)?/snap/[^/]+/)[^/]+(/.+)",
    re.DOTALL,
)


def find_lasting_pattern(path: str) -> str | None:
    """The pattern for the path at any time; None: the path is no such one."""
    found = _FLEETING.fullmatch(path)
    return "*".join(escape_pattern(part) for part in found.groups() if part is not None) if found else None
