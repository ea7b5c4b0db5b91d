"""Programs of which many are nearly alike: real files, captured as if they had been executed, and built as processes by
the product itself. Every one has a twin that differs in nothing but its exec id."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from tests.bpf.grains import grains_of, read_key
from tests.bpf.kernel_side import KernelSide
from tinysnitch.core.model.process import Attribution, AttributionSource, Process
from tinysnitch.kernel.attribution.process_builder import ProcessBuilder
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.layout import Owner
from tinysnitch.kernel.files.identity import encode_device
from tinysnitch.kernel.system.clock import read_boot_ns

NOBODYS_PIDS = 2**22 + 1  # from here on no process has one
FIRST_EXEC_ID = 1000  # far below those of what is executed, which begin at the time since boot
UIDS = (0, 1000, 65534)
FLAGS = (
    layout.IMAGE_ARGS_CUT,
    layout.IMAGE_ARGS_UNREADABLE,
    layout.IMAGE_USER_NAMESPACE,
    layout.IMAGE_DELETED,
    layout.IMAGE_UNLINKED,
)
FAMILIES = 24
PARENTS = 3
TWINS = 3  # the first of a family are alike in all but the exec id


class Spec(NamedTuple):
    """How a program is executed."""

    file: Path
    args: tuple[str, ...]
    uid: int
    cgroup: int
    parent: "Member | None"
    flags: int = 0
    later_uid: int | None = None  # that the process has changed to


class Member(NamedTuple):
    spec: Spec
    image: Image
    owner: Owner
    attribution: Attribution

    @property
    def process(self) -> Process:
        assert self.attribution.process
        return self.attribution.process


class ProgramPool:
    """`families`: lists of programs that are nearly alike, the first TWINS of them wholly."""

    def __init__(self, kernel: KernelSide, folder: Path, cgroups: list[Path], chance: Random) -> None:
        self._kernel, self._chance = kernel, chance
        self._key = read_key(kernel.programs)
        self._cgroups = [cgroup.stat().st_ino for cgroup in cgroups]
        self._files, self._argvs = _make_files(folder)
        self._count = 0
        self.families: list[list[Member]] = []
        with closing(ProcessBuilder(kernel.programs, needs_sha256=lambda _path: True)) as self._builder:
            parents = [self._add(self._draw(None)) for _ in range(PARENTS)]
            parents += [self._add(self._draw(chance.choice(parents))) for _ in range(PARENTS)]
            for _ in range(FAMILIES):
                self.families.append([self._add(spec) for spec in self._relatives(parents)])

    def _draw(self, parent: Member | None) -> Spec:
        file = self._chance.choice(self._files)
        argv, uid = self._chance.choice(self._argvs), self._chance.choice(UIDS)
        return Spec(file, argv, uid, self._chance.choice(self._cgroups), parent)

    def _relatives(self, parents: list[Member]) -> Iterator[Spec]:
        one = self._draw(self._chance.choice([None, *parents]))
        twin_parent = self._add(self._chance.choice(parents).spec)
        yield from [one] * TWINS
        yield one._replace(parent=twin_parent)
        yield from (one._replace(args=args) for args in self._chance.sample(self._argvs, 3))
        yield from (one._replace(file=file) for file in self._chance.sample(self._files, 2))
        yield from (one._replace(parent=parent) for parent in self._chance.sample(parents, 3))
        yield one._replace(uid=self._chance.choice(UIDS))
        yield one._replace(later_uid=self._chance.choice(UIDS))
        yield one._replace(cgroup=self._chance.choice(self._cgroups))
        yield one._replace(flags=self._chance.choice(FLAGS))

    def _add(self, spec: Spec) -> Member:
        self._count += 1
        exec_id = FIRST_EXEC_ID + self._count
        file, parent = spec.file.stat(), spec.parent.image if spec.parent else None
        image = Image(
            exec_id=exec_id,
            parent_exec_id=parent.exec_id if parent else 0,
            inode=file.st_ino,
            cgroup_id=spec.cgroup,
            started_ns=1,
            executed_ns=read_boot_ns(),
            device=encode_device(file.st_dev),
            pid=NOBODYS_PIDS + self._count,
            parent_pid=0,
            uid=spec.uid,
            flags=spec.flags,
            executable=str(spec.file),
            directory="/",
            args=(spec.file.name, *spec.args),
        )
        grains = grains_of(self._key, image, parent)
        image = replace(image, file_id=grains.file, args_id=grains.args, lineage_id=grains.lineage)
        uid = spec.uid if spec.later_uid is None else spec.later_uid
        owner = Owner(exec_id, image.started_ns, image.pid, uid)
        self._kernel.add_image(image, owner)
        # A script counts only if its process sees the same file at its path: so the pid is ours.
        process = self._builder.build(image, pid=os.getpid(), started_ns=image.started_ns, uid=uid)
        return Member(spec, image, owner, Attribution(AttributionSource.BPF, process))


def _make_files(folder: Path) -> tuple[list[Path], list[tuple[str, ...]]]:
    """Executables, and arguments of which some name a script."""
    files = [folder / name for name in ("one", "two", "hard")]
    for file in files[:2]:
        shutil.copy("/bin/true", file)
        with file.open("ab") as end:
            end.write(file.name.encode())
    files[2].hardlink_to(files[0])
    scripts = [folder / "one.py", folder / "two.py"]
    for script in scripts:
        script.write_text(script.name)
    time.sleep(0.02)  # a file of the same tick may seem to be newer than its exec
    python, shell = Path(sys.executable).resolve(), Path("/bin/sh").resolve()
    argvs: list[tuple[str, ...]] = [(), ("-s",), ("-s", "x"), ("-m", "http"), ("-c", "pass")]
    argvs += [(str(script),) for script in scripts] + [(str(scripts[0]), "-s")]
    return [*files, python, shell], argvs
