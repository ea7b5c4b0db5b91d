"""environment.py: variables that are set are found, in the right process only."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest

from tests.lab.patience import read_line
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.environment import find_loaders
from tinysnitch.kernel.proc.procfs import TICK_NS, read_stat
from tinysnitch.kernel.system.offload import Offload


@contextmanager
def running(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """The pid and start of a process that was executed with this environment."""
    with subprocess.Popen(
        ["/usr/bin/cat"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin
        child.stdin.write("x\n")
        child.stdin.flush()
        assert read_line(child) == "x\n"
        status = read_stat(child.pid)
        assert status
        yield child.pid, status.started_ns
        child.kill()


def test_what_loads_code_is_named() -> None:
    environment = {"PYTHONPYCACHEPREFIX": "/a", "HOME": "/b", "LD_LIBRARY_PATH": "/tmp", "PYTHONHOME": ""}
    with running(environment) as (pid, started_ns):
        assert find_loaders(pid, started_ns, "/usr/bin/python3.13") == ("LD_LIBRARY_PATH", "PYTHONPYCACHEPREFIX")


def test_what_openssl_loads_is_named_of_any_program() -> None:
    with running({"OPENSSL_CONF": "/tmp/x.cnf"}) as (pid, started_ns):
        assert find_loaders(pid, started_ns, "/usr/bin/curl") == ("OPENSSL_CONF",)


def test_what_only_an_interpreter_reads_is_named_of_that_interpreter_alone() -> None:
    """A user who exports PYTHONPATH is not warned about curl."""
    with running({"PYTHONPATH": "/a", "ENV": "/b", "CLASSPATH": "/c", "LD_PRELOAD": ""}) as (pid, started_ns):
        programs = ("/usr/bin/curl", "/opt/x/python3", "/usr/bin/dash", "/usr/lib/jvm/bin/java")
        named = [find_loaders(pid, started_ns, program) for program in programs]
    assert named == [(), ("PYTHONPATH",), ("ENV",), ("CLASSPATH",)]


@pytest.mark.parametrize("filling", [b"", b"LD_PRELOAD", b"LD_PRELOAD=", b"\xffLD_PRELOAD=x"])
def test_any_number_of_variables_is_looked_through_in_a_moment(monkeypatch: pytest.MonkeyPatch, filling: bytes) -> None:
    """With 130,000 variables, each fork of a program would delay all verdicts by 20 ms."""
    block = (filling + b"\0") * (128 * 1024 // (len(filling) + 1))
    for more, found in ((b"", ()), (b"LD_AUDIT=x", ("LD_AUDIT",))):
        monkeypatch.setattr(procfs, "read_environment", lambda _pid, more=more: block + more)
        status = read_stat(os.getpid())
        assert status
        begun_s = time.process_time()
        assert find_loaders(os.getpid(), status.started_ns, "/usr/bin/python3") == found
        assert time.process_time() - begun_s < 0.01


def test_another_process_of_this_pid_tells_nothing() -> None:
    with running({"PERL5OPT": "-Mevil"}) as (pid, started_ns):
        assert find_loaders(pid, started_ns - TICK_NS, "/usr/bin/perl") == ()
    assert find_loaders(pid, started_ns, "/usr/bin/perl") == ()


def test_of_who_has_ended_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before its parent has waited for it: there are many short-lived programs."""
    monkeypatch.delattr(procfs, "read_environment")
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert find_loaders(pid, 1, "/bin/true") == ()
    os.waitpid(pid, 0)
    assert find_loaders(pid, 1, "/bin/true") == ()


def test_what_lets_nobody_read_tells_that_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "bounded", Offload(procfs.read_uid))
    over = Event()
    with running({"LD_PRELOAD": "/a"}) as (pid, started_ns):
        procfs.bounded.read(pid, over.wait)
        assert find_loaders(pid, started_ns, "/usr/bin/cat") is None
        assert procfs.read_argv(pid) == ((), False)
    over.set()
