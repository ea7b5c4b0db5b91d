"""Builds a Process from the image captured at exec: program, cgroup, parents, and what prompts warn of.

A program whose file has several names is shown by the one that it was started by, if links lead from it to the file.
Such a program does what its first argument says (busybox, redis-server), and whoever starts it chooses that argument,
the links, and the root folder that these are looked up in. So a name is shown only if it is the path that the kernel
was given at the exec, if root alone can have made it a name of this file on the host, and if the first argument agrees.
"""

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

import msgspec

from tinysnitch.core.model.errors import unless_short
from tinysnitch.core.model.process import CONTAINER, MEMORY_FILE, NO_GRAINS, Grains, Process
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.undecoded import bytes_of
from tinysnitch.core.programs.cgroup_owner import owners_of_cgroup
from tinysnitch.core.programs.program import Invocation, NamedProgram, identify_program
from tinysnitch.kernel.attribution.process_image import bare_image_of
from tinysnitch.kernel.attribution.scan_budget import ScanBudget
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.layout import ProcessEntry
from tinysnitch.kernel.files import identity as file_identity
from tinysnitch.kernel.files import trusted_path
from tinysnitch.kernel.files.digests import FEW_BYTES, LONGEST_SUM_S, MAX_BYTES, Digests
from tinysnitch.kernel.files.trusted_path import resolve_file
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.cgroups import CgroupPaths
from tinysnitch.kernel.proc.environment import find_loaders
from tinysnitch.kernel.system.offload import Offload


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


MAX_PARENTS = 64
MAX_PARENTS_LENGTH = 8192  # characters in all: paths of scripts may be long, and a prompt must fit into a frame
UNTOLD = "its file could not be looked up: the file system does not answer"
AGAIN_S = 60.0  # until that is tried again
_SUSPECT = ("/tmp/", "/var/tmp/", "/dev/shm/")
_UNMOUNTED = "/"  # the path of a file whose mount is gone; no other program has it
_KEPT = 4096  # images whose names are remembered
_ARGS_LOST = layout.IMAGE_ARGS_CUT | layout.IMAGE_ARGS_UNREADABLE


class ImageTable(Protocol):
    """Where captured images are found: BpfPrograms, or a fake in tests."""

    def find_image(self, exec_id: int) -> Image | None: ...
    def find_process(self, pid: int) -> ProcessEntry | None: ...


class NoImages:
    """Without BPF nothing is captured."""

    def find_image(self, exec_id: int) -> Image | None:
        return None

    def find_process(self, pid: int) -> ProcessEntry | None:
        return None


