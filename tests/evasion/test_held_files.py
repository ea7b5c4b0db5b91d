"""A program whose file cannot be looked at holds nobody up: the file system does not answer, or a folder is locked."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.evasion.stage import ELSEWHERE, PORT, TARGET, Stage
from tests.evasion.test_held_memory import make_fuse_device
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, wait_until
from tests.lab.wakeups import stand_still
from tests.lab.world import PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

USER = "news"  # of these tests alone: once a process makes the daemon wait, it gives up on that user's others, too
LARGE_BYTES = 64 << 20
_number = count()
OWN_PROGRAMS = Path(__file__).parent / "programs"


def make_folders(lab: Lab, place: str, *folders: str) -> Path:
    """Folders that belong to the user."""
    made = lab.folder / place
    for folder in (made, *(made / name for name in folders)):
        folder.mkdir(mode=0o755)
        shutil.chown(folder, USER)
    return made


@contextmanager
def held_folder(lab: Lab, folder: Path | None = None, *target: str) -> Iterator[Path]:
    """Run a program that keeps a folder locked: `folder`, or else its own one, and then it connects as well."""
    place = make_folders(lab, f"locked-{next(_number)}", "own", "mount")
    program, source = place / "own" / "program", OWN_PROGRAMS / "held_folder.c"
    words = [str(folder), *target] if folder else [str(place / "own"), *TARGET]
    device = make_fuse_device(lab)
    subprocess.run(["gcc", "-O1", "-Wall", "-pthread", "-o", str(program), str(source)], check=True)
    running = lab.spawn([str(program), str(device), str(place / "mount"), *words], user=USER)
    assert read_line(running) == "held\n"
    yield program
    running.kill()
    running.wait(timeout=WAIT_S)


@contextmanager
def silent_overlay(lab: Lab, source: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    place = make_folders(lab, "overlay", "lower", "upper", "merged")
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "--kill-child=KILL", "--fork"]
    inside = [*unshare, "env", "KEPT_S=0", f"FUSE={make_fuse_device(lab)}", "sh"]
    files = [OWN_PROGRAMS / "silent_overlay.sh", PROGRAMS / "closed_mount.py", source, place]
    running = lab.spawn([*inside, *map(str, files), *words], user=USER, stdin=subprocess.PIPE)
    assert read_line(running) == "silent\n"
    yield running
    running.kill()
    running.wait(timeout=WAIT_S)


def test_a_deleted_program_in_a_folder_that_is_locked(stage: Stage) -> None:
    with held_folder(stage.lab) as program:
        assert stage.lab.run([str(stage.honest), "plain", *TARGET]).stdout == "connected\n"
        (record,) = stage.daemon.wait_for_count(lambda each: each.get("program") == str(program), 1)
    assert record["verdict"] == "deny"


def test_a_program_that_connects_with_its_folder_in_proc_locked(stage: Stage) -> None:
    """Each name there is looked up anew for each process."""
    with held_folder(stage.lab, Path("/proc/self"), *TARGET) as program:
        assert stage.lab.run([str(stage.honest), "plain", *TARGET]).stdout == "connected\n"
        (record,) = stage.daemon.wait_for_count(lambda each: each.get("program") == str(program), 1)
    assert record["verdict"] == "deny"


def test_the_folder_of_the_rules_file(lab: Lab) -> None:
    """As any user can keep /etc locked."""
    daemon = lab.start_daemon(f"allow {WORLD4} 81 tcp\n")
    waiting = lab.spawn(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/{PORT}"])
    ask = daemon.wait_ask()
    with held_folder(lab, daemon.rules.parent):
        told = daemon.cli("answer", str(ask["id"]), "yes", "--for", "forever")
        assert (told.returncode, "does not answer" in told.stderr) == (1, True)
        assert waiting.wait(timeout=WAIT_S) == 0
        lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/81"])
        assert daemon.wait_connection(remote_port=81)["verdict"] == "allow"
        (lost,) = daemon.wait_for_count(lambda each: each["event"] == "lost", 1)
        assert "does not answer" in str(lost["what"])
        refused = daemon.cli("rules", "add", "allow - 82 tcp")
        assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)
    lines = [f"allow {WORLD4} 81 tcp", str(daemon.records("answer")[0]["rule"])]
    wait_until(lambda: daemon.read_rules().splitlines()[:2] == lines)
    assert daemon.stop() == 0


def test_the_folder_above_that_of_the_state(lab: Lab) -> None:
    """As any user can keep /var/lib locked."""
    daemon = lab.start_daemon("")
    waiting = lab.spawn(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/{PORT}"])
    ask = daemon.wait_ask()
    with held_folder(lab, daemon.rules.parent):
        daemon.answer(ask, "yes", "--for", "9m")
        assert waiting.wait(timeout=WAIT_S) == 0
    assert daemon.stop() == 0


def test_the_folder_of_lists(lab: Lab) -> None:
    lists = lab.folder / "lists"
    lists.mkdir()
    (lists / "ads").write_text(f"{ELSEWHERE}\n")
    daemon = lab.start_daemon("deny @ads - -\n", "--lists", str(lists), timeout_s=0)
    with held_folder(lab, lists):
        daemon.edit_rules("deny @ads - -\nallow - 80-81 tcp\n")
        for port, remote in ((81, WORLD4), (80, ELSEWHERE)):
            lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{remote}/{port}"])
        assert daemon.wait_connection(remote_port=81)["verdict"] == "allow"
        assert daemon.wait_connection(remote_address=ELSEWHERE)["rule"] == "deny @ads - -"
    assert daemon.stop() == 0


# A /run as systemd and systemd-resolved leave it.
RUN = """
mount -t tmpfs run /run
mkdir -p /run/systemd/resolve
cp /etc/resolv.conf /run/systemd/resolve/resolv.conf
cp /etc/resolv.conf /run/systemd/resolve/stub-resolv.conf
"""


def test_the_folder_of_sockets(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any user can keep /run locked. In a tmpfs a name that is not there is looked up under the lock each time."""
    # Programs that lack one of these ask nscd for it, by a socket in /run.
    for name, value in (("HOME", "/root"), ("SHELL", "/bin/bash")):
        monkeypatch.setenv(name, value)
    assert lab.run_outside(["sh", "-ec", RUN]).stderr == ""
    daemon = lab.start_daemon("allow 10.99.0.0/24 - -\nallow - 81 tcp\ndeny localhost 82 tcp\n", timeout_s=0)
    with held_folder(lab, Path("/run")):
        assert lab.run_outside(["ip", "address", "add", "10.99.0.1/32", "dev", "eth0"]).returncode == 0
        wait_until(lambda: "deny localhost" in daemon.cli("explain", "/usr/bin/curl", "10.99.0.1", "82", "tcp").stdout)
        lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/81"])
        assert daemon.wait_connection(remote_port=81)["verdict"] == "allow"
    assert daemon.stop() == 0


