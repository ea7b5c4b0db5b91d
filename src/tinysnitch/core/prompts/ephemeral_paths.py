"""Paths that are new at each start or update, and the pattern that matches the next one too."""

import re

from tinysnitch.core.programs.cgroup_owner import SNAP_FOLDERS
from tinysnitch.core.rules.path_pattern import escape_pattern

_SNAP = f"(?:{'|'.join(SNAP_FOLDERS)})"

# An AppImage is mounted at /tmp/.mount_, up to six letters of its name, and six of mkdtemp() (runtime.c of type 2).
# What PyInstaller made one file of unpacks into /tmp/_MEI, its process (in 6.22) and six of mkdtemp(); Nuitka's
# into a folder named by process, time and base64url (OnefileBootstrap.c). `go test` and `go run` run what they built
# where NewBuilder() says; what was not changed since is run from the cache, where its folder is named by a sum.
# Ansible lays what it runs on a machine into a folder named by time, process and a number (_generate_tmp_path()).
# snapd restarts itself from a snap of its own, whose folder is named by the revision, but belongs to a unit of systemd.
_EPHEMERAL = re.compile(
    r"(/tmp/\.mount_[^/]{1,6})[A-Za-z0-9]{6}(/.+)|(/tmp/_MEI)(?:[0-9a-f]{8})?[A-Za-z0-9]{6}(/.+)"
    r"|(/tmp/onefile_)\d+_[A-Za-z0-9_-]+(/.+)|(/tmp/go-build)\d+(/.+)|(/.*/go-build/)[0-9a-f]{2}(/)[0-9a-f]{64}-d(/.+)"
    rf"|(/.*/\.ansible/tmp/ansible-tmp-)[\d.-]+(/.+)|({_SNAP}/[^/]+/)[^/]+(/.+)",
    re.DOTALL,
)


def find_lasting_pattern(path: str) -> str | None:
    """The pattern for the path at any time; None: the path is no such one."""
    found = _EPHEMERAL.fullmatch(path)
    return "*".join(escape_pattern(part) for part in found.groups() if part is not None) if found else None