class _DiskFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is on the disk at the paths of an image and of its ancestors."""

    programs: tuple[NamedProgram, ...]  # of the image, and of the ancestors in their order
    is_known: bool = True  # False: the file system did not answer in time
    is_changed: bool = False
    is_host_file: bool = False
    started_as: str | None = None
    snap: str | None = None


class _Sum(msgspec.Struct, frozen=True):
    """The sha256 of an executable, if a rule asks for it."""

    sha256: str | None = None
    is_known: bool = True  # False: a rule asks for it, but it could not be read
    is_silent: bool = False  # its file system does not answer, or it may not be read now: try again later


class ProcessBuilder:
    """`extra_interpreters`: see core/programs/interpreters.py. `needs_sha256` is asked with a program's path."""

    def __init__(
        self,
        table: ImageTable,
        *,
        extra_interpreters: Sequence[str] = (),
        needs_sha256: Callable[[str], bool] = lambda _path: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._clock = clock
        self._extra = tuple(extra_interpreters)
        self._needs_sha256 = needs_sha256
        self._digests = Digests()
        self._reader = Offload()  # for sums alone, which take long: files are looked up meanwhile
        self._sum_time = ScanBudget(longest_s=LONGEST_SUM_S)
        self._cgroups = CgroupPaths()
        self._programs: BoundedTable[int, NamedProgram] = BoundedTable(_KEPT)
        self._due_s: BoundedTable[int, float] = BoundedTable(_KEPT)  # by exec id: when to look at its file again

    def close(self) -> None:
        self._cgroups.close()

    def build(self, image: Image, *, pid: int, started_ns: int, uid: int) -> Process:
        """The process `pid`, which runs the image. All but pid, start and uid comes from the image."""
        cgroup = self._cgroups.find(image.cgroup_id, uid)
        image, *ancestors = _with_paths((_mark_container(image, cgroup), *self._ancestors(image)))
        look = self._look_beside((image, *ancestors), pid, uid)
        program, *parents = look.programs
        is_summed = look.is_host_file and self._needs_sha256(program.path)
        found = self._sum(image, pid, uid) if is_summed else _Sum(is_known=look.is_known)
        return Process(
            exec_id=image.exec_id,
            pid=pid,
            started_ns=started_ns,
            uid=uid,
            executable=image.executable,
            device=file_identity.decode_device(image.device),
            inode=image.inode,
            program=program.path,
            args=program.args,
            are_args_complete=not image.flags & _ARGS_LOST,
            run_by=program.run_by,
            started_as=look.started_as,
            parents=tuple(_limit_parents(parent.path for parent in parents)),
            owners=owners_of_cgroup(cgroup or "", look.snap),
            is_host_file=look.is_host_file,
            is_file_told=look.is_known and not found.is_silent and cgroup is not None,
            sha256=found.sha256,
            is_sha256_told=found.is_known,
            grains=_grains_of(image, program, parents) if look.is_host_file and cgroup is not None else NO_GRAINS,
            warnings=(
                *_find_warnings(image, look),
                *_warn_of_environment(find_loaders(pid, started_ns, image.executable)),
            ),
        )

    def _look_beside(self, images: Sequence[Image], pid: int, uid: int) -> _DiskFacts:
        """Look in a thread, since any user can block look-ups in their folders; the programs found are remembered."""
        known = tuple(self._programs.find(image.exec_id) if image.exec_id else None for image in images)
        exec_id = images[0].exec_id
        is_due = self._clock() >= (self._due_s.find(exec_id) or 0.0)
        look = procfs.bounded.read_of(uid, partial(self._look, images, known, pid)) if is_due else None
        if look is None:
            if is_due:
                self._due_s.put(exec_id, self._clock() + AGAIN_S)
            named = (
                program or NamedProgram(image.executable, image.args[1:])
                for image, program in zip(images, known, strict=True)
            )
            return _DiskFacts(programs=tuple(named), is_known=False)
        for image, program in zip(images, look.programs, strict=True):
            if image.exec_id:
                self._programs.put(image.exec_id, program)
        return look

    def _look(self, images: Sequence[Image], known: Sequence[NamedProgram | None], pid: int) -> _DiskFacts:
        """`known`: the program of each image, if it was found before."""
        image, device = images[0], file_identity.decode_device(images[0].device)
        programs = tuple(program or self.name(each) for each, program in zip(images, known, strict=True))
        is_changed = _is_changed(image, programs[0])
        is_host_file = not is_changed and _is_host_file(image, programs[0], pid)
        return _DiskFacts(
            programs=programs,
            is_changed=is_changed,
            is_host_file=is_host_file,
            started_as=find_started_as(image, programs[0]) if is_host_file else None,
            snap=file_identity.find_snap(image.executable, device, image.inode),
        )

    def _sum(self, image: Image, pid: int, uid: int) -> _Sum:
        """A large file may take its time, also on a slow disk; a read that does not come on is given up.

        But any user may have any number of large files, and change them: only root's are read at any time, others only
        within the time that scan_budget.py allows."""
        with self._sum_time.look(pid) as may_be_long:
            work = partial(self._read_sum, image, may_be_long)
            found = self._reader.read_of(uid, work, lambda: self._digests.read_bytes)
        return found or _Sum(is_known=False, is_silent=True)

    def _read_sum(self, image: Image, may_be_long: bool) -> _Sum:
        is_any_size = may_be_long or file_identity.is_roots_alone(image.executable)
        most_bytes = MAX_BYTES if is_any_size else FEW_BYTES
        digest = self._digests.read_sha256(image.executable, most_bytes, partial(_is_as_executed, image))
        if digest is None:
            return _Sum(is_known=False, is_silent=not is_any_size)
        return _Sum(digest or None)

    def name(self, image: Image) -> NamedProgram:
        """What the image runs."""
        invocation = Invocation(
            executable=image.executable,
            argv=image.args,
            directory="" if image.flags & layout.IMAGE_DIRECTORY_CUT else image.directory,
            is_argv_complete=not image.flags & _ARGS_LOST,
        )
        return identify_program(
            invocation,
            partial(trusted_path.resolve_file, uid=image.uid, boot_ns=image.executed_ns),
            self._extra,
            partial(_is_roots, image),
            may_climb=partial(trusted_path.may_climb, image.uid),
        )

    def _ancestors(self, image: Image) -> Iterator[Image]:
        """Nearest first, up to init."""
        for _ in range(MAX_PARENTS):
            parent = self._find_parent(image)
            if parent is None:
                return
            yield parent
            image = parent

    def _find_parent(self, image: Image) -> Image | None:
        """The captured image of the parent; if that is forgotten or was never captured, one by /proc as it is now."""
        captured = self._table.find_image(image.parent_exec_id) if image.parent_exec_id else None
        if captured or not image.parent_pid:
            return captured
        entry = self._table.find_process(image.parent_pid)
        # A parent is never younger than its child: if it seems so, its pid is another process's now.
        is_older = entry is not None and procfs.is_no_younger(entry.started_ns, image.started_ns)
        captured = self._table.find_image(entry.exec_id) if entry and is_older else None
        if captured:
            return captured
        live = procfs.read_process(image.parent_pid)
        return bare_image_of(live) if live and procfs.is_no_younger(live.started_ns, image.started_ns) else None


def _grains_of(image: Image, program: NamedProgram, parents: Sequence[NamedProgram]) -> Grains:
    """The grains that tell all that this process is named by. What the disk told at one time may be otherwise for the
    next exec. Of ancestors the arguments are in the grain, too."""
    if program.is_by_disk:
        return NO_GRAINS
    return Grains(
        file=0 if program.is_by_args else image.file_id,
        args=image.args_id,
        lineage=0 if program.is_by_args or any(parent.is_by_disk for parent in parents) else image.lineage_id,
    )


def _with_paths(images: Sequence[Image]) -> Iterator[Image]:
    """An image and its ancestors, each with a path. A file that was mounted by itself and unmounted again has the path
    `/`: rootless buildah and skopeo execute themselves from such a file. It gets the path of the nearest ancestor that
    runs the same file."""
    for position, image in enumerate(images):
        same = (each for each in images[position + 1 :] if _is_same_file(each, image) and each.executable != _UNMOUNTED)
        original = next(same, None) if image.executable == _UNMOUNTED else None
        yield msgspec.structs.replace(image, executable=original.executable) if original else image


def _mark_container(image: Image, cgroup: str | None) -> Image:
    """In a container any file may be at a path, mounted by an engine that is root in our user namespace: so what runs
    there, or may do so, is marked as if it ran in a user namespace of its own."""
    is_container = cgroup is None or any(owner.startswith(CONTAINER) for owner in owners_of_cgroup(cgroup))
    return msgspec.structs.replace(image, flags=image.flags | layout.IMAGE_USER_NAMESPACE) if is_container else image


def _is_same_file(image: Image, other: Image) -> bool:
    return (image.device, image.inode) == (other.device, other.inode)


def _is_host_file(image: Image, program: NamedProgram, pid: int) -> bool:
    """Whether the program is the host's file: an executable by device and inode; a script, of which only the path is
    known, by what the process sees at the path."""
    device = file_identity.decode_device(image.device)
    is_ours = not image.flags & (layout.IMAGE_USER_NAMESPACE | layout.IMAGE_DELETED)
    if not file_identity.is_host_file(image.executable, device, image.inode, is_seen_by_all=is_ours):
        return False
    return program.run_by is None or (is_ours and file_identity.is_seen_alike(pid, program.path))


def _limit_parents(paths: Iterable[str]) -> Iterator[str]:
    """The first paths, MAX_PARENTS_LENGTH characters at most."""
    room = MAX_PARENTS_LENGTH
    for path in paths:
        room -= len(path)
        if room < 0:
            return
        yield path


def _is_roots(image: Image, path: str) -> bool:
    """Whether root alone can change the file. False if it is not the host's: in a mount namespace of their own any user
    may have a folder that is root's alone."""
    device = file_identity.decode_device(image.device)
    return file_identity.is_host_file(path, device, image.inode) and file_identity.is_roots_alone(path)


def _is_changed(image: Image, program: NamedProgram) -> bool:
    """Whether a script is newer than the exec. Only the path of a script is known, so it must be older to count."""
    return program.run_by is not None and file_identity.is_changed_since(program.path, image.executed_ns)


def _is_as_executed(image: Image, descriptor: int) -> bool:
    """Whether an open file is the executed one, and cannot have been written since. A running file cannot be (ETXTBSY),
    but the process may have ended by now. st_ctime may lag by a tick: inode(7)."""
    is_same = file_identity.is_same_file(descriptor, file_identity.decode_device(image.device), image.inode)
    return is_same and file_identity.is_unwritten_since(descriptor, image.executed_ns - procfs.TICK_NS)


def _warn_of_environment(loaders: tuple[str, ...] | None) -> Iterator[str]:
    if loaders is None:
        yield "environment could not be read"
        return
    yield from (f"started with {name}" for name in loaders)


def _find_warnings(image: Image, facts: _DiskFacts) -> Iterator[str]:
    """What the prompt warns of."""
    is_deleted = bool(image.flags & layout.IMAGE_DELETED)
    if is_deleted:
        yield "runs from memory, not from a file" if image.executable.startswith(MEMORY_FILE) else "deleted file"
    paths = (image.executable, facts.programs[0].path)
    yield from (f"runs from {folder[:-1]}" for folder in _SUSPECT if any(path.startswith(folder) for path in paths))
    if not facts.is_known:
        yield UNTOLD
    elif facts.is_changed:
        yield "changed since it was started"
    elif not facts.is_host_file and not is_deleted:
        yield "not the host's file at this path"
    if image.flags & layout.IMAGE_ARGS_UNREADABLE:
        yield "arguments could not be read"