def test_a_program_that_connects_from_an_overlay_that_does_not_answer(stage: Stage) -> None:
    script = f"read; exec 3<>/dev/tcp/{WORLD4}/{PORT}"
    with silent_overlay(stage.lab, Path("/usr/bin/bash"), "-c", script) as running:
        assert running.stdin
        print(file=running.stdin, flush=True)
        (record,) = stage.daemon.wait_for_count(lambda each: "/overlay/merged/" in str(each.get("program")), 1)
        assert record["verdict"] == "deny"
        assert stage.lab.run([str(stage.honest), "plain", *TARGET]).stdout == "connected\n"


@contextmanager
def mount_that_answers(lab: Lab) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A shell in a FUSE mount of root's, too large to be in memory as a whole; and the server of the mount."""
    source, folder = lab.folder / "large", lab.folder / "mounted"
    source.write_bytes(Path("/usr/bin/bash").read_bytes() + bytes(LARGE_BYTES))
    folder.mkdir()
    server = lab.spawn_outside(
        [sys.executable, "-S", str(PROGRAMS / "closed_mount.py"), str(source), str(folder), "0", "0"]
    )
    assert read_line(server) == "mounted\n"
    yield folder / "program", server
    server.kill()
    server.wait(timeout=WAIT_S)


def test_a_program_whose_checksum_a_rule_asks_for(lab: Lab) -> None:
    with mount_that_answers(lab) as (program, server):
        rules = f"deny sha256={'0' * 64} - {PORT} tcp {program}\nallow - {PORT} tcp\n"
        daemon = lab.start_daemon(rules, timeout_s=0)
        script = f"echo started; read; exec 3<>/dev/tcp/{WORLD4}/{PORT}"
        running = lab.spawn([str(program), "-c", script], stdin=subprocess.PIPE)
        assert read_line(running) == "started\n"
        lab.run(["head", "-c", "4M", str(program)])  # the shell's own pages are in memory after that
        stand_still(server.pid)
        running.communicate("now\n", timeout=WAIT_S)
        assert running.returncode == 1
        record = daemon.wait_connection(remote_port=int(PORT))
        assert (record["program"], record["verdict"]) == (str(program), "deny")
        lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/{PORT}"])
        assert daemon.wait_connection(verdict="allow", remote_port=int(PORT))


def test_a_program_in_a_silent_overlay_at_the_daemons_start(lab: Lab) -> None:
    with silent_overlay(lab, Path("/usr/bin/sleep"), "1000"):
        daemon = lab.start_daemon("allow - 81 tcp\n", timeout_s=0)
        lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/81"])
        assert daemon.wait_connection(remote_address=WORLD4, remote_port=81)["verdict"] == "allow"
        assert daemon.stop() == 0
