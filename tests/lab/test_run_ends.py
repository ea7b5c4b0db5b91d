"""How `tinysnitch run` ends: with the command's exit status, or with the reason why the command was not run.

Nothing is left behind in either case.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import cgroup
from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, read_rest, wait_until
from tests.lab.test_stop import saved_rules
from tests.lab.world import WORLD4
from tinysnitch.core.model.errors import NotPermitted

pytestmark = [pytest.mark.privileged]

WAITS = "trap 'echo told; exit 9' TERM HUP; echo started; read -r nothing <{fifo}"


def words(lab: Lab, *command: str) -> list[str]:
    rules = lab.folder / "run-rules"
    rules.write_text("")
    return [str(BIN / "tinysnitch"), "run", "--rules", str(rules), "--", *command]


def start(lab: Lab, script: str) -> subprocess.Popen[str]:
    """Start `tinysnitch run` of a script, and wait until the script says that it has started."""
    fifo = lab.folder / "fifo"
    os.mkfifo(fifo)
    judged = lab.spawn_outside(words(lab, "sh", "-c", script.format(fifo=fifo)))
    assert read_line(judged) == "started\n"
    return judged


def find_daemons(judged: subprocess.Popen[str]) -> list[int]:
    command = ["pgrep", "-P", str(judged.pid), "-f", "tinysnitchd --scoped"]
    return [int(pid) for pid in subprocess.run(command, capture_output=True, text=True).stdout.split()]


def daemon_of(judged: subprocess.Popen[str]) -> int:
    (daemon,) = find_daemons(judged)
    return daemon


def state_of(daemon: int) -> Path:
    words = Path(f"/proc/{daemon}/cmdline").read_text().split("\0")
    return Path(words[words.index("--state-dir") + 1])


def cgroup_of(daemon: int) -> Path:
    """The cgroup that the daemon has made for the command."""
    return cgroup.find_root() / f"ts-run-{daemon}"


def traces(lab: Lab) -> list[str]:
    """All that a firewall could have left behind in the lab."""
    return [*saved_rules(lab), *lab.run_outside(["find", "/sys/fs/bpf", "-name", "tinysnitch*"]).stdout.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_are_for_the_command_and_the_firewall_goes_last(lab: Lab, number: signal.Signals) -> None:
    before = traces(lab)
    judged = start(lab, WAITS)
    judged.send_signal(number)
    assert "told\n" in judged.communicate(timeout=WAIT_S)[0]
    assert judged.returncode == 9
    assert traces(lab) == before


def test_a_run_behind_nohup_ignores_what_nohup_ignores(lab: Lab) -> None:
    before = traces(lab)
    ignoring = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh"]
    script = "kill -HUP $PPID; kill -INT $PPID; kill -HUP $$; kill -INT $$; exit 5"
    judged = lab.spawn_outside([*ignoring, *words(lab, "sh", "-c", script)])
    assert "no connection was tried" in judged.communicate(timeout=WAIT_S)[0]
    assert judged.returncode == 5
    assert traces(lab) == before


def test_its_exit_status_is_the_commands_also_where_the_caller_ignores_sigchld(lab: Lab) -> None:
    ignore = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    ran = lab.run_outside([sys.executable, "-c", ignore, *words(lab, "sh", "-c", "exit 5")])
    assert (ran.returncode, ran.stderr) == (5, "tinysnitch: no connection was tried\n")


def test_what_the_command_leaves_running_is_ended(lab: Lab) -> None:
    before = traces(lab)
    judged = start(lab, "setsid sleep 600 & echo started; exit 3")
    assert judged.wait(timeout=WAIT_S) == 3
    assert traces(lab) == before


def test_a_run_that_is_killed_takes_its_firewall_with_it(lab: Lab) -> None:
    before = traces(lab)
    judged = start(lab, WAITS)
    daemon = daemon_of(judged)
    folder = state_of(daemon).parent
    assert folder.name.startswith("tinysnitch-run-")
    judged.kill()
    read_rest(judged)  # the pipe ends when the command and the daemon have ended, too
    assert not cgroup_of(daemon).exists()
    assert not folder.exists()
    assert traces(lab) == before


SLOW_RESTORE = """#!/bin/sh
mkdir "$0.reached" 2>/dev/null && until [ -e "$0.go" ]; do sleep 0.05; done
exec {real} "$@"
"""


def slow_restore(folder: Path) -> tuple[Path, list[str]]:
    """Make an iptables-restore that waits for a file `.go` beside it; its path, and the front of a command using it."""
    restore = folder / "iptables-restore"
    folder.mkdir()
    restore.write_text(SLOW_RESTORE.format(real=shutil.which(restore.name)))
    restore.chmod(0o755)
    return restore, ["env", f"PATH={folder}:{os.environ['PATH']}"]


def test_a_run_that_is_killed_while_its_firewall_starts_leaves_nothing(lab: Lab) -> None:
    """The daemon may still be starting Python, and so cannot be told yet that the run was killed."""
    place = lab.folder / "temporary"
    place.mkdir()
    for number in range(3):
        restore, front = slow_restore(lab.folder / f"slow-{number}")
        judged = lab.spawn_outside([*front, f"TMPDIR={place}", *words(lab, "echo", "never")])
        wait_until(lambda of=judged: find_daemons(of))
        judged.kill()
        Path(f"{restore}.go").touch()  # not before: on a slow machine the start would have been over
        assert read_rest(judged) == ""  # the pipe ends when the daemon has ended, too
        assert list(place.iterdir()) == []


def test_a_long_path_to_the_temporary_files_does_not_hinder_a_start(lab: Lab) -> None:
    """Build systems give each step a folder deep below: longer than the path of a socket can be (unix(7))."""
    place = lab.folder.joinpath(*["a-folder-of-twenty-four-"] * 5)
    place.mkdir(parents=True)
    ran = lab.run_outside(["env", f"TMPDIR={place}", *words(lab, "sh", "-c", "echo $TMPDIR")])
    assert (ran.returncode, ran.stdout) == (0, f"{place}\n"), ran.stderr
    assert list(place.iterdir()) == []


def test_without_room_for_temporary_files_nothing_is_run(lab: Lab) -> None:
    """As in a container with `--read-only`, or on a full disk."""
    closed = "mount --bind $place $place; mount -o remount,bind,ro $place"
    script = f'for place in /tmp /var/tmp; do {closed}; done; cd /proc; exec "$@"'
    run = [str(BIN / "tinysnitch"), "run", "--", "echo", "never"]
    ran = lab.run_outside(["unshare", "--mount", "sh", "-ec", script, "sh", *run])
    assert (ran.returncode, ran.stdout) == (1, "")
    problem = "no folder for temporary files can be written to"
    assert ran.stderr == f"tinysnitch: error: {problem}\ntinysnitch: hint: name one with TMPDIR=, or make room\n"


def test_a_firewall_that_dies_is_told_at_once_and_lets_nothing_through(lab: Lab) -> None:
    before = traces(lab)
    script = f"echo started; read -r nothing <{{fifo}}; curl -sS -m1 http://{WORLD4}/"
    judged = start(lab, script)
    daemon = daemon_of(judged)
    assert cgroup_of(daemon).exists()
    os.kill(daemon, signal.SIGKILL)
    assert "the firewall ended before the command" in read_line(judged)
    (lab.folder / "fifo").write_text("go\n")
    assert "welcome" not in judged.communicate(timeout=WAIT_S)[0]
    assert judged.returncode != 0
    assert not cgroup_of(daemon).exists()
    assert traces(lab) == before


def test_a_runs_firewall_leaves_nothing_for_a_successor(lab: Lab) -> None:
    """SIGUSR1 has a daemon keep its enforcement for a successor; that of a run has none."""
    before = traces(lab)
    judged = start(lab, WAITS)
    os.kill(daemon_of(judged), signal.SIGUSR1)
    judged.communicate(timeout=WAIT_S)
    assert traces(lab) == before


def start_building(lab: Lab) -> tuple[subprocess.Popen[str], Path]:
    """Start `tinysnitch run`, whose firewall stops half-way: BPF is loaded, iptables waits for the returned file."""
    restore, front = slow_restore(lab.folder / "slow")
    judged = lab.spawn_outside([*front, *words(lab, "echo", "never")])
    wait_until(Path(f"{restore}.reached").exists)
    return judged, Path(f"{restore}.go")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_again_and_again_during_the_start_leave_nothing(lab: Lab, number: signal.Signals) -> None:
    before = traces(lab)
    judged, go = start_building(lab)
    daemon = daemon_of(judged)
    assert cgroup_of(daemon).exists()
    judged.send_signal(number)
    go.touch()
    while judged.poll() is None:
        judged.send_signal(number)
        time.sleep(0.01)
    assert read_rest(judged) == ""
    assert judged.returncode == 128 + number
    assert not cgroup_of(daemon).exists()
    assert traces(lab) == before


def test_a_firewall_that_is_killed_at_its_start_leaves_nothing(lab: Lab) -> None:
    before = traces(lab)
    judged, _go = start_building(lab)
    daemon = daemon_of(judged)
    assert traces(lab) != before
    os.kill(daemon, signal.SIGKILL)
    assert "the command was not run" in judged.communicate(timeout=WAIT_S)[0]
    assert not cgroup_of(daemon).exists()
    assert traces(lab) == before


def test_a_command_that_does_not_exist_starts_no_firewall(lab: Lab) -> None:
    told = lab.run_outside(words(lab, "no-such-command"))
    assert (told.returncode, told.stdout) == (127, "")
    assert told.stderr.startswith("tinysnitch: error: no-such-command: command not found\n")


def test_a_firewall_that_does_not_start_says_why(lab: Lab) -> None:
    busy = lab.folder / "is-a-file"
    busy.touch()
    command = [str(BIN / "tinysnitch"), "run", "--socket", str(busy / "socket"), "--", "echo", "never"]
    told = lab.run_outside(command)
    assert (told.returncode, told.stdout) == (1, "")
    assert str(busy) in told.stderr
    assert told.stderr.splitlines()[-2].startswith("tinysnitch: error: the command was not run")


def test_without_root_it_says_so(lab: Lab) -> None:
    told = lab.run([str(BIN / "tinysnitch"), "run", "--", "true"], user="nobody")
    assert told.returncode == NotPermitted.exit_code
    assert "with sudo" in told.stderr


@pytest.mark.parametrize("flags", [[], ["--learn"]])
def test_with_a_wrong_rule_nothing_runs(lab: Lab, flags: list[str]) -> None:
    command = words(lab, "curl", "-sS", f"http://{WORLD4}/")
    (lab.folder / "run-rules").write_text("deny - - -\nalow - - -\n")
    before = traces(lab)
    told = lab.run_outside([*command[:2], *flags, *command[2:]])
    assert (told.returncode, told.stdout) == (1, "")
    assert "run-rules:2:1: not a verdict\ntinysnitch: hint: did you mean 'allow'?\n" in told.stderr
    assert told.stderr.splitlines()[-2].startswith("tinysnitch: error: the command was not run")
    assert traces(lab) == before


def test_its_input_is_the_commands(lab: Lab) -> None:
    judged = lab.spawn_outside(words(lab, "cat"), stdin=subprocess.PIPE)
    assert judged.communicate("data\n", timeout=WAIT_S)[0].startswith("data\n")
