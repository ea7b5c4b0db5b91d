"""Reads files, and replaces them whole: at every moment a reader finds the old text or the new one.

Bytes that are not UTF-8 become surrogate escapes (PEP 383) in a text, and are written back unchanged.
"""

import errno
import fcntl
import os
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinysnitch.core.model.errors import NotPermitted, SnitchError, hint_for
from tinysnitch.core.model.undecoded import MAX_BYTES, bytes_of, text_of

_ACL = "system.posix_acl_access"  # acl(5)
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
_NULL = os.makedev(1, 3)  # null(4): often given as an empty file
_ROOT_HINT = "root too is refused: see whether it is immutable (lsattr), or what else guards it"
_HINT = "see whether the place is there, and has room"
_HINTS = {
    errno.EISDIR: "it is a folder: name a file",
    errno.ENOTDIR: "a file is where a folder must be: name another place",
    errno.EEXIST: "a file is where a folder must be: name another place",  # mkdir(2)
    errno.EINVAL: "name a regular file: a pipe or a device is not read a second time",
    errno.EROFS: "name a place that can be written to",
    errno.EBUSY: "it is mounted there by itself: mount its folder",  # rename(2)
    errno.EFBIG: f"it has more than {MAX_BYTES >> 20} MB: is it the right file?",
}


@contextmanager
def errors_named(path: Path) -> Iterator[None]:
    """Turn an OSError into a SnitchError that names the path and has a hint."""
    try:
        yield
    except PermissionError as error:
        problem = f"{path}: {error.strerror}"
        if os.geteuid() != 0:
            raise NotPermitted(problem, "run it as root") from error
        raise SnitchError(problem, _ROOT_HINT) from error  # we are root, so that more rights would not help
    except OSError as error:
        hint = hint_for(error, _HINTS.get(error.errno or 0, _HINT))
        raise SnitchError(f"{path}: {error.strerror or error}", hint) from error


def read_text(path: Path) -> str:
    """As read_bytes()."""
    return text_of(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Read a regular file or /dev/null. Raises OSError, also for a pipe: it could keep us waiting for ever, and would
    be empty the second time."""
    with open(path, "rb", opener=_open_regular) as file:
        return file.read()


def _open_regular(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NONBLOCK)  # fifo(7): does not wait for a writer
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES:
        return fd
    if stat.S_ISDIR(status.st_mode) or _is_null(status):  # for a folder open() itself raises the error
        return fd
    os.close(fd)
    if stat.S_ISREG(status.st_mode):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    raise _no_regular_file()


def _is_null(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL


def _no_regular_file() -> OSError:
    return OSError(errno.EINVAL, "not a regular file")


def read_guarded(path: Path) -> bytes | None:
    """As read_bytes(); None if others than root may write the file, and could have us do what they like."""
    with open(path, "rb", opener=_open_regular) as file:
        return None if is_open_to_others(file.fileno()) else file.read()


def is_open_to_others(path: Path | int) -> bool:
    """Whether others than root may write the file (`path` may be a descriptor). The folders above it are not looked
    at."""
    try:
        status = os.stat(path)
        by_group = status.st_mode & stat.S_IWGRP and (status.st_gid != 0 or _read_acl(path))
    except OSError:
        return False
    is_theirs = status.st_uid not in (0, os.geteuid()) or by_group or status.st_mode & stat.S_IWOTH
    return stat.S_ISREG(status.st_mode) and bool(is_theirs)  # anybody may write /dev/null


def close_to_readers(path: Path) -> bool:
    """Take away the right of other users to read root's file; whether they had it. Raises OSError.

    A group other than root's keeps its right: somebody gave it on purpose.
    """
    with open(path, "rb", opener=_open_regular) as file:
        status = os.fstat(file.fileno())
        others = stat.S_IRWXO if status.st_gid or _read_acl(path) else stat.S_IRWXO | stat.S_IRWXG
        if not stat.S_ISREG(status.st_mode) or status.st_uid != 0 or not status.st_mode & others & _OTHERS_READ:
            return False
        os.fchmod(file.fileno(), status.st_mode & 0o7777 & ~others)
    return True


def close_folder_to_readers(folder: Path) -> list[str]:
    """Close root's files in the folder, and none below, to other users; the names of those that were open. Raises
    OSError."""
    with os.scandir(folder) as entries:
        files = sorted(entry.name for entry in entries if entry.is_file())
    return [name for name in files if close_to_readers(folder / name)]


def is_being_written(path: Path) -> bool:
    """Whether a process has the file open for writing: then we get no read lease on it (fcntl(2), F_SETLEASE). False if
    that cannot be told.

    A process that opens the file while we hold the lease waits until we close it, and the kernel sends us a signal. We
    choose SIGURG, which is ignored by default; the kernel's own choice, SIGIO, would end us.
    """
    try:
        with open(path, "rb", opener=_open_regular) as file:
            fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def replace_text(
    path: Path,
    text: str,
    mode: int = 0o644,
    *,
    is_synced: bool = True,
    check: Callable[[], None] = lambda: None,
) -> os.stat_result:
    """As replace_bytes()."""
    return replace_bytes(path, bytes_of(text), mode, is_synced=is_synced, check=check)


def replace_bytes(
    path: Path,
    content: bytes,
    mode: int,
    *,
    is_synced: bool = True,
    check: Callable[[], None] = lambda: None,
) -> os.stat_result:
    """Write the content where the path leads; an existing file keeps its mode and owner, a new one gets `mode`.

    Returns the status of the new file before it was renamed: afterwards another file may be at the path already.

    Without a sync this is quick, but the file may be cut off or missing after a power cut. `check` is called just
    before the rename; if it raises, the file stays as it is.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # as root we would replace even /dev/null by a file
        raise _no_regular_file()
    handle, temporary = tempfile.mkstemp(prefix=_prefix_of(target), dir=target.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            _copy_rights(target, file.fileno(), mode)
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
            written = os.fstat(file.fileno())
        check()
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if is_synced:
        _sync_folder(target.parent)
    return written


def _prefix_of(target: Path) -> str:
    return f".{target.name}.unfinished-"


def remove_unfinished(path: Path) -> None:
    """Remove what processes left that were killed while they replaced the file. Nobody may be replacing it now."""
    target = Path(os.path.realpath(path))
    prefix = _prefix_of(target)
    with suppress(OSError):
        for name in os.listdir(target.parent):
            if name.startswith(prefix):
                os.unlink(target.with_name(name))


def _copy_rights(source: Path, fd: int, mode: int) -> None:
    try:
        status = source.stat()
    except FileNotFoundError:
        os.fchmod(fd, mode)
        return
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(fd, status.st_uid, status.st_gid)
    acl = _read_acl(source)
    if acl:  # before the mode, whose bits for the group stand for all that the list names: the group may have less
        os.setxattr(fd, _ACL, acl)
    os.fchmod(fd, status.st_mode & 0o7777)  # after the owner: chown(2) clears set-user-id bits


def _read_acl(path: Path | int) -> bytes | None:
    try:
        return os.getxattr(path, _ACL)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):  # the file, or its file system, has none
            return None
        raise


def _sync_folder(folder: Path) -> None:
    """Sync the folder: a rename lasts only once that is written too (fsync(2))."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
