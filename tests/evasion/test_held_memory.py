"""A process whose memory cannot be read holds nobody up: its arguments and environment lie in pages of its own FUSE."""

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.evasion.stage import PORT, TARGET, Stage
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]

USER = "games"  # of these tests alone: once a process makes the daemon wait, it gives up on that user's others, too
FUSE = os.makedev(10, 229)  # admin-guide/devices.txt
SOURCE = Path(__file__).parent / "programs" / "held_memory.c"


def make_fuse_device(lab: Lab) -> Path:
    """A /dev/fuse that every user may open: that of the machine may be root's alone."""
    device = lab.folder / "fuse"
    if not device.exists():
        os.mknod(device, stat.S_IFCHR, FUSE)
        device.chmod(0o666)
    return device


@contextmanager
def held_memory(lab: Lab, *target: str) -> Iterator[Path]:
    """Run the program whose memory does not answer; its path."""
    folder = lab.folder / "held"
    folder.mkdir(mode=0o755)
    subprocess.run(["chown", USER, str(folder)], check=True)
    device = make_fuse_device(lab)
    program = lab.folder / "held_memory"
    subprocess.run(["gcc", "-O1", "-Wall", "-pthread", "-o", str(program), str(SOURCE)], check=True)
    running = lab.spawn([str(program), str(device), str(folder), *target], user=USER)
    assert read_line(running) == "held\n"
    yield program
    running.kill()
    running.wait(timeout=WAIT_S)


def test_a_process_that_connects(stage: Stage) -> None:
    with held_memory(stage.lab, *TARGET) as program:
        assert stage.lab.run([str(stage.honest), "plain", *TARGET]).stdout == "connected\n"
        (record,) = stage.daemon.wait_for_count(lambda each: each.get("program") == str(program), 1)
    assert record["verdict"] == "deny"


def test_a_process_that_is_there_from_the_daemons_start_to_its_end() -> None:
    with Lab() as lab, held_memory(lab):
        daemon = lab.start_daemon(f"allow {WORLD4} {PORT} tcp\n", timeout_s=0)
        lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/{PORT}"])
        assert daemon.wait_connection(remote_address=WORLD4)["verdict"] == "allow"
        assert daemon.stop() == 0
