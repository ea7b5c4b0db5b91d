"""environment.py: what is set is found, in the right process only."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tinysnitch.kernel.environment import find_loaders
from tinysnitch.kernel.procfs import TICK_NS, read_status


@contextmanager
def running(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Pid and start of a process that was executed with this environment."""
    with subprocess.Popen(["/usr/bin/cat"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(b"x")
        child.stdin.flush()
        assert child.stdout.read(1) == b"x"
        status = read_status(child.pid)
        assert status
        yield child.pid, status.started_ns
        child.kill()


def test_what_loads_code_is_named() -> None:
    environment = {"PYTHONSTARTUP": "/a", "HOME": "/b", "LD_LIBRARY_PATH": "/tmp", "BASH_ENV": ""}
    with running(environment) as (pid, started_ns):
        assert find_loaders(pid, started_ns) == ("LD_LIBRARY_PATH", "PYTHONSTARTUP")


def test_another_process_of_this_pid_tells_nothing() -> None:
    with running({"PERL5OPT": "-Mevil"}) as (pid, started_ns):
        assert find_loaders(pid, started_ns - TICK_NS) == ()
    assert find_loaders(pid, started_ns) == ()
