import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import msgspec
import pytest

from tests.bpf.attribution_table import DictTable, make_image
from tinysnitch.core.model.process import Process
from tinysnitch.kernel.attribution import process_builder
from tinysnitch.kernel.attribution.process_builder import AGAIN_S, MAX_PARENTS_LENGTH, UNTOLD, NoImages, ProcessBuilder
from tinysnitch.kernel.attribution.process_image import image_of
from tinysnitch.kernel.attribution.scan_budget import ScanBudget
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.layout import ProcessEntry
from tinysnitch.kernel.files import identity as file_identity
from tinysnitch.kernel.files.digests import FEW_BYTES, LONGEST_SUM_S, MAX_BYTES, Digests
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.cgroups import CgroupPaths
from tinysnitch.kernel.system.clock import read_boot_ns
from tinysnitch.kernel.system.offload import Offload

PYTHON = os.path.realpath("/usr/bin/python3")
NOBODY = 2**22 + 1


@pytest.fixture
def table() -> DictTable:
    return DictTable()


@pytest.fixture
def builder(table: DictTable) -> Iterator[ProcessBuilder]:
    made = ProcessBuilder(table)
    yield made
    made.close()


def build(builder: ProcessBuilder, image: Image) -> Process:
    return builder.build(image, pid=NOBODY, started_ns=5, uid=1000)


def test_a_plain_program(builder: ProcessBuilder) -> None:
    process = build(builder, make_image("/usr/bin/env", "env", "a", "\udcff"))
    file = os.stat("/usr/bin/env")
    assert (process.exec_id, process.pid, process.started_ns, process.uid) == (100, NOBODY, 5, 1000)
    assert (process.executable, process.device, process.inode) == ("/usr/bin/env", file.st_dev, file.st_ino)
    assert (process.program, process.args, process.run_by) == ("/usr/bin/env", ("a", "\udcff"), None)
    assert (process.is_host_file, process.are_args_complete, process.warnings) == (True, True, ())


def test_a_script_is_named_by_its_own_path(builder: ProcessBuilder, tmp_path: Path) -> None:
    script = tmp_path / "x.py"
    script.write_text("")
    process = build(builder, make_image(PYTHON, "python3", "-u", "x.py", "1200", directory=str(tmp_path)))
    assert (process.program, process.args, process.run_by) == (str(script), ("1200",), PYTHON)
    assert process.is_host_file


def test_a_script_that_was_found_keeps_its_name_when_its_file_goes(builder: ProcessBuilder, tmp_path: Path) -> None:
    script, now_ns = tmp_path / "x.py", read_boot_ns()
    script.write_text("")
    images = [make_image(PYTHON, "python3", str(script), exec_id=number, executed_ns=now_ns) for number in (100, 101)]
    build(builder, images[0])
    script.unlink()
    found, never_found = (build(builder, image) for image in images)
    assert (found.program, found.is_host_file) == (str(script), False)
    assert never_found.program == PYTHON


def test_the_name_it_was_started_by_is_told_of_the_hosts_own_file_alone(builder: ProcessBuilder) -> None:
    link, file = "/usr/bin/sh", os.path.realpath("/usr/bin/sh")  # dash
    for exec_id, inode, told in ((200, os.stat(file).st_ino, link), (201, 1, None)):
        image = make_image(file, "sh", started_as=link, inode=inode, exec_id=exec_id)
        assert build(builder, image).started_as == told


