"""Nobody is held up by a program whose file cannot be looked at: what it lies in does not answer, or is locked."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.evasion.stage import PORT, TARGET, Stage
from tests.evasion.test_held_memory import FUSE
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S
from tests.lab.world import PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

USER = "news"  # no other test's: who holds one up is not waited for, nor are the others of that user
OWN_PROGRAMS = Path(__file__).parent / "programs"


def make_folders(lab: Lab, place: str, *folders: str) -> Path:
    """The user's."""
    made = lab.folder / place
    for folder in (made, *(made / name for name in folders)):
        folder.mkdir(mode=0o755)
        shutil.chown(folder, USER)
    return made


@contextmanager
def held_folder(lab: Lab) -> Iterator[Path]:
    """The program that keeps the lock of its own folder, while it runs."""
    place = make_folders(lab, "locked", "own", "mount")
    program, source = place / "own" / "program", OWN_PROGRAMS / "held_folder.c"
    device = lab.folder / "fuse"  # a usual machine lets everybody open /dev/fuse, but not each one does
    os.mknod(device, stat.S_IFCHR, FUSE)
    device.chmod(0o666)
    subprocess.run(["gcc", "-O1", "-Wall", "-pthread", "-o", str(program), str(source)], check=True)
    running = lab.spawn([str(program), str(device), str(place / "mount"), *TARGET], user=USER)
    assert running.stdout
    assert running.stdout.readline() == "held\n"
    yield program
    running.kill()
    running.wait(timeout=WAIT_S)


@contextmanager
def silent_overlay(lab: Lab, source: Path, *words: str) -> Iterator[None]:
    place = make_folders(lab, "overlay", "lower", "upper", "merged")
    inside = ["unshare", "--user", "--map-root-user", "--mount", "--kill-child=KILL", "--fork", "env", "KEPT_S=0", "sh"]
    files = [OWN_PROGRAMS / "silent_overlay.sh", PROGRAMS / "closed_mount.py", source, place]
    running = lab.spawn([*inside, *map(str, files), *words], user=USER)
    assert running.stdout
    assert running.stdout.readline() == "silent\n"
    yield
    running.kill()
    running.wait(timeout=WAIT_S)


def test_a_deleted_program_in_a_folder_that_is_locked(stage: Stage) -> None:
    with held_folder(stage.lab) as program:
        assert stage.lab.run([str(stage.honest), "plain", *TARGET]).stdout == "connected\n"
        (record,) = stage.daemon.wait_for_count(lambda each: each.get("program") == str(program), 1)
    assert record["verdict"] == "deny"


def test_one_that_connects_from_an_overlay_that_does_not_answer(stage: Stage) -> None:
    script = f"sleep 3; exec 3<>/dev/tcp/{WORLD4}/{PORT}"
    with silent_overlay(stage.lab, Path("/usr/bin/bash"), "-c", script):
        (record,) = stage.daemon.wait_for_count(lambda each: "/overlay/merged/" in str(each.get("program")), 1)
        assert record["verdict"] == "deny"
        assert stage.lab.run([str(stage.honest), "plain", *TARGET]).stdout == "connected\n"


def test_one_that_is_there_at_the_daemons_start(lab: Lab) -> None:
    with silent_overlay(lab, Path("/usr/bin/sleep"), "1000"):
        daemon = lab.start_daemon("allow - 81 tcp\n", timeout_s=0)
        lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/81"])
        assert daemon.wait_connection(remote_address=WORLD4, remote_port=81)["verdict"] == "allow"
        assert daemon.stop() == 0
