"""Attribution without BPF: a process that still lives is named, another one is `unknown`, and none is named wrongly.

Status, log and `tinysnitch run` say that attribution is weaker.
"""

import itertools
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab.daemon import BIN, Record
from tests.lab.lab import Lab
from tests.lab.patience import wait_listening, wait_until, write_line
from tests.lab.step_client import PROGRAM, StepClient
from tests.lab.watched_lab import ALLOW_ALL, PYTHON, WatchedLab
from tests.lab.world import ECHO_PORT, HOST4, MORE_WORLD4, PROGRAMS, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

SENDER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as used:
    for line in sys.stdin:
        used.sendto(b"x", (sys.argv[1], int(line)))
"""
SOCKET_USER = str(PROGRAMS / "socket_user.py")


@pytest.fixture(scope="module")
def degraded(_clean_machine: None) -> Iterator[WatchedLab]:
    with WatchedLab(ALLOW_ALL, "--no-bpf") as made:
        yield made


@pytest.mark.parametrize(("protocol", "port"), [("tcp", 80), ("udp", ECHO_PORT)])
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_living_client_is_named(degraded: WatchedLab, protocol: str, port: int, address: str) -> None:
    client = StepClient(degraded.lab)
    assert client.connect(address, port, protocol) == "ok"
    record = degraded.daemon.wait_connection(pid=client.process.pid, protocol=protocol, remote_address=address)
    assert (record["program"], record["attribution"], record["uid"]) == (PROGRAM, "procfs", 0)
    client.end()


def test_a_living_server_is_named(degraded: WatchedLab) -> None:
    server = degraded.lab.spawn([PYTHON, str(PROGRAMS / "receiver.py"), "tcp", "0.0.0.0", "7200"])
    wait_listening(server)
    degraded.lab.run_world([PYTHON, str(PROGRAMS / "tcp_client.py"), HOST4, "7200"])
    record = degraded.daemon.wait_connection(direction="inbound", local_port=7200)
    assert (record["pid"], record["attribution"]) == (server.pid, "procfs")


MANY = """
import socket, sys
kind, port, *remotes = sys.argv[1:]
kept = []
for remote in remotes:
    used = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    kept.append(used)
    used.connect((remote, int(port)))
    used.send(b"x")
for used in kept:
    kind == "tcp" or used.recv(1)
"""
REMOTES = MORE_WORLD4[:20]


@pytest.mark.parametrize(("protocol", "port"), [("tcp", 80), ("udp", ECHO_PORT)])
def test_one_program_that_connects_to_many_at_once_is_never_unknown(lab: Lab, protocol: str, port: int) -> None:
    """It connects faster than all of /proc can be searched each time. What is unknown would be denied at once."""
    script = lab.folder / "many.py"
    script.write_text(MANY)
    daemon = lab.start_daemon(f"allow - - - {script}\n", "--no-bpf", timeout_s=0)
    done = lab.run([PYTHON, str(script), protocol, str(port), *REMOTES])
    assert done.returncode == 0, f"{done.stderr}\n{daemon.describe()}"
    records = [daemon.wait_connection(protocol=protocol, remote_address=remote) for remote in REMOTES]
    found = {(record["program"], record["attribution"], record["verdict"]) for record in records}
    assert found == {(str(script), "procfs", "allow")}


def test_many_programs_at_once_are_never_unknown(degraded: WatchedLab) -> None:
    clients = [StepClient(degraded.lab) for _ in range(8)]
    for client in clients:
        client.start("tcp", WORLD4, 80)
    for client in clients:
        assert client.result() == "ok"
        record = degraded.daemon.wait_connection(pid=client.process.pid)
        assert (record["program"], record["attribution"]) == (PROGRAM, "procfs")
        client.end()


def test_a_process_that_is_gone_is_unknown_and_never_taken_for_another(degraded: WatchedLab) -> None:
    """In turns with a process that stays, whose socket is known once a scan of /proc has met it."""
    staying = degraded.lab.spawn([PYTHON, "-c", SENDER, WORLD4], stdin=subprocess.PIPE)
    ports = itertools.count(9000)
    wait_until(lambda: send(degraded, staying, next(ports))["pid"] == staying.pid)
    for _ in range(30):
        pid, port = map(int, degraded.run([PYTHON, SOCKET_USER, "late_answer", WORLD4, "9"]).split())
        record = degraded.daemon.wait_connection(local_port=port, remote_port=9, protocol="udp")
        assert (record["program"], record["pid"]) in ((SOCKET_USER, pid), ("unknown", None))
        known = send(degraded, staying, next(ports))
        assert (known["pid"], known["args"][0]) == (staying.pid, "-c")
    staying.kill()


def send(degraded: WatchedLab, sender: subprocess.Popen[str], port: int) -> Record:
    """Have the sender send from the one socket that it has to a new port; the decision on that."""
    write_line(sender, f"{port}")
    return degraded.daemon.wait_connection(remote_port=port, protocol="udp")


@pytest.mark.core_lab
def test_with_bpf_nothing_is_weaker(lab: Lab) -> None:
    lines = lab.start_daemon("").cli("status").stdout.splitlines()
    assert lines[0] == "mode                enforcing, programs identified by the kernel (BPF)"
    assert not any(line.startswith("because") for line in lines)


def test_the_mode_is_shown(degraded: WatchedLab) -> None:
    (ready,) = degraded.daemon.records("ready")
    assert ready["mode"] != "bpf"
    assert "switched off" in degraded.daemon.cli("status").stdout


NO_BTF = "mount -t tmpfs none /sys/kernel/btf"
NO_LIBBPF = "mount --bind /dev/null $(ldconfig -p | sed -n 's/.*libbpf[.]so[.]1 .* => //p' | head -n1)"

# iptables' own words where the kernel lacks a match (taken from `-m ipvs`).
NO_XT_BPF = """mount -t tmpfs none /mnt
cat >/mnt/iptables <<'END'
#!/bin/sh
case "$*" in "-m bpf"*) echo "Warning: Extension bpf revision 0 not supported, missing kernel module?" >&2; exit;; esac
exec /usr/sbin/iptables "$@"
END
chmod +x /mnt/iptables; export PATH=/mnt:$PATH"""


@pytest.mark.parametrize(
    ("hide", "what"),
    [
        (NO_BTF, "/sys/kernel/btf/vmlinux"),
        (NO_LIBBPF, "libbpf.so.1 does not load"),
        (NO_XT_BPF, "the kernel lacks the netfilter match bpf"),
    ],
)
def test_run_says_at_its_start_that_it_does_without_bpf_and_why(lab: Lab, hide: str, what: str) -> None:
    """As in a container. Nobody looks at the status of a single command's firewall."""
    hidden = ["unshare", "-m", "sh", "-ec", f'{hide}; exec "$@"', "sh"]
    ran = lab.run_outside([*hidden, str(BIN / "tinysnitch"), "run", "--rules", "/dev/null", "--", "true"])
    assert ran.returncode == 0, ran.stderr
    said, *_rest = ran.stderr.splitlines()
    assert said.startswith("tinysnitch: DEGRADED: enforcing without BPF, attribution is weaker: "), ran.stderr
    assert said.count(what) == 1, said