def test_a_script_whose_name_may_be_cut_is_not_named(builder: ProcessBuilder, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("")
    image = make_image(PYTHON, "python3", f"{tmp_path}/x.py", flags=layout.IMAGE_ARGS_CUT)
    assert build(builder, image).program == PYTHON


@pytest.mark.privileged
def test_a_script_behind_a_link_of_its_user_and_above_the_folder_of_its_user(
    builder: ProcessBuilder, tmp_path: Path
) -> None:
    """The file is as old as the process at least, and only its owner could have moved it."""
    script, link, folder = tmp_path / "x.py", tmp_path / "link", tmp_path / "folder"
    script.write_text("")
    link.symlink_to(script)
    folder.mkdir()
    for path in (script, link, folder):
        os.lchown(path, 1000, 1000)
    tmp_path.chmod(0o777)
    now_ns = read_boot_ns()
    for number, (named, directory) in enumerate([(str(link), "/"), ("../x.py", str(folder))]):
        cases = [(1000, str(script)), (1001, PYTHON)]
        for exec_id, (uid, program) in enumerate(cases, 100 + 2 * number):
            words = {"uid": uid, "executed_ns": now_ns, "directory": directory, "exec_id": exec_id}
            assert build(builder, make_image(PYTHON, "python3", named, **words)).program == program


@pytest.mark.parametrize(("is_roots", "inode"), [(True, None), (False, None), (True, 1)])
def test_an_interpreter_elsewhere_is_roots_and_the_hosts(
    builder: ProcessBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_roots: bool, inode: int | None
) -> None:
    monkeypatch.setattr(file_identity, "is_roots_alone", lambda _path: is_roots)
    script, python = tmp_path / "x.py", tmp_path / "python3"
    for file in (script, python):
        file.write_text("")
    other = {} if inode is None else {"inode": inode}
    process = build(builder, make_image(str(python), "python3", str(script), **other))
    assert process.program == str(script if is_roots and inode is None else python)


@pytest.mark.parametrize(
    ("cgroup", "flags"), [("/", layout.IMAGE_USER_NAMESPACE), (f"/docker-{'01' * 32}.scope", 0), (None, 0)]
)
def test_a_script_in_another_user_namespace_or_in_what_may_be_a_container_is_not_the_hosts(
    builder: ProcessBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup: str | None, flags: int
) -> None:
    """Also when its mounts cannot be looked at any more. (An executable is told by its inode.)"""
    (tmp_path / "x.py").write_text("")
    monkeypatch.setattr(CgroupPaths, "find", lambda *_: cgroup)
    script = build(builder, make_image(PYTHON, "python3", f"{tmp_path}/x.py", flags=flags))
    assert (script.program, script.is_host_file, script.is_file_told) == (f"{tmp_path}/x.py", False, bool(cgroup))
    assert build(builder, make_image("/usr/bin/env", exec_id=101, flags=flags)).is_host_file


def test_a_script_that_changed_since_it_was_started_is_not_the_hosts(builder: ProcessBuilder, tmp_path: Path) -> None:
    """An executable is told by its inode: another file has another one."""
    (tmp_path / "x.py").write_text("")
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    script = build(builder, make_image(PYTHON, "python3", f"{tmp_path}/x.py", executed_ns=now_ns))
    assert (script.is_host_file, "changed since it was started" in script.warnings) == (True, False)
    script = build(builder, make_image(PYTHON, "python3", f"{tmp_path}/x.py", executed_ns=now_ns - 10**9, exec_id=101))
    assert (script.program, script.is_host_file) == (f"{tmp_path}/x.py", False)
    assert script.warnings[-1:] == ("changed since it was started",)
    assert build(builder, make_image(f"{tmp_path}/x.py", exec_id=102, executed_ns=1)).is_host_file


def test_a_folder_that_is_not_its_own_names_no_script(builder: ProcessBuilder, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("")
    image = make_image(PYTHON, "python3", "x.py", directory=str(tmp_path), flags=layout.IMAGE_DIRECTORY_CUT)
    assert build(builder, image).program == PYTHON


def test_a_snap_of_a_user_runs_its_own_file(
    builder: ProcessBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "hello" / "42" / "hello"
    program.parent.mkdir(parents=True)
    program.write_text("")
    monkeypatch.setattr(file_identity, "SNAP_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(CgroupPaths, "find", lambda *_: "/user@1000.service/app.slice/snap.hello.hello-1.scope")
    assert build(builder, make_image(str(program))).owners == ("snap:hello", "unit:user@1000.service")
    assert build(builder, make_image("/usr/bin/env", exec_id=101)).owners == ("unit:user@1000.service",)


def test_another_file_at_the_path_is_not_the_hosts(builder: ProcessBuilder, tmp_path: Path) -> None:
    process = build(builder, make_image("/usr/bin/env", "env", inode=1))
    assert not process.is_host_file
    assert process.warnings == ("not the host's file at this path",)
    (tmp_path / "x.py").write_text("")
    script = build(builder, make_image(PYTHON, "python3", f"{tmp_path}/x.py", inode=1, exec_id=101))
    assert (script.program, script.is_host_file) == (f"{tmp_path}/x.py", False)


def test_a_deleted_program_in_tmp(builder: ProcessBuilder) -> None:
    process = build(builder, make_image("/tmp/gone", "gone", flags=layout.IMAGE_DELETED))
    assert not process.is_host_file
    assert process.warnings == ("deleted file", "runs from /tmp")


def test_a_script_in_tmp_and_an_interpreter_in_tmp(
    builder: ProcessBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two is in /tmp."""
    monkeypatch.setattr(process_builder, "_SUSPECT", (f"{tmp_path}/",))
    monkeypatch.setattr(file_identity, "is_roots_alone", lambda _path: True)
    script, python = tmp_path / "x.py", tmp_path / "python3"
    for file in (script, python):
        file.write_text("")
    for number, (interpreter, named) in enumerate([(PYTHON, str(script)), (str(python), "/usr/bin/env")]):
        process = build(builder, make_image(interpreter, "python3", named, exec_id=100 + number))
        assert (process.program, process.warnings) == (named, (f"runs from {tmp_path}",))


def test_a_program_in_memory_never_was_a_file(builder: ProcessBuilder) -> None:
    process = build(builder, make_image("/memfd:x", "x", flags=layout.IMAGE_DELETED))
    assert process.warnings == ("runs from memory, not from a file",)


@pytest.mark.parametrize(
    ("flag", "warnings"),
    [
        (layout.IMAGE_ARGS_CUT, ()),  # that they are not complete is warned of by the view
        (layout.IMAGE_ARGS_UNREADABLE, ("arguments could not be read",)),
    ],
)
def test_lost_arguments(builder: ProcessBuilder, flag: int, warnings: tuple[str, ...]) -> None:
    process = build(builder, make_image("/usr/bin/env", "env", "a", flags=flag))
    assert (process.are_args_complete, process.warnings) == (False, warnings)


def test_parents_come_from_their_images(builder: ProcessBuilder, table: DictTable) -> None:
    table.images = {
        1: make_image("/sbin/init", exec_id=1, pid=1),
        2: make_image("/usr/bin/bash", "bash", exec_id=2, parent_exec_id=1, pid=7),
    }
    assert build(builder, make_image(parent_exec_id=2, parent_pid=os.getpid())).parents == (
        "/usr/bin/bash",
        "/sbin/init",
    )


def test_a_file_without_a_path_is_called_like_the_ancestor_that_runs_it(
    builder: ProcessBuilder, table: DictTable
) -> None:
    table.images = {
        1: make_image("/usr/bin/bash", exec_id=1),
        2: make_image("/usr/bin/env", "env", exec_id=2, parent_exec_id=1),
    }
    unmounted = msgspec.structs.replace(
        make_image("/usr/bin/env", "env", "a", exec_id=3, parent_exec_id=2),
        executable="/",
        flags=layout.IMAGE_USER_NAMESPACE,
    )
    process = build(builder, unmounted)
    assert (process.program, process.args, process.is_host_file) == ("/usr/bin/env", ("a",), True)
    table.images[3] = unmounted
    below = build(builder, make_image("/usr/bin/bash", exec_id=4, parent_exec_id=3))
    assert below.parents == ("/usr/bin/env", "/usr/bin/env", "/usr/bin/bash")
    assert build(builder, msgspec.structs.replace(unmounted, exec_id=5, parent_exec_id=1)).program == "/"


def test_a_parent_whose_image_is_gone_is_read_from_proc(builder: ProcessBuilder) -> None:
    own = procfs.read_process(os.getpid())
    assert own
    image = make_image(parent_exec_id=77, parent_pid=os.getpid(), started_ns=own.started_ns)
    parents = build(builder, image).parents
    assert parents
    ancestors = build(builder, image_of(own))
    assert parents == (ancestors.program, *ancestors.parents)


def test_a_live_parent_with_an_image_is_named_by_the_image(builder: ProcessBuilder, table: DictTable) -> None:
    table.images[9] = make_image("/opt/parent", exec_id=9)
    table.processes[os.getpid()] = ProcessEntry(9, 1000)
    assert build(builder, make_image(parent_pid=os.getpid())).parents == ("/opt/parent",)


def test_a_younger_process_is_no_parent(builder: ProcessBuilder, table: DictTable) -> None:
    """The parent ended, and its pid was given to another."""
    table.images[9] = make_image("/opt/other", exec_id=9)
    table.processes[os.getpid()] = ProcessEntry(9, 2**62)
    assert build(builder, make_image(parent_pid=os.getpid(), started_ns=20_000_000)).parents == ()


def test_parents_in_a_circle_end(builder: ProcessBuilder, table: DictTable) -> None:
    table.images[9] = make_image("/opt/x", exec_id=9, parent_exec_id=9)
    assert set(build(builder, make_image(parent_exec_id=9)).parents) == {"/opt/x"}


def test_parents_with_long_names_leave_a_question_that_fits_into_a_frame(
    builder: ProcessBuilder, table: DictTable
) -> None:
    long = f"/opt/{'x' * 3000}"
    table.images = {number: make_image(long, exec_id=number, parent_exec_id=number + 1) for number in range(1, 50)}
    parents = build(builder, make_image(parent_exec_id=1)).parents
    assert parents == (long,) * (MAX_PARENTS_LENGTH // len(long))


def test_sha256_only_when_demanded_and_only_of_the_hosts_file() -> None:
    demanding = ProcessBuilder(NoImages(), needs_sha256=lambda path: path == "/usr/bin/env")
    expected = hashlib.sha256(Path("/usr/bin/env").read_bytes()).hexdigest()
    assert build(demanding, make_image("/usr/bin/env")).sha256 == expected
    assert build(demanding, make_image("/usr/bin/env", exec_id=101, inode=1)).sha256 is None
    assert build(demanding, make_image("/bin/sh", exec_id=102)).sha256 is None
    demanding.close()


@pytest.mark.parametrize("is_roots", [False, True])
def test_large_files_of_others_than_root_are_summed_a_part_of_the_time(
    monkeypatch: pytest.MonkeyPatch, is_roots: bool
) -> None:
    """A file of 512 MB would delay all verdicts by a third of a second, each time that it is changed."""
    now_s, limits = 0.0, []

    def read_slowly(_digests: Digests, _path: str, most_bytes: int, _counts: object) -> str | None:
        nonlocal now_s
        limits.append(most_bytes)
        now_s += 0.3 if most_bytes == MAX_BYTES else 0.001
        return "sum" if most_bytes == MAX_BYTES else None

    monkeypatch.setattr(Digests, "read_sha256", read_slowly)
    monkeypatch.setattr(file_identity, "is_roots_alone", lambda _path: is_roots)
    with closing(ProcessBuilder(NoImages(), needs_sha256=lambda path: path == "/usr/bin/env")) as demanding:
        monkeypatch.setattr(demanding, "_sum_time", ScanBudget(lambda: now_s, LONGEST_SUM_S))
        built = [build(demanding, make_image("/usr/bin/env", exec_id=100 + number)) for number in range(3)]
        now_s += 10.0
        built.append(build(demanding, make_image("/usr/bin/env", exec_id=99)))
    assert limits == [MAX_BYTES, *[MAX_BYTES if is_roots else FEW_BYTES] * 2, MAX_BYTES]
    told = [(each.is_sha256_told, each.is_file_told) for each in built]
    assert told == [(True, True), *[(is_roots, is_roots)] * 2, (True, True)]


def test_sha256_of_a_file_that_may_have_been_written_after_the_start_is_nobodys(tmp_path: Path) -> None:
    """Also if it was written within the clock tick of the start."""
    demanding, program = ProcessBuilder(NoImages(), needs_sha256=lambda _path: True), tmp_path / "program"
    program.write_text("x")
    now_ns, expected = read_boot_ns(), hashlib.sha256(b"x").hexdigest()
    starts = {0: expected, now_ns - 1_000_000_000: None, now_ns: None, now_ns + 1_000_000_000: expected}
    for number, (executed_ns, digest) in enumerate(starts.items()):
        image = make_image(str(program), exec_id=200 + number, executed_ns=executed_ns)
        assert build(demanding, image).sha256 == digest
    demanding.close()


def test_sha256_is_not_of_another_file_that_came_to_the_path_meanwhile(tmp_path: Path) -> None:
    """A folder above was exchanged: the time of the file in it does not tell."""
    folders = executed, other = tmp_path / "executed", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
        (folder / "program").write_text(folder.name)

    def exchange(_path: str) -> bool:
        executed.rename(tmp_path / "aside")
        other.rename(executed)
        return True

    image = make_image(f"{executed}/program", executed_ns=read_boot_ns() + 1_000_000_000)
    with closing(ProcessBuilder(NoImages(), needs_sha256=exchange)) as demanding:
        built = build(demanding, image)
    assert (built.is_host_file, built.sha256) == (True, None)


def test_of_a_file_that_cannot_be_read_no_sum_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_words: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Digests, "_read_digest", fail)
    with closing(ProcessBuilder(NoImages(), needs_sha256=lambda path: path == "/usr/bin/env")) as demanding:
        unread = build(demanding, make_image("/usr/bin/env"))
        unasked = build(demanding, make_image("/bin/sh", exec_id=101))
    assert (unread.sha256, unread.is_sha256_told) == (None, False)
    assert unasked.is_sha256_told


def test_a_sum_that_is_not_read_in_time_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(ProcessBuilder(NoImages(), needs_sha256=lambda _path: True)) as demanding:
        monkeypatch.setattr(demanding._reader, "read_of", lambda *_words: None)
        unread = build(demanding, make_image("/usr/bin/env"))
    assert (unread.sha256, unread.is_sha256_told, unread.is_file_told) == (None, False, False)


def test_extra_interpreters(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with closing(ProcessBuilder(NoImages(), extra_interpreters=["env"])) as builder:
        process = build(builder, make_image("/usr/bin/env", "env", f"{tmp_path}/x"))
    assert (process.program, process.run_by) == (f"{tmp_path}/x", "/usr/bin/env")


def test_an_environment_that_cannot_be_read_is_warned_of(
    builder: ProcessBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "bounded", Offload(procfs.read_uid))
    over = Event()
    procfs.bounded.read(os.getpid(), over.wait)
    status = procfs.read_stat(os.getpid())
    assert status
    image = make_image("/usr/bin/env")
    built = builder.build(image, pid=os.getpid(), started_ns=status.started_ns, uid=1000)
    assert built.warnings == ("environment could not be read",)
    over.set()


@pytest.mark.parametrize(("waited_s", "is_told"), [(AGAIN_S - 0.1, False), (AGAIN_S, True)])
def test_a_file_that_cannot_be_looked_up_is_not_the_hosts_until_it_can(
    monkeypatch: pytest.MonkeyPatch, waited_s: float, is_told: bool
) -> None:
    """It is looked up again only after a while, since each look is a wait."""
    over, now_s = Event(), 1000.0
    monkeypatch.setattr(procfs, "bounded", Offload(procfs.read_uid))
    monkeypatch.setattr(file_identity, "is_host_file", lambda *_words, **_more: over.wait())
    image = make_image("/usr/bin/env", "env", "a")
    with closing(ProcessBuilder(NoImages(), clock=lambda: now_s)) as builder:
        untold = build(builder, image)
        assert (untold.program, untold.args, untold.warnings) == ("/usr/bin/env", ("a",), (UNTOLD,))
        assert (untold.is_host_file, untold.is_file_told, untold.is_sha256_told) == (False, False, False)
        over.set()
        now_s += waited_s
        monkeypatch.setattr(procfs, "bounded", Offload(procfs.read_uid))
        later = build(builder, image)
    warnings = () if is_told else (UNTOLD,)
    assert (later.is_host_file, later.is_file_told, later.warnings) == (is_told, is_told, warnings)
