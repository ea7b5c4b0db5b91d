"""process.bpf.c: what is captured at exec, shared by fork, and kept for a while after the end."""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bpf.bpf_place import AGENT, BpfPlace
from tests.bpf.pinned_tables import change_share, fill_retired
from tests.lab.patience import wait_until
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.files.identity import decode_device, is_same_file

pytestmark = pytest.mark.privileged

NOBODY = 65534
# Uids that nothing else uses, also not these tests in another process of pytest-xdist: it would change what is counted.
LONER, HERMIT = (6400 + 2 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) + each for each in range(2))
ROOTS = 40  # more than the programs of root that end during a test, and began after its BPF programs were loaded
KEPT = 4096  # images that stay known after their end: max_entries of `retired`
FEW = 100  # images that end here: more than of others, from the load of the programs to the first one here


def trace_images(programs: BpfPrograms, run: Callable[[], object]) -> list[Image]:
    """The images of all that was executed on this machine during `run()`."""
    programs.settings.set_tracing(True)
    run()
    programs.settings.set_tracing(False)
    traces = programs.read_traces()
    found = [programs.find_image(trace.owner.exec_id) for trace in traces if trace.kind == layout.TRACE_EXEC]
    return [image for image in found if image]


def run_captured(
    programs: BpfPrograms, argv: list[str | bytes], *, file: Path | None = None, cwd: str = "/", uid: int = 0
) -> Image:
    """The image of a command that has ended."""
    pids = []

    def run() -> None:
        with subprocess.Popen(argv, executable=file, cwd=cwd, user=uid) as child:
            pids.append(child.pid)

    [image] = [image for image in trace_images(programs, run) if image.pid in pids]
    return image


def run_python(script: str, *descriptors: int) -> None:
    subprocess.run([sys.executable, "-I", "-S", "-c", script], pass_fds=descriptors, check=True)


def test_an_exec_is_captured_whole(programs: BpfPrograms) -> None:
    image = run_captured(programs, ["true", "a b", "", "c\nd"], file=Path("/bin/true"), cwd="/usr/share")
    assert image.executable == os.path.realpath("/bin/true")
    assert image.directory == "/usr/share"
    assert image.args == ("true", "a b", "", "c\nd")
    assert (image.uid, image.parent_pid, image.flags) == (0, os.getpid(), 0)
    file = os.open("/bin/true", os.O_PATH)
    assert is_same_file(file, decode_device(image.device), image.inode)
    os.close(file)


def test_the_user_is_known(programs: BpfPrograms) -> None:
    assert run_captured(programs, ["/bin/true"], uid=NOBODY).uid == NOBODY


def test_when_it_was_executed_is_captured_not_when_the_process_started(programs: BpfPrograms) -> None:
    """A process may execute another program long after its start."""
    command = ("sh", "-c", "sleep 0.1; exec true")
    images = trace_images(programs, lambda: subprocess.run(command, check=True))
    [shell] = [image for image in images if image.args == command and image.parent_pid == os.getpid()]
    [last] = [image for image in images if image.pid == shell.pid and image.args == ("true",)]
    assert shell.started_ns == last.started_ns <= shell.executed_ns <= last.executed_ns - 100_000_000
    assert last.executed_ns <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_the_root_folder_is_a_slash(programs: BpfPrograms) -> None:
    assert run_captured(programs, ["/bin/true"]).directory == "/"


def test_bytes_that_are_not_utf8_come_back(programs: BpfPrograms) -> None:
    image = run_captured(programs, ["/bin/true", b"\xff\x1b["])
    assert [os.fsencode(arg) for arg in image.args] == [b"/bin/true", b"\xff\x1b["]


def test_the_path_it_was_started_by_is_captured(programs: BpfPrograms, tmp_path: Path) -> None:
    """As the kernel was given it: a link's path, whatever the first argument says. A long path is cut."""
    link = tmp_path / "link"
    link.symlink_to("/bin/true")
    image = run_captured(programs, ["false"], file=link)
    assert (image.started_as, image.executable) == (str(link), os.path.realpath("/bin/true"))
    assert run_captured(programs, ["./link"], cwd=str(tmp_path)).started_as == "./link"
    cut = run_captured(programs, [f"{tmp_path}/{'./' * layout.STARTED_AS_SIZE}link"]).started_as
    assert len(cut) == layout.STARTED_AS_SIZE - 1


@pytest.mark.parametrize(("size", "is_cut"), [(layout.ARGS_SIZE - len("true\0\0"), False), (layout.ARGS_SIZE, True)])
def test_long_args_are_flagged(programs: BpfPrograms, size: int, is_cut: bool) -> None:
    image = run_captured(programs, ["true", "x" * size], file=Path("/bin/true"))
    assert bool(image.flags & layout.IMAGE_ARGS_CUT) is is_cut
    assert len(image.args[1]) == min(size, layout.ARGS_SIZE - len("true\0"))


