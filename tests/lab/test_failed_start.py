"""A start that fails leaves everything as it was before: nothing, or what an earlier daemon left in force."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.lab.daemon import BIN, Daemon, file_flags
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until
from tests.lab.test_stop import saved_rules
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]

NO_SOCKET = ("--socket", "/proc/nope/socket")  # cannot be made; that fails after BPF and before the netfilter rules
NO_BPF = ["setpriv", "--bounding-set=-bpf,-sys_admin,-perfmon", "--inh-caps=-bpf,-sys_admin,-perfmon"]
HANGING = """
import ctypes
from tinysnitch.daemon.control import permissions as control_permission
from tinysnitch.daemon.startup.main import main
def hang(_name):
    print("asked", flush=True)
    while True:
        ctypes.CDLL(None).pause()
control_permission.find_uid = hang
main()
"""
NO_PROMPT = "import sys; sys.executable = '/nowhere/python'; from tinysnitch.daemon.startup.main import main; main()"


NO_DIAG = """
from tinysnitch.daemon.startup.main import main
from tinysnitch.kernel.netlink.sock_diag import SocketDiag
def refuse(*_request):
    raise FileNotFoundError
make = SocketDiag.__init__
def make_absent(self):
    make(self)
    self._netlink.dump = self._netlink.query = refuse
SocketDiag.__init__ = make_absent
main()
"""


def traces(lab: Lab) -> list[str]:
    """All that a start could leave behind or remove."""
    hooks = [["bpftool", "cgroup", "show", str(lab.cgroup)]]
    hooks += [["bpftool", "cgroup", "show", str(lab.namespaces.servers_cgroup)]]
    outputs = [lab.run_outside(command).stdout for command in [*hooks, ["find", "/sys/fs/bpf"]]]
    return [*saved_rules(lab), *outputs]


def start(lab: Lab, *flags: str, front: tuple[str, ...] = (), program: tuple[str, ...] = ()) -> str:
    """Start a daemon, which must fail; its error."""
    folder = lab.folder / "failed"
    folder.mkdir(exist_ok=True)
    (folder / "rules").write_text(f"allow {WORLD4} 80 tcp\n")
    words = [*file_flags(folder), "--cgroup", str(lab.cgroup), *flags]
    ended = lab.run_outside([*front, *(program or (str(BIN / "tinysnitchd"),)), *words])
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    return ended.stderr


def kill_one(lab: Lab) -> Daemon:
    """Start a daemon and kill it, so that its enforcement stays."""
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\n")
    daemon.kill()
    return daemon


def spoil(lab: Lab, name: str) -> tuple[str, ...]:
    """The front of a command line in whose PATH this program fails."""
    folder = lab.folder / "spoilt"
    folder.mkdir()
    (folder / name).write_text(f"#!/bin/sh\necho '{name}: half upgraded' >&2\nexit 1\n")
    (folder / name).chmod(0o755)
    return ("env", f"PATH={folder}:{os.environ['PATH']}")


def test_in_a_time_namespace_with_another_clock_it_does_not_start(lab: Lab) -> None:
    """Verdicts in the kernel end by the kernel's clock: what a rule allows until a time could pass for ever."""
    before = traces(lab)
    error = start(lab, front=("unshare", "--time", "--boottime=86400", "--fork"))
    assert error.startswith("tinysnitch: error: the boot-time clock of this time namespace is not the kernel's\n")
    assert traces(lab) == before


@pytest.mark.parametrize("front", [(), NO_BPF], ids=["bpf", "degraded"])
def test_a_kernel_that_lists_no_sockets_is_told_with_the_modules_it_lacks(lab: Lab, front: list[str]) -> None:
    """Otherwise each program would be unknown without BPF, and nobody would know why."""
    before = traces(lab)
    told = start(lab, front=tuple(front), program=(sys.executable, "-c", NO_DIAG)).splitlines()
    assert told[-2:] == [
        "tinysnitch: error: the kernel lists no sockets of tcp",
        "tinysnitch: hint: it needs INET_TCP_DIAG and INET_UDP_DIAG (modprobe tcp_diag udp_diag)",
    ]
    assert traces(lab) == before


def test_what_a_killed_daemon_left_stays(lab: Lab) -> None:
    daemon = kill_one(lab)
    left = traces(lab)
    assert "half upgraded" in start(lab, front=spoil(lab, "iptables-save"))
    assert traces(lab) == left
    start(lab, *NO_SOCKET)
    assert traces(lab) == left
    start(lab, "--cgroup", str(lab.namespaces.servers_cgroup), *NO_SOCKET)
    assert traces(lab) == left
    assert lab.restart_daemon(daemon.rules.parent).stop() == 0


