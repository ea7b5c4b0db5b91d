"""The commands beside the daemon: tinysnitch-trace, tinysnitch-iptables-add and -remove."""

import json
import os
import shutil
import signal
import time

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until, wait_listening, wait_until
from tests.lab.trace import start_trace
from tests.lab.world import HOST4, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

CLIENT = str(PROGRAMS / "tcp_client.py")
UDP_CLIENT = str(PROGRAMS / "udp_client.py")
OLD_SERVER = (  # of IPv4 alone
    "import socket, time; server = socket.create_server(('', 7001)); print('listening', flush=True); time.sleep(99)"
)
FORKING = "(exit 3); (kill -9 $(exec sh -c 'echo $PPID')); exit 4"
SENT = 9000  # three times what the kernel has room for
SENDING = (
    "import socket, sys; client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    f"for _each in range({SENT}): client.sendto(b'', (sys.argv[1], 9))"
)


@pytest.mark.core_lab
def test_trace_prints_what_is_executed_connected_sent_and_bound(lab: Lab) -> None:
    trace = start_trace(lab)
    wait_listening(lab.spawn(["/usr/bin/python3", str(PROGRAMS / "tcp_server.py"), "7000"]))
    lab.run(["/usr/bin/python3", CLIENT, WORLD4, "80"])
    lab.run(["/usr/bin/python3", UDP_CLIENT, WORLD4, "7"])
    kinds = (" exec ", " bind ", " connect ", " send ")
    said = read_until(trace, lambda lines: all(any(kind in line for line in lines) for kind in kinds))
    assert any(" connect " in line and WORLD4 in line and CLIENT in line for line in said), said


@pytest.mark.core_lab
def test_trace_prints_what_forks_exits_and_accepts(lab: Lab) -> None:
    trace = start_trace(lab, "--json")
    servers = [lab.spawn(["/usr/bin/python3", str(PROGRAMS / "tcp_server.py"), "7000"])]
    servers.append(lab.spawn(["/usr/bin/python3", "-c", OLD_SERVER]))
    for server in servers:
        wait_listening(server)
    for port in ("7000", "7001"):
        lab.run_world(["/usr/bin/curl", "-sm1", f"http://{HOST4}:{port}/"])
    shell = lab.spawn(["/bin/sh", "-c", FORKING])
    said = read_until(trace, lambda said: f'"status":4,"signal":null,"pid":{shell.pid}' in said[-1])
    lines = list(map(json.loads, said))
    accepts = [line for line in lines if line["event"] == "accept"]
    assert [(each["address"], each["protocol"], each["pid"]) for each in accepts] == [
        (WORLD4, "tcp", server.pid) for server in servers
    ]
    assert accepts[0]["args"][0].endswith("tcp_server.py")
    children = {line["pid"] for line in lines if line["event"] == "fork" and line["parent"] == shell.pid}
    ends = [line for line in lines if line["event"] == "exit" and line["pid"] in children]
    assert [(end["status"], end["signal"]) for end in ends] == [(3, None), (None, signal.SIGKILL)]
    assert {end["program"] for end in ends} == {os.path.realpath("/bin/sh")}


@pytest.mark.core_lab
def test_trace_tells_what_it_lost_and_escapes_what_programs_chose(lab: Lab) -> None:
    hostile = lab.folder / "\x1b[31mred\n"
    shutil.copy("/usr/bin/true", hostile)
    trace = start_trace(lab)
    lab.run([str(hostile), "\u202e"])
    said = read_until(trace, lambda said: " exit status 0 " in said[-1] and "red" in said[-1])
    assert said[-1].endswith("\\x1b[31mred\\n' $'\\u202e'\n")
    trace.send_signal(signal.SIGSTOP)
    lab.run(["/usr/bin/python3", "-c", SENDING, WORLD4])
    trace.send_signal(signal.SIGCONT)
    said = read_until(trace, lambda said: " WARNING lost " in said[-1])
    assert sum(" send udp " in line for line in said) + int(said[-1].split()[3]) >= SENT
    trace.terminate()
    assert " lines were lost\n" in trace.communicate(timeout=WAIT_S)[0]
    assert trace.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT])
def test_a_trace_that_is_ended_leaves_nothing_in_the_kernel(lab: Lab, number: signal.Signals) -> None:
    """SIGHUP is sent when its terminal is closed."""
    before = lab.run_outside(["find", "/sys/fs/bpf"]).stdout
    trace = start_trace(lab)
    trace.send_signal(number)
    trace.communicate(timeout=WAIT_S)
    assert lab.run_outside(["find", "/sys/fs/bpf"]).stdout == before