def test_a_deep_path_is_flagged_and_equals_no_real_one(programs: BpfPrograms, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d" * 200] * 6)
    folder.mkdir(parents=True)
    copy = folder / "true"
    shutil.copy("/bin/true", copy)
    image = run_captured(programs, ["true"], file=copy)
    assert image.flags & layout.IMAGE_PATH_CUT
    assert not image.executable.startswith("/")
    assert str(copy).endswith("/" + image.executable)


def test_a_file_below_a_mount_in_a_mount(programs: BpfPrograms, tmp_path: Path) -> None:
    script = 'mount -t tmpfs none "$0"; mkdir "$0/in"; mount -t tmpfs none "$0/in"; cp /bin/true "$0/in"; "$0/in/true"'
    command = ["unshare", "--mount", "sh", "-c", script, tmp_path]
    images = trace_images(programs, lambda: subprocess.run(command, check=True))
    assert f"{tmp_path}/in/true" in [image.executable for image in images]


@pytest.mark.parametrize(
    ("script", "flag"),
    [
        ("unshare --user /bin/true $0", layout.IMAGE_USER_NAMESPACE),
        ("unshare --mount /bin/true $0", 0),  # made by root
        ('exec 9</usr; unshare --mount sh -c "cd /proc/self/fd/9; exec /bin/true $0"', layout.IMAGE_DIRECTORY_CUT),
        (
            'exec 9</usr; unshare --mount bash -c "exec -a /bin/true /proc/self/fd/9/bin/true $0"',
            layout.IMAGE_USER_NAMESPACE,
        ),
    ],
)
def test_an_exec_that_sees_other_mounts_is_flagged(programs: BpfPrograms, script: str, flag: int) -> None:
    """The last two have their folder, or the file, in mounts that they have left. All that this machine executes is
    traced, and others execute /bin/true as well: an argument tells which is ours."""
    ours = f"of-{os.getpid()}"
    images = trace_images(programs, lambda: subprocess.run(["sh", "-ec", script, ours], check=True))
    assert [image.flags for image in images if image.args == ("/bin/true", ours)] == [flag]


def test_a_deleted_file_is_flagged(programs: BpfPrograms, tmp_path: Path) -> None:
    copy = tmp_path / "true"
    shutil.copy("/bin/true", copy)
    with copy.open("rb") as file:
        copy.unlink()
        script = f"import os; os.execve({file.fileno()}, ['true'], {{}})"
        images = trace_images(programs, lambda: run_python(script, file.fileno()))
    [image] = [image for image in images if image.executable == str(copy)]
    assert image.flags & layout.IMAGE_DELETED


def test_a_memfd_is_named_and_flagged(programs: BpfPrograms) -> None:
    fill = "fd = os.memfd_create('hidden'); os.write(fd, open('/bin/true', 'rb').read())"
    images = trace_images(programs, lambda: run_python(f"import os; {fill}; os.execve(fd, ['true'], {{}})"))
    [image] = [image for image in images if image.executable == "/memfd:hidden"]
    assert image.flags & layout.IMAGE_DELETED


def test_the_parent_is_known(place: BpfPlace, programs: BpfPrograms) -> None:
    agent = place.start_agent()
    images = trace_images(programs, lambda: agent.call("run_many", 1, "/bin/true"))
    [image] = [image for image in images if image.parent_pid == agent.pid]
    parent = programs.find_process(agent.pid)
    assert parent
    assert image.parent_exec_id == parent.exec_id
    assert image.executable == os.path.realpath("/bin/true")


def test_where_no_parent_is_known_it_is_the_image_that_ran_before(programs: BpfPrograms) -> None:
    command = ("sh", "-c", "exec true")
    images = trace_images(programs, lambda: subprocess.run(command, check=True))
    [shell] = [image for image in images if image.args == command and image.parent_pid == os.getpid()]
    [last] = [image for image in images if image.pid == shell.pid and image.args == ("true",)]
    assert (shell.parent_exec_id, last.parent_exec_id) == (0, shell.exec_id)
    assert shell.users == 0


def test_a_thread_is_no_process(place: BpfPlace, programs: BpfPrograms) -> None:
    agent = place.start_agent()
    entry = programs.find_process(agent.pid)
    assert entry
    agent.call("run_thread")
    assert programs.find_process(agent.pid) == entry
    image = programs.find_image(entry.exec_id)
    assert image
    assert image.users == 1


def test_a_fork_shares_the_image_until_its_end(place: BpfPlace, programs: BpfPrograms) -> None:
    agent = place.start_agent()
    child = agent.call("fork")
    parent_entry, child_entry = programs.find_process(agent.pid), programs.find_process(child)
    assert parent_entry
    assert child_entry
    assert child_entry.exec_id == parent_entry.exec_id
    assert child_entry.started_ns > parent_entry.started_ns
    image = programs.find_image(parent_entry.exec_id)
    assert image
    assert (image.users, image.args[-1]) == (2, str(AGENT))
    agent.call("end_child", child)
    image = programs.find_image(parent_entry.exec_id)
    assert image
    assert image.users == 1
    assert programs.find_process(child) is None


def run_all(uids: list[int]) -> list[subprocess.Popen[bytes]]:
    return [subprocess.Popen(["sleep", "60"], user=uid, group=0) for uid in uids]


@pytest.mark.parametrize(
    ("uid", "other", "is_together"),
    [(LONER, LONER, True), (LONER, HERMIT, False), (100_000, 200_000, True)],
    ids=["one user", "two users", "containers"],  # the numbers differ by process
)
@pytest.mark.parametrize(("what", "most"), [("images", layout.IMAGES_OF_ONE), ("processes", layout.PROCESSES_OF_ONE)])
def test_one_user_does_not_fill_the_table_for_all(
    programs: BpfPrograms, uid: int, other: int, is_together: bool, what: str, most: int
) -> None:
    """A program without room is unknown. Root has no limit. All users of containers count as one, since anybody may
    have thousands of them."""
    place = min(uid, layout.USERS_APART)
    change_share(programs, place, **{what: most - 1})
    change_share(programs, 0, **{what: most})
    running = run_all([uid, other, *[0] * ROOTS])
    try:
        known = [bool(programs.find_process(one.pid)) for one in running]
        assert known == [True, not is_together, *[True] * ROOTS]
        assert bool(programs.read_statistics()[f"lost_{what}"]) == is_together  # others may run in containers, too
    finally:
        for one in running:
            one.kill()
            one.wait()
    assert change_share(programs, place, **{what: most - 1})[what] == most - 1
    assert change_share(programs, 0, **{what: 0})[what] > most - ROOTS / 2
    again = run_captured(programs, ["/bin/true"], uid=uid)
    assert again.uid == uid


def kill_all(pids: list[int]) -> None:
    """Also waits for their ends: the hook at each has run by then (do_exit()), whoever is its parent."""
    ends = [os.pidfd_open(pid) for pid in pids]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for end in ends:
        assert select.select([end], [], [], 60)[0]
        os.close(end)


def test_forks_count_for_their_user(programs: BpfPrograms) -> None:
    """A process that executes another program is still one process."""
    change_share(programs, LONER, processes=layout.PROCESSES_OF_ONE - 3)
    script = "sleep 60 & sleep 60 & sleep 60 & echo; read line; exec sleep 60"
    with subprocess.Popen(["sh", "-c", script], user=LONER, group=0, stdin=-1, stdout=-1) as shell:
        assert shell.stdin
        assert shell.stdout
        shell.stdout.readline()
        children = [int(pid) for pid in Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()]
        try:
            wait_until(lambda: [bool(programs.find_process(pid)) for pid in children] == [True, True, False])
            shell.stdin.write(b"\n")
            shell.stdin.flush()
            wait_until(lambda: Path(f"/proc/{shell.pid}/comm").read_text() == "sleep\n")
            assert programs.find_process(shell.pid)
        finally:
            kill_all([*children, shell.pid])
    had = change_share(programs, LONER)
    assert had["processes"] == layout.PROCESSES_OF_ONE - 3


def test_forks_of_a_program_that_root_started_count_for_the_user_it_became(programs: BpfPrograms) -> None:
    """A web server's workers run whatever an attacker makes of them, and need not execute anything."""
    change_share(programs, LONER, processes=layout.PROCESSES_OF_ONE - 1)
    script = f"""
import os, signal
os.setresuid({LONER}, {LONER}, {LONER})
for _time in range(2):
    pid = os.fork()
    if not pid:
        signal.pause()
    print(pid, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", script], stdout=-1) as worker:
        assert worker.stdout
        children = [int(worker.stdout.readline()) for _time in range(2)]
        try:
            assert [bool(programs.find_process(pid)) for pid in children] == [True, False]
        finally:
            kill_all([*children, worker.pid])
    assert change_share(programs, LONER)["processes"] == layout.PROCESSES_OF_ONE - 1


def test_an_image_stays_for_the_next_retirements_and_then_goes(place: BpfPlace, programs: BpfPrograms) -> None:
    first = run_captured(programs, ["/bin/true"])
    agent = place.start_agent()
    agent.call("run_many", FEW, "/bin/true")
    assert programs.find_image(first.exec_id)
    assert fill_retired(programs) > KEPT / 2
    agent.call("run_many", FEW, "/bin/true")
    assert programs.find_image(first.exec_id) is None
    assert not any(programs.read_statistics().values())
