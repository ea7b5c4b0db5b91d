"""What a killed worker of a test run leaves behind, and that the next run removes it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import cgroup
from tests.lab.leftovers import leftovers, own_name, turn
from tests.lab.patience import WAIT_S, read_line

pytestmark = [pytest.mark.privileged]

REMOVE = "from tests.lab.leftovers import remove_stale; remove_stale()"
MAKE_PLACES = """
import sys
from tests.bpf.bpf_place import BpfPlace
from tests.bpf.packet_place import PacketPlace
from tests.lab.lab import Lab
with BpfPlace() as place, PacketPlace(), Lab():
    place.load()
    print("up", flush=True)
    sys.stdin.readline()
"""


def start(script: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stdin=pipe, stdout=pipe, text=True)


@contextmanager
def worker() -> Iterator[subprocess.Popen[str]]:
    """A process that has made one place of each kind; it is killed at the end of the block."""
    with start(MAKE_PLACES) as started:
        try:
            assert read_line(started) == "up\n"
            yield started
        finally:
            started.kill()


def remove_by_three() -> None:
    """Remove what is stale in three processes at once, as the workers of a run do."""
    removers = [start(REMOVE) for _ in range(3)]
    assert [remover.communicate(timeout=WAIT_S) for remover in removers] == [("", None)] * 3
    assert [remover.returncode for remover in removers] == [0] * 3


def test_what_a_killed_worker_left_is_removed_and_what_a_living_one_has_is_not() -> None:
    with worker() as living:
        with turn():  # otherwise a worker of this run that starts just now might remove it first
            with worker() as killed:
                pass
            kept = leftovers(living.pid)
            assert len(leftovers(killed.pid)) == len(kept) == 9
        remove_by_three()
        assert leftovers(killed.pid) == []
        assert leftovers(living.pid) == kept
        living.communicate("end\n", timeout=WAIT_S)
        assert leftovers(living.pid) == []


def test_several_workers_do_not_hinder_each_other() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait(timeout=WAIT_S)
    stale = [own_name("lab").replace(str(os.getpid()), str(ended.pid)) for _ in range(6)]
    with turn():
        for name in stale:
            (cgroup.find_root() / name).mkdir()
            subprocess.run(["ip", "netns", "add", name], check=True)
        assert len(leftovers(ended.pid)) == 12
    remove_by_three()
    assert leftovers(ended.pid) == []
