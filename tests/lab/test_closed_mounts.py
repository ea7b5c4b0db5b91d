"""Programs in a file system that even root may not look into: an AppImage mounts itself so, for its user alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.lab import DNS_RULE, Lab
from tests.lab.namespaces import user_group
from tests.lab.patience import WAIT_S, read_line, wait_until
from tests.lab.world import PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged, pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no FUSE here")]

USER = "nobody"
SERVER = str(PROGRAMS / "closed_mount.py")
WORDS = ["-4", "-sS", "http://shop.test/"]


@pytest.fixture
def home(lab: Lab) -> Path:
    home = lab.folder / "home"
    home.mkdir()
    shutil.chown(home, USER)
    return home


def mount(lab: Lab, folder: Path) -> Path:
    """Mount as an AppImage's runtime does with fusermount: all see the mount, and its user alone may enter it."""
    folder.mkdir()
    shutil.chown(folder, USER)
    uid = subprocess.run(["id", "-u", USER], capture_output=True, text=True, check=True).stdout.strip()
    server = lab.spawn_outside([sys.executable, "-S", SERVER, "/usr/bin/curl", str(folder), uid, user_group(USER)])
    assert read_line(server) == "mounted\n"
    return folder / "program"


def test_an_answer_makes_a_rule_that_holds(lab: Lab, home: Path) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    program = mount(lab, home / ".mount_App123456")
    client = lab.spawn([str(program), *WORDS], user=USER)
    ask = daemon.wait_ask()
    assert ask["program"] == str(program)
    daemon.answer(ask, "yes", "--for", "forever", "--any-args")
    assert client.wait(timeout=WAIT_S) == 0
    assert f"allow shop.test 80 tcp {program}\n" in daemon.read_rules()
    assert lab.run([str(program), *WORDS], user=USER).returncode == 0
    assert len(daemon.records("ask")) == 1


def test_explain_agrees_with_the_verdict_where_the_checksum_cannot_be_read(lab: Lab, home: Path) -> None:
    program = mount(lab, home / "app")
    denial = f"deny sha256={'0' * 64} - 80 tcp {program}"
    daemon = lab.start_daemon(f"{DNS_RULE}allow shop.test 80 tcp\n{denial}\n")
    assert lab.run([str(program), *WORDS], user=USER).returncode != 0
    made = daemon.wait_connection(remote_port=80)
    told = json.loads(daemon.cli("explain", "--json", str(program), "shop.test", "80", "tcp").stdout)
    assert (told["verdict"], told["rule"]) == (made["verdict"], made["rule"]) == ("deny", denial)


def test_a_pattern_holds_from_start_to_start(lab: Lab, home: Path) -> None:
    daemon = lab.start_daemon(f"{DNS_RULE}allow shop.test 80 tcp {home}/.mount_App*/**\n", timeout_s=0)
    for folder in (".mount_App1", ".mount_App2"):
        assert lab.run([str(mount(lab, home / folder)), *WORDS], user=USER).returncode == 0
    assert lab.run([str(mount(lab, home / ".mount_Other")), *WORDS], user=USER).returncode != 0
    daemon.wait_connection(remote_port=80, verdict="deny")


def test_another_file_system_mounted_there_in_a_user_namespace_is_denied(lab: Lab, home: Path) -> None:
    """In a user namespace everybody may mount a FUSE of their own wherever they like."""
    program = mount(lab, home / "app")
    daemon = lab.start_daemon(f"{DNS_RULE}allow shop.test 80 tcp {program}\n", timeout_s=0)
    script = (
        '"$0" -S "$1" /usr/bin/curl "$2" 0 0 & server=$!; until test -e "$2/program"; do sleep 0.1; done; '
        '"$2/program" -4 -sS http://shop.test/; status=$?; kill $server; exit $status'
    )
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    evil = lab.run([*inside, "/usr/bin/python3", SERVER, str(program.parent)], user=USER)
    assert evil.returncode != 0, evil.stderr
    record = daemon.wait_connection(remote_port=80)
    assert (record["program"], record["verdict"]) == (str(program), "deny")
    assert lab.run([str(program), *WORDS], user=USER).returncode == 0


@pytest.mark.parametrize("flags", [(), ("--no-bpf",)])
def test_a_program_that_runs_already_when_the_daemon_starts(lab: Lab, home: Path, flags: tuple[str, ...]) -> None:
    program = mount(lab, home / "app")
    tries = ["--retry", "60", "--retry-delay", "1", "--retry-connrefused"]
    running = lab.spawn([str(program), *tries, "-sS", f"http://{WORLD4}:81/"], user=USER)
    wait_until(lambda: Path(f"/proc/{running.pid}/cmdline").read_text().startswith(str(program)), "it does not start")
    daemon = lab.start_daemon(f"deny - 81 tcp {program}\n", *flags)
    record = daemon.wait_connection(remote_port=81)
    assert (record["program"], record["attribution"], record["verdict"]) == (str(program), "procfs", "deny")
