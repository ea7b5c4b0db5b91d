r"""The owners of a cgroup: the systemd unit, container, flatpak or snap that its path names (docs/rules.md, Program).

Below `user@UID.service` the user chooses the names of cgroups. So units and containers there carry that prefix
(`unit:user@1000.service/sync.service`), and no user can pass for a unit or container of the system. A snap counts there
only if the snap's own file runs; a flatpak cannot be checked in this way (THREATS.md).
"""

import re
from functools import lru_cache

SNAP_FOLDERS = ("/snap", "/var/lib/snapd/snap")  # by distribution; to the snap itself it is always the first
_SNAP_FILE = re.compile(rf"(?:{'|'.join(SNAP_FOLDERS)})/([^/]+)/.+", re.DOTALL)
_CONTAINER = re.compile(r"(?!.*conmon)(?:.*[-:])?([0-9a-f]{64})(?:\.scope)?")  # docker, podman, cri-o, containerd
_MACHINE = re.compile(r"machine-(.+)\.scope|systemd-nspawn@(.+)\.service|lxc\.payload\.(.+)")
_BUILD = re.compile(r"docker-([0-9a-z]{25})\.scope|buildah-(buildah\d+)(?:\.scope)?")  # a step of an image's build
_BUILDKIT_ID = re.compile(r"[0-9a-z]{25}")
_FLATPAK = re.compile(r"app-flatpak-(.+)-\d+\.scope")
_SNAP = re.compile(r"snap\.([a-z0-9_-]+)\..+\.(?:service|scope)")
_MANAGER = re.compile(r"user@\d+\.service")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_LXC_PARENTS = ("lxc", "lxc.payload")
_CONTAINER_ID = re.compile(r"([0-9a-f]{12})[0-9a-f]{1,52}")
_ID = re.compile(r"[0-9a-f]{12}|[0-9a-z]{25}|buildah\d+")
# systemd.unit(5)
_UNIT_SUFFIX = re.compile(
    r".*\.(?:service|scope|socket|target|device|mount|automount|swap|timer|path|slice)", re.DOTALL
)


def is_session_manager(name: str) -> bool:
    """Whether a cgroup of this name belongs to a user's own session manager."""
    return _MANAGER.fullmatch(name) is not None


@lru_cache(maxsize=1024)
def owners_of_cgroup(path: str, snap: str | None = None) -> tuple[str, ...]:
    """Words for rules, the most specific first: `/system.slice/ssh.service` → (`unit:ssh.service`,).

    `snap`: the name of the snap whose file the process runs.
    """
    parts = [part for part in path.split("/") if part]
    position = next((n for n, part in enumerate(parts) if is_session_manager(part)), None)
    if position is None or _owners(parts[:position], ""):  # no session manager, or one inside a container or unit
        return _owners(parts, "")
    manager = parts[position]
    owners = (*_owners(parts[position + 1 :], f"{manager}/"), f"unit:{manager}")
    return tuple(owner for owner in owners if owner == f"snap:{snap}" or not owner.startswith("snap:"))


def find_snap_owner(path: str) -> str | None:
    """The snap, in the word for rules, whose file has this path."""
    found = _SNAP_FILE.fullmatch(path)
    return f"snap:{found[1]}" if found else None


def complete_owner(kind: str, name: str) -> str:
    """The word as owners_of_cgroup has it, from what a person wrote.

    A whole container id is cut to the digits that docker(1) and podman(1) print; a unit without a suffix is a service,
    as for systemctl(1). A user's session manager may stand before either.
    """
    if kind not in _COMPLETED:
        return f"{kind}:{name}"
    manager, slash, name = name.rpartition("/")
    manager = _add_suffix(manager) if manager else ""
    return f"{kind}:{manager}{slash}{_COMPLETED[kind](name)}"


def is_id(name: str) -> bool:
    """Whether this is an id that a container's engine gave, not a name that a person chose."""
    return _ID.fullmatch(name.rpartition("/")[2]) is not None


def _shorten_id(name: str) -> str:
    found = _CONTAINER_ID.fullmatch(name)
    return found[1] if found else name


def _add_suffix(unit: str) -> str:
    return unit if not unit or _UNIT_SUFFIX.fullmatch(unit) else f"{unit}.service"


_COMPLETED = {"container": _shorten_id, "unit": _add_suffix}


def _owners(parts: list[str], prefix: str) -> tuple[str, ...]:
    container = _find_container(parts)
    if container:
        return (f"container:{prefix}{_shorten_id(container)}",)
    unit = next((part for part in parts if part.endswith((".service", ".scope"))), None)
    if unit is None:
        return ()
    is_told = not prefix or unit.endswith(".service")  # a user's scope has another name at each start
    return _application(unit) + ((f"unit:{prefix}{unit}",) if is_told else ())


def _find_container(parts: list[str]) -> str | None:
    for parent, part in zip(["", *parts], parts, strict=False):
        if found := _CONTAINER.fullmatch(part):
            return found[1]
        if found := _MACHINE.fullmatch(part) or _BUILD.fullmatch(part):
            return _unescape(next(filter(None, found.groups())))
        if parent == "buildkit" and _BUILDKIT_ID.fullmatch(part):
            return part
        if parent in _LXC_PARENTS:
            return part
    return None


def _application(unit: str) -> tuple[str, ...]:
    unit = _unescape(unit)
    if found := _FLATPAK.fullmatch(unit):
        return (f"flatpak:{found[1]}",)
    if found := _SNAP.fullmatch(unit):
        return (f"snap:{found[1]}",)
    return ()


def _unescape(name: str) -> str:
    r"""Undo systemd-escape(1): `\x2d` is `-`."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name)
