import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.lab.patience import WAIT_S, read_line, wait_until
from tests.lab.world import PROGRAMS
from tests.shortage import descriptors_left
from tinysnitch.kernel.proc import procfs

READY = "import os,sys; os.write(1, b'x\\n'); sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A process with an argument that is not UTF-8."""
    command: list[str | bytes] = [sys.executable, "-c", READY, b"\xff\n", b""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/usr/lib") as started:
        read_line(started)
        yield started
        started.kill()


def test_a_process_is_read_whole(child: subprocess.Popen[str]) -> None:
    found = procfs.read_process(child.pid)
    file = os.stat(sys.executable)
    assert found
    assert (found.pid, found.parent_pid, found.uid) == (child.pid, os.getpid(), os.getuid())
    assert found.argv == (sys.executable, "-c", READY, "\udcff\n", "")
    assert found.is_argv_complete
    assert found.executable == os.path.realpath(sys.executable)
    assert (found.device, found.inode, found.is_deleted) == (file.st_dev, file.st_ino, False)
    assert found.directory == "/usr/lib"
    assert found.cgroup.startswith("/")


@pytest.mark.parametrize("title", ["worker: idle", "worker: " + "x" * 300, "a b c d e"])
def test_a_title_is_no_arguments(title: str) -> None:
    """nginx, sshd, PostgreSQL and Chromium write a title over their arguments, and beyond them."""
    script = 'print "begun\\n"; <STDIN>; $0 = shift; print "titled\\n"; <STDIN>'
    command = ["/usr/bin/perl", "-e", f"$| = 1; {script}", title, ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as titled:
        assert titled.stdin
        read_line(titled)
        assert procfs.read_argv(titled.pid) == (tuple(command), True)
        titled.stdin.write("\n")
        titled.stdin.flush()
        read_line(titled)
        assert title.encode() in Path(f"/proc/{titled.pid}/cmdline").read_bytes()
        assert procfs.read_argv(titled.pid) == ((), False)


@pytest.mark.parametrize(
    ("stack", "order"),
    [
        (struct.pack("<QQ", 3, 0x7FFF_1234_5678), "little"),
        (struct.pack(">QQ", 3, 0x3FF_1234_5678), "big"),
        (struct.pack("<II", 3, 0xFFFF_1234), "little"),
        (struct.pack(">II", 3, 0x7FFF_1234), "big"),
    ],
)
def test_the_number_of_arguments_on_any_machine(stack: bytes, order: Literal["little", "big"]) -> None:
    assert procfs.parse_argc(stack[:8], order) == 3
    assert procfs.parse_argc(bytes(8), order) is None


def test_of_very_many_arguments_the_first_are_told() -> None:
    command = ["sh", "-c", "read line", *(["x" * 60] * 3000)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as long:
        wait_until(lambda: procfs.read_argv(long.pid)[0] != ())
        args, is_complete = procfs.read_argv(long.pid)
        assert not is_complete
        assert args == (*command[: len(args) - 1], args[-1])
        assert len(args) > 2000
        long.communicate(timeout=WAIT_S)


@pytest.mark.parametrize(("more", "is_whole"), [(0, True), (1, False), (100_000, False)])
def test_of_any_number_of_arguments_the_first_ones_are_read(more: int, is_whole: bool) -> None:
    """With 130,000 arguments in each of a thousand processes, a user could delay a start, or an end, by a minute."""
    empty = [""] * (4096 - 3 + more)
    with subprocess.Popen(["sh", "-c", "echo; read x", *empty], stdin=-1, stdout=-1, text=True) as many:
        read_line(many)
        begun_s = time.process_time()
        args, is_complete = procfs.read_argv(many.pid)
        assert time.process_time() - begun_s < 0.01
        many.kill()
    assert (args[:3], len(args), is_complete) == (("sh", "-c", "echo; read x"), 4096, is_whole)


def test_a_process_that_is_gone_is_none(child: subprocess.Popen[str]) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert procfs.read_process(child.pid) is None  # a zombie runs nothing any more
    child.wait(timeout=WAIT_S)
    assert procfs.read_process(child.pid) is None
    assert procfs.read_stat(child.pid) is None
    assert list(procfs.list_sockets(child.pid)) == []
    assert procfs.read_argv(child.pid) == ((), False)
    assert procfs.read_cgroup(child.pid) == ""


@pytest.mark.parametrize(
    "read",
    [
        procfs.read_stat,
        procfs.has_ended,
        procfs.is_ending,
        procfs.read_process,
        procfs.read_argv,
        procfs.read_cgroup,
        procfs.read_uid,
        lambda pid: list(procfs.list_sockets(pid)),
    ],
)
def test_a_process_of_which_nothing_can_be_told_now_is_not_gone(read: Callable[[int], object]) -> None:
    with descriptors_left(0), pytest.raises(OSError, match="Too many open files"):
        read(os.getpid())


def test_processes_that_vanish_meanwhile_never_raise() -> None:
    """Children end on their own while all processes are read."""
    children = [os.posix_spawn("/bin/true", ["true"], {}) for _ in range(50)]
    for pid in [*procfs.list_processes(), *children]:
        procfs.read_process(pid)
    for pid in children:
        os.waitpid(pid, 0)


def test_a_name_can_hold_parentheses(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "30"]) as started:
        status = procfs.read_stat(started.pid)
        started.kill()
    assert status
    assert status.parent_pid == os.getpid()


@pytest.mark.privileged
@pytest.mark.parametrize("name", [b"a\rUid:\t0", b"\rUid:\t0\t0", b"\nUid:\t0", b"Uid:\t0", b"a\x0bUid:\t0"])
def test_no_name_makes_a_user_of_a_process(name: bytes) -> None:
    """In the name of a process only newlines are escaped in /proc/PID/status (proc_task_name())."""
    rename = f"open('/proc/self/comm', 'wb').write({name!r}); {READY}"
    command = [sys.executable, "-c", rename]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=65534) as started:
        read_line(started)
        found = procfs.read_process(started.pid)
        assert procfs.read_uid(started.pid) == 65534
        started.kill()
    assert found
    assert found.uid == 65534


@pytest.mark.parametrize("is_deleted", [True, False])
@pytest.mark.parametrize("name", ["program", "program (deleted)"])
def test_a_deleted_executable_keeps_its_path_and_one_that_seems_so_too(
    tmp_path: Path, name: str, is_deleted: bool
) -> None:
    program = tmp_path / name
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "30"]) as started:
        if is_deleted:
            program.unlink()
        found = procfs.read_process(started.pid)
        started.kill()
    assert found
    assert (found.executable, found.is_deleted) == (str(program), is_deleted)


