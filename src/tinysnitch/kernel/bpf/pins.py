"""One pinned set: a folder of the bpffs with maps, verdict programs and links. Links are pinned last.

The bpffs (bpf(2), BPF_OBJ_PIN) is mounted if it is not, and unmounted again at a clean end if it was ours.
"""

import ctypes
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.kernel.bpf.libbpf import Link, ObjectFile
from tinysnitch.kernel.bpf.objects import (
    CGROUP_OBJECTS,
    MAPS,
    PINNED_OBJECTS,
    PROGRAMS,
    TRACING_OBJECTS,
    object_path,
    objects_of,
)
from tinysnitch.kernel.proc.mounts import Mount, read_mounts

_ATTEMPTS = 4
MOUNT_POINT = Path("/sys/fs/bpf")
_OURS = "tinysnitch"  # as the source of a mount it tells later daemons whose it is
_libc = ctypes.CDLL(None, use_errno=True)


class PinFolder:
    """A whole set, part of one (its maker died half-way), or nothing yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def map_path(self, name: str) -> Path:
        return self.path / "maps" / name

    def program_path(self, name: str) -> Path:
        return self.path / "programs" / name

    def link_path(self, name: str) -> Path:
        return self.path / "links" / name

    def is_complete(self, scope: Scope) -> bool:
        pins = [
            self.program_path(program) if name in PINNED_OBJECTS else self.link_path(program)
            for name in objects_of(scope)
            for program in PROGRAMS[name]
        ]
        return all(path.exists() for path in [*map(self.map_path, MAPS), *pins])

    def create(self) -> None:
        """Raises SnitchError."""
        with _translated_errors(self.path):
            for folder in ("maps", "programs", "links"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Links go first: hooks must not run on maps that are half gone. What is missing already is no error."""
        for folder in ("links", "programs", "maps"):
            for path in list_folder(self.path / folder):
                path.unlink(missing_ok=True)
            remove_folder(self.path / folder)
        remove_folder(self.path)


@contextmanager
def _translated_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise NotPermitted(f"{path}: {error.strerror}", "run it as root, on a mounted bpffs") from error
    except OSError as error:
        raise SnitchError(f"{path}: {error.strerror}", "is a bpffs mounted there?") from error


def take_folder(path: Path) -> None:
    """Make the folder, or check that it is ours: a bpffs has mode 1777 unless it was mounted otherwise, so any user can
    have made it, with links in it that lead elsewhere. What belongs to another user is renamed. Raises SnitchError."""
    with _translated_errors(path):
        for _attempt in range(_ATTEMPTS):
            with suppress(FileExistsError):  # by what is no folder: a link that leads nowhere
                path.mkdir(parents=True, exist_ok=True)
            if _is_ours(path):
                return
            path.rename(path.with_name(f"{path.name}-{secrets.token_hex(4)}"))
    raise SnitchError(f"{path} is another user's", "mount the bpffs with mode=0700")


def _is_ours(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def remove_all_pins(path: Path) -> None:
    """Remove what daemons of an instance left, of any build. A missing folder is no error; another user's is left."""
    if not os.path.lexists(path) or not _is_ours(path):
        return
    for folder in list_folder(path):
        PinFolder(folder).remove()
    remove_folder(path)


def list_folder(path: Path) -> list[Path]:
    """Sorted; empty when there is no such folder."""
    return sorted(path.iterdir()) if path.is_dir() else []


def remove_folder(path: Path) -> None:
    """Removes an empty folder. One that is gone or not empty is no error; nor is what is no folder, or is on a file
    system that is mounted read-only."""
    try:
        path.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.ENOTDIR, errno.EROFS):
            raise


def load_pins(folder: PinFolder, cgroup: Path, prepare: Callable[[], None], scope: Scope) -> None:
    """Load and pin everything, or nothing. `prepare` is called when the maps are there and no program runs yet."""
    with ExitStack() as undo:
        undo.callback(folder.remove)
        folder.create()
        with ExitStack() as loaded:
            objects = {
                name: loaded.enter_context(closing(ObjectFile(object_path(name), folder.map_path(""))))
                for name in objects_of(scope)
            }
            for name in PINNED_OBJECTS:
                for program in PROGRAMS[name]:
                    objects[name].pin_program(program, folder.program_path(program))
            prepare()
            for name in TRACING_OBJECTS:
                for program in PROGRAMS[name]:
                    pin_link(objects[name].attach(program), folder.link_path(program))
            cgroup_fd = loaded.enter_context(opened_cgroup(cgroup))
            for name in filter(objects.__contains__, CGROUP_OBJECTS):
                for program in PROGRAMS[name]:
                    pin_link(objects[name].attach_cgroup(program, cgroup_fd), folder.link_path(program))
        undo.pop_all()


@contextmanager
def opened_cgroup(cgroup: Path) -> Iterator[int]:
    """A descriptor of it. Raises SnitchError."""
    try:
        cgroup_fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SnitchError(f"{cgroup}: {error.strerror}", "--cgroup wants a folder of a cgroup2 mount") from error
    try:
        yield cgroup_fd
    finally:
        os.close(cgroup_fd)


def pin_link(link: Link, path: Path) -> None:
    """Pin a link and close it: from then on the pin keeps it attached."""
    try:
        link.pin(path)
    finally:
        link.close()


def is_mounted() -> bool:
    return _find_mount() is not None


def mount_bpffs() -> None:
    """Mount it unless it is mounted. A clean stop undoes this with `unmount_bpffs`."""
    if not is_mounted():
        mount_another_bpffs()


def mount_another_bpffs() -> None:
    """Mount one over what is there: for a mount namespace of our own."""
    if _libc.mount(_OURS.encode(), os.fsencode(MOUNT_POINT), b"bpf", 0, b"mode=0700"):
        _raise("mounting")


def unmount_bpffs() -> None:
    """Unmount it if this or an earlier daemon mounted it, unless somebody uses it."""
    mount = _find_mount()
    if mount is None or mount.source != _OURS or _has_pins():
        return
    if _libc.umount2(os.fsencode(MOUNT_POINT), 0) and ctypes.get_errno() != errno.EBUSY:
        _raise("unmounting")


def _find_mount() -> Mount | None:
    found = [mount for mount in read_mounts() if (mount.place, mount.file_system) == (MOUNT_POINT, "bpf")]
    return found[-1] if found else None


def _has_pins() -> bool:
    return any(path.is_dir() or not path.name.endswith(".debug") for path in MOUNT_POINT.iterdir())


def _raise(doing: str) -> None:
    number = ctypes.get_errno()
    message = f"{doing} {MOUNT_POINT}: {os.strerror(number)}"
    if number == errno.EPERM:
        raise NotPermitted(message, "run it as root")
    raise SnitchError(message, "the kernel needs CONFIG_BPF_SYSCALL")