def test_a_trace_that_cannot_be_written_ends(lab: Lab) -> None:
    trace = lab.spawn_outside(["sh", "-c", f"exec {BIN}/tinysnitch-trace --cgroup {lab.cgroup} >/dev/full"])
    wait_until(lambda: lab.run(["true"]) and trace.poll() is not None, "it traces on")
    assert trace.stdout
    assert trace.stdout.readline() == "tinysnitch: error: cannot write: No space left on device\n"
    assert trace.returncode == 1


@pytest.mark.parametrize("wait_s", [0.15, 0.3, 0.5])
def test_a_trace_that_is_ended_while_it_starts_leaves_nothing_in_the_kernel(lab: Lab, wait_s: float) -> None:
    before = lab.run_outside(["find", "/sys/fs/bpf"]).stdout
    trace = lab.spawn_outside([str(BIN / "tinysnitch-trace"), "--cgroup", str(lab.cgroup)])
    time.sleep(wait_s)
    trace.terminate()
    trace.communicate(timeout=WAIT_S)
    assert lab.run_outside(["find", "/sys/fs/bpf"]).stdout == before


def test_rules_alone_hold_what_is_new_until_a_daemon_comes(lab: Lab) -> None:
    before = lab.run_outside(["iptables-save"]).stdout
    assert lab.run_outside([str(BIN / "tinysnitch-iptables-add")]).returncode == 0
    assert lab.run(["curl", "-sS", "-m1", f"http://{WORLD4}/"]).returncode == 28
    daemon = lab.start_daemon("allow - - -\n")
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0
    assert daemon.stop() == 0
    for _once_and_again in range(2):
        assert lab.run_outside([str(BIN / "tinysnitch-iptables-remove")]).returncode == 0
    assert lab.run_outside(["iptables-save"]).stdout == before
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0


def test_what_a_killed_daemon_shut_is_opened_as_the_hint_says(lab: Lab) -> None:
    before = lab.run_outside(["find", "/sys/fs/bpf"]).stdout
    daemon = lab.start_daemon("deny - - - /usr/bin/curl\n")
    curl = ["curl", "-sS", f"http://{WORLD4}/"]
    assert lab.run(curl).returncode == 7
    daemon.kill()
    assert lab.run(curl).returncode == 7  # what was decided holds on
    other = ["timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/80"]
    assert lab.run(other).returncode == 124
    said = daemon.cli("status").stderr
    assert "`tinysnitch-iptables-remove` lets everything through again" in said
    assert lab.run_outside([str(BIN / "tinysnitch-iptables-remove")]).returncode == 0
    assert lab.run(curl).returncode == 0
    assert lab.run_outside(["find", "/sys/fs/bpf"]).stdout == before


def test_iptables_remove_leaves_a_living_daemon_its_hooks(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    before = lab.run_outside(["find", "/sys/fs/bpf"]).stdout
    assert lab.run_outside([str(BIN / "tinysnitch-iptables-remove")]).returncode == 0
    assert lab.run_outside(["find", "/sys/fs/bpf"]).stdout == before
    daemon.wait_for(lambda record: record["event"] == "lost" and "put back" in str(record["what"]))


@pytest.mark.parametrize("command", ["tinysnitchd", "tinysnitch-trace", "tinysnitch-iptables-add"])
def test_without_root_they_say_so(lab: Lab, command: str) -> None:
    refused = lab.run([str(BIN / command)], user="nobody")
    assert refused.returncode == 4
    assert refused.stderr.startswith("tinysnitch: error: ")
    assert "tinysnitch: hint: " in refused.stderr


def test_ssh_is_asked_about_by_its_server(lab: Lab) -> None:
    """A real client in the world, a real server here."""
    keys = lab.folder / "keys"
    keys.mkdir()
    lab.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / "host")])
    sshd = [
        "/usr/sbin/sshd",
        "-D",
        "-e",
        "-f",
        "/dev/null",
        "-p",
        "2222",
        "-h",
        str(keys / "host"),
        "-o",
        "PidFile=none",
    ]
    lab.run_outside(["mkdir", "-p", "/run/sshd"])
    server = lab.spawn(sshd)
    read_until(server, lambda said: "listening" in said[-1])
    daemon = lab.start_daemon("")
    patient = ["-T", str(round(2 * WAIT_S))]  # it gives up after 5 s by default, and is held longer on a slow machine
    client = lab.spawn_world(["ssh-keyscan", *patient, "-t", "ed25519", "-p", "2222", HOST4])
    ask = daemon.wait_ask(direction="inbound")
    assert (ask["program"], ask["local_port"], ask["remote_address"]) == ("/usr/sbin/sshd", 2222, WORLD4)
    daemon.answer(ask, "yes", "--any-args")
    assert "ssh-ed25519" in client.communicate(timeout=WAIT_S)[0]
