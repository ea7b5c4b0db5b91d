"""The daemon is killed: what was decided goes on, what is unknown does not pass, and the next daemon takes over."""

import shutil
import subprocess
import sys

import pytest

from tests.lab.daemon import file_flags
from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE, WAIT_S, read_until, wait_listening
from tests.lab.test_matrix import INBOUND
from tests.lab.world import HOST4, HOST6, MORE_WORLD4, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

TIMED_OUT = 124  # timeout(1)
STEADY = str(PROGRAMS / "steady_client.py")
# TCP sends an undecided SYN again after twice as long each time, and gives up after two minutes: a successor that takes
# a minute to start would see none. So curl begins anew every 20 s.
AGAIN = ["--connect-timeout", "20", "--retry", "20", "--retry-delay", "1"]


def read_ok(steady: subprocess.Popen[str], count: int) -> None:
    """Assert that the next `count` connections succeed."""
    assert read_until(steady, lambda said: len(said) == count) == ["ok\n"] * count


@pytest.mark.slow
@pytest.mark.core_lab
def test_a_killed_daemon_leaves_enforcement_and_is_replaced(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\n")
    download = lab.spawn(["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", f"http://{WORLD4}/slow/large"])
    steady = lab.spawn(["/usr/bin/python3", STEADY, WORLD4, "80"])
    read_ok(steady, 5)
    daemon.wait_connection(program="/usr/bin/curl")
    daemon.kill()
    read_ok(steady, 50)
    unknown = lab.spawn(["curl", "-s", *AGAIN, f"http://{MORE_WORLD4[0]}/"])
    read_ok(steady, 50)
    assert unknown.poll() is None
    assert lab.run_world(["ss", "-Htan", "src", MORE_WORLD4[0]]).stdout == ""

    successor = lab.restart_daemon(daemon.rules.parent)
    read_ok(steady, 20)
    ask = successor.wait_ask(remote_address=MORE_WORLD4[0])
    assert (ask["program"], ask["attribution"]) == ("/usr/bin/curl", "bpf")
    successor.answer(ask, "yes")
    assert unknown.communicate(timeout=WAIT_S)[0] == "welcome to the shop\n"
    assert download.communicate(timeout=WAIT_S)[0] == "3000000"


# Starts a program again and again until stdin is closed, and prints how each start ended.
AGAIN_AND_AGAIN = """
import select, subprocess, sys
while not select.select([sys.stdin], [], [], 0)[0]:
    print(subprocess.run(sys.argv[1:]).returncode, flush=True)
"""


def test_new_processes_of_a_known_program_go_on_while_a_killed_daemon_is_replaced(lab: Lab) -> None:
    """Each is another process, and its verdict is found by what it has in common with the first. Strangers wait."""
    stranger = shutil.copy("/usr/bin/curl", lab.folder / "stranger")
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp /usr/bin/curl\n", timeout_s=0)
    visit = ["-s", "-m", str(2 * PATIENCE), "-o", "/dev/null", f"http://{WORLD4}/"]
    loop = ["/usr/bin/python3", "-c", AGAIN_AND_AGAIN]
    known, unknown = (
        lab.spawn([*loop, str(program), *visit], stdin=subprocess.PIPE) for program in ("/usr/bin/curl", stranger)
    )
    for begin in (daemon.kill, lambda: lab.restart_daemon(daemon.rules.parent, timeout_s=0), lambda: None):
        assert read_until(known, lambda said: len(said) == 20) == ["0\n"] * 20
        assert "0\n" not in read_until(unknown, len)
        begin()
    for ended in (known, unknown):
        assert ended.stdin
        ended.stdin.close()
        ended.wait(timeout=WAIT_S)
    assert unknown.stdout
    assert "0\n" not in unknown.stdout.readlines()


# Has the daemon's event loop itself end, as for want of memory: other errors of its callbacks do not end it.
FAILING = """
from tinysnitch.daemon.loop.driver import Driver
from tinysnitch.daemon.startup.main import main
usual = Driver._read_connections
failures = [SystemExit(1)]
def fail(driver):
    if failures:
        raise failures.pop()
    usual(driver)
Driver._read_connections = fail
main()
"""


def test_a_daemon_that_fails_leaves_enforcement_as_a_killed_one_does(lab: Lab) -> None:
    (lab.folder / "rules").write_text("")
    command = [sys.executable, "-c", FAILING, *file_flags(lab.folder), "--cgroup", str(lab.cgroup)]
    daemon = lab.spawn_outside(command)
    read_until(daemon, lambda said: " INFO ready" in said[-1])
    visit = ["curl", "-s", f"http://{WORLD4}/"]
    first = lab.spawn(visit)
    assert daemon.wait(timeout=WAIT_S) == 1
    assert lab.run(["timeout", str(PATIENCE), *visit]).returncode == TIMED_OUT
    assert first.poll() is None


def test_nothing_comes_in_while_no_daemon_runs(lab: Lab) -> None:
    for way in INBOUND.values():
        if way.server:
            wait_listening(lab.spawn([*way.server]))
    visits = [way.command(address) for way in INBOUND.values() for address in (HOST4, HOST6)]
    daemon = lab.start_daemon("")
    daemon.kill()
    clients = [lab.spawn_world(["timeout", str(PATIENCE), *visit]) for visit in visits]
    assert [client.wait(timeout=WAIT_S) for client in clients] == [TIMED_OUT] * len(visits)
    daemon.rules.write_text("allow - - -src\n")
    lab.restart_daemon(daemon.rules.parent)
    assert [lab.run_world(visit).returncode for visit in visits] == [0] * len(visits)


def test_the_successor_finds_the_rules_as_they_are_now(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\n")
    client = ["/usr/bin/python3", str(PROGRAMS / "tcp_client.py"), WORLD4, "80"]
    assert lab.run(client).stdout == "connected\n"
    daemon.kill()
    daemon.rules.write_text(f"deny {WORLD4} 80 tcp\n")
    successor = lab.restart_daemon(daemon.rules.parent)
    assert "ConnectionRefusedError" in lab.run(client).stderr
    assert successor.stop() == 0


def test_after_a_kill_a_clean_stop_still_takes_everything_away(lab: Lab) -> None:
    before = lab.run_outside(["find", "/sys/fs/bpf"]).stdout
    daemon = lab.start_daemon("deny - - -\n")
    daemon.kill()
    assert lab.run_outside(["find", "/sys/fs/bpf"]).stdout != before
    assert lab.restart_daemon(daemon.rules.parent).stop() == 0
    assert lab.run_outside(["find", "/sys/fs/bpf"]).stdout == before
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0


def test_a_successor_without_bpf_takes_the_hooks_away(lab: Lab) -> None:
    """Otherwise they would refuse within connect() what the killed one denied, whatever the new one decides."""
    before = lab.run_outside(["find", "/sys/fs/bpf"]).stdout
    daemon = lab.start_daemon("deny - - -\n")
    daemon.kill()
    successor = lab.restart_daemon(daemon.rules.parent, "--no-bpf")
    assert lab.run_outside(["find", "/sys/fs/bpf"]).stdout == before
    assert successor.stop() == 0


def test_a_successor_for_another_cgroup_takes_the_hooks_of_the_old_one_away(lab: Lab) -> None:
    """Otherwise they would go on in the old cgroup with the killed daemon's verdicts."""
    hooks = ["bpftool", "cgroup", "list", str(lab.cgroup)]
    daemon = lab.start_daemon("deny - - -\n")
    daemon.kill()
    assert lab.run_outside(hooks).stdout
    successor = lab.restart_daemon(daemon.rules.parent, "--cgroup", str(lab.cgroup.parent))
    assert lab.run_outside(hooks).stdout == ""
    assert successor.stop() == 0