def test_start_times_compare_in_ticks(child: subprocess.Popen[str]) -> None:
    status, own = procfs.read_stat(child.pid), procfs.read_stat(os.getpid())
    assert status
    assert own
    assert procfs.is_same_start(status.started_ns + 9_999_999, status.started_ns)
    assert not procfs.is_same_start(status.started_ns + 10_000_000, status.started_ns)
    assert procfs.is_no_younger(own.started_ns, status.started_ns)
    assert not procfs.is_no_younger(status.started_ns + 10_000_000, status.started_ns)


def test_sockets_of_a_process() -> None:
    with socket.socket() as opened:
        inode = os.fstat(opened.fileno()).st_ino
        assert (opened.fileno(), inode) in list(procfs.list_sockets(os.getpid()))
    assert inode not in [found for _, found in procfs.list_sockets(os.getpid())]


@pytest.mark.privileged
@pytest.mark.parametrize("way", ["zombie", "thread"])
def test_a_socket_that_is_none_of_the_processs_own_descriptors(way: str) -> None:
    command = [sys.executable, str(PROGRAMS / "hidden.py"), way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hidden:
        said, inode = read_line(hidden).split()
        assert said == "bound"
        if way == "zombie":
            wait_until(lambda: read_state(hidden.pid) == "Z")
        place = procfs.find_socket(hidden.pid, int(inode))
        hidden.kill()
    assert place
    assert procfs.find_socket(hidden.pid, int(inode)) is None


def read_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_only_so_many_descriptors_are_looked_at() -> None:
    with socket.socket() as first, socket.socket() as second:
        low, high = (os.fstat(opened.fileno()).st_ino for opened in (first, second))
        limit = len([name for name in os.listdir("/proc/self/fd") if int(name) <= first.fileno()])
        assert procfs.find_socket(os.getpid(), low, limit) == f"fd/{first.fileno()}"
        assert procfs.find_socket(os.getpid(), high, limit) is None
        assert high not in [held for _, held in procfs.list_sockets(os.getpid(), limit)]


def test_links_that_take_long_are_not_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file below 10,000 mounts, which any user can make in a namespace of their own, it takes 0.5 ms."""
    spent_s, read = 0.0, 0

    def read_slowly(_pid: int, _name: str) -> str:
        nonlocal spent_s, read
        spent_s, read = spent_s + 0.0005, read + 1
        return "/below"

    monkeypatch.setattr(time, "thread_time", lambda: spent_s)
    monkeypatch.setattr(procfs, "_list", lambda _pid, folder: map(str, range(4096)) if folder == "fd" else iter(()))
    monkeypatch.setattr(procfs, "read_link", read_slowly)
    assert (list(procfs.list_sockets(1, 4096)), procfs.find_socket(1, 7, 4096)) == ([], None)
    assert 800 < read < 1000
    read = 0
    assert (list(procfs.list_sockets(1)), read) == ([], 4096)


@pytest.mark.privileged
def test_kernel_threads_are_no_processes() -> None:
    assert procfs.read_stat(2)
    assert procfs.read_process(2) is None


def test_who_has_ended(child: subprocess.Popen[str]) -> None:
    assert not procfs.has_ended(child.pid)
    assert not procfs.is_ending(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert procfs.has_ended(child.pid)  # though its parent has not asked
    assert procfs.is_ending(child.pid)
    child.wait(timeout=WAIT_S)
    assert procfs.has_ended(child.pid)
    assert not procfs.is_ending(child.pid)


def test_who_lives_on_without_the_first_thread() -> None:
    script = "import ctypes, sys, threading; threading.Thread(target=sys.stdin.read).start(); "
    script += "print('x', flush=True); ctypes.CDLL(None).pthread_exit(None)"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        read_line(started)
        wait_until(lambda: ") Z" in Path(f"/proc/{started.pid}/stat").read_text())
        assert not procfs.has_ended(started.pid)
        started.kill()


def test_a_start_is_printed_by_the_tick() -> None:
    ticked_ns = procfs.to_tick(7 * procfs.TICK_NS + 1)
    assert ticked_ns == 7 * procfs.TICK_NS
    assert procfs.is_same_start(7 * procfs.TICK_NS + 1, ticked_ns)


def test_a_descriptor_is_this_very_socket_or_not() -> None:
    with socket.socket() as one, socket.socket() as other:
        inodes = [os.fstat(each.fileno()).st_ino for each in (one, other)]
        place = f"fd/{one.fileno()}"
        assert [procfs.is_socket(os.getpid(), place, inode) for inode in inodes] == [True, False]
