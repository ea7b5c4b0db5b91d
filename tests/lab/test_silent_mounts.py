"""A path in rules lies in a file system that does not answer, such as NFS whose server is gone: all else goes on."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import read_line, wait_until
from tests.lab.wakeups import are_at_rest, stand_still
from tests.lab.world import PROGRAMS, WORLD4
from tinysnitch.store.file_watch import NOISE_S

pytestmark = [pytest.mark.privileged, pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no FUSE here")]

OTHERS = "allow - 81 tcp\n"


def mount(lab: Lab) -> tuple[Path, subprocess.Popen[str]]:
    """Mount a FUSE that root may look into; the program in it, and the server of the mount."""
    folder = lab.folder / "mount"
    folder.mkdir()
    server = [
        sys.executable,
        "-S",
        str(PROGRAMS / "closed_mount.py"),
        shutil.which("bash") or "",
        str(folder),
        "0",
        "0",
    ]
    running = lab.spawn_outside(["env", "KEPT_S=0", *server])
    assert read_line(running) == "mounted\n"
    return folder / "program", running


def connect(lab: Lab, port: int, shell: str = "bash") -> int:
    return lab.run([shell, "-c", f"exec 3<>/dev/tcp/{WORLD4}/{port}"]).returncode


def test_rules_with_paths_that_do_not_answer(lab: Lab) -> None:
    program, server = mount(lab)
    link = lab.folder / "link"
    link.symlink_to(program)
    rules = f"{OTHERS}allow - 80 tcp {link}\n"
    daemon = lab.start_daemon(rules, timeout_s=0)
    assert connect(lab, 80, str(program)) == 0
    # Otherwise the server may have taken a request that it then does not answer, and a process that waits for this
    # cannot end. The daemon may sleep for NOISE_S before it looks at what has changed.
    wait_until(lambda: are_at_rest(daemon.process.pid, server.pid, moment_s=2 * NOISE_S))
    stand_still(server.pid)
    daemon.edit_rules(f"{rules}deny - 9 udp {program.parent}/*\n")
    connect(lab, 81)
    assert daemon.wait_connection(remote_port=81)["verdict"] == "allow"
    told = "a path in rules, cannot be looked up: what it lies in does not answer"
    assert [each["what"] for each in daemon.records("lost")] == [f"{path}, {told}" for path in (link, program.parent)]
    assert daemon.stop() == 0
    again = lab.restart_daemon(daemon.rules.parent, timeout_s=0)
    connect(lab, 81)
    assert again.wait_connection(remote_port=81)["verdict"] == "allow"
    os.kill(server.pid, signal.SIGCONT)