def test_a_prompt_that_cannot_be_started_leaves_nothing(lab: Lab) -> None:
    before = traces(lab)
    program = (sys.executable, "-c", NO_PROMPT)
    for flags in ((), ("--on-exit", "keep")):
        told = start(lab, "--prompt", *flags, front=("env", "SUDO_UID=0", "DISPLAY=:99"), program=program)
        assert "cannot start /nowhere/tinysnitch-prompt" in told
        assert traces(lab) == before


def test_a_failed_start_without_bpf_leaves_no_folder(lab: Lab) -> None:
    before = traces(lab)
    start(lab, *NO_SOCKET, front=tuple(NO_BPF))
    assert traces(lab) == before


def test_a_missing_capability_for_queues_is_named(lab: Lab) -> None:
    """It must not say that a tinysnitchd runs already."""
    place = ["--rules", str(lab.folder / "rules"), "--cgroup", str(lab.cgroup)]
    weak = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", str(BIN / "tinysnitchd")]
    told = lab.run_outside([*weak, *place])
    assert told.returncode == 4
    assert "CAP_NET_ADMIN" in told.stderr
    assert "already" not in told.stderr


@pytest.mark.parametrize("count", [4, 5])
def test_a_loop_without_descriptors_says_so(lab: Lab, count: int) -> None:
    before = traces(lab)
    told = start(lab, front=("prlimit", f"--nofile={count}:{count}"))
    assert "Too many open files\ntinysnitch: hint: are there too many processes or open files" in told
    assert traces(lab) == before


@pytest.mark.parametrize("count", [12, 26, 37, 60, 130])
def test_a_limit_that_is_too_low_is_named_before_anything_is_done(lab: Lab, count: int) -> None:
    """Otherwise the start would fail somewhere later, with an error that does not name the limit."""
    before = traces(lab)
    told = start(lab, front=("prlimit", f"--nofile={count}:{count}"))
    assert told.splitlines()[0] == f"tinysnitch: error: {count} open files are too few: tinysnitchd needs 256"
    assert "hint: raise the limit: `ulimit -n" in told
    assert told.count("\n") == 2
    assert traces(lab) == before


def limits_of(pid: int) -> list[str]:
    """The soft and the hard limit of open files of a process."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[3:5] for line in lines if line.startswith("Max open files"))


def words_of(lab: Lab) -> list[str]:
    """The flags of a daemon with files of its own."""
    folder = lab.folder / "stopped"
    folder.mkdir()
    return [*file_flags(folder), "--cgroup", str(lab.cgroup)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_start_that_waits_for_a_hanging_name_service_can_be_ended(lab: Lab, number: signal.Signals) -> None:
    before = traces(lab)
    daemon = lab.spawn_outside([sys.executable, "-c", HANGING, *words_of(lab), "--user", "alice"])
    read_until(daemon, lambda said: said[-1] == "asked\n")
    daemon.send_signal(number)
    assert daemon.wait(timeout=WAIT_S) == -number
    assert traces(lab) == before


def test_a_daemon_that_is_stopped_while_iptables_runs_adds_no_rules(lab: Lab) -> None:
    """SIGTERM comes during the start, before the event loop runs, and counts before the next step."""
    before = traces(lab)
    front = spoil(lab, "iptables-restore")
    save = lab.folder / "spoilt" / "iptables-save"
    save.write_text("#!/bin/sh\nkill -TERM $PPID\nexec /usr/sbin/iptables-save\n")
    save.chmod(0o755)
    daemon = lab.spawn_outside([*front, str(BIN / "tinysnitchd"), *words_of(lab)])
    said, _ = daemon.communicate(timeout=WAIT_S)
    assert (said.count("starter set"), said.count("\n"), daemon.returncode) == (1, 1, 0), said
    assert traces(lab) == before


def test_the_daemon_raises_its_soft_limit_of_open_files_to_the_hard_one(lab: Lab) -> None:
    daemon = lab.spawn_outside(["prlimit", "--nofile=300:4000", str(BIN / "tinysnitchd"), *words_of(lab)])
    read_until(daemon, lambda said: " INFO ready" in said[-1])
    assert limits_of(daemon.pid) == ["4000", "4000"]
    daemon.terminate()
    assert daemon.wait(timeout=WAIT_S) == 0
