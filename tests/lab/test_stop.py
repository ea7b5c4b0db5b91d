"""A clean stop leaves nothing behind, and netfilter rules of others are untouched before, meanwhile and after."""

import os
import resource
import signal
import socket
import time
from contextlib import closing, suppress

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S
from tests.lab.wakeups import wait_settled
from tests.lab.world import PROGRAMS, WORLD4
from tinysnitch.daemon.startup.lifecycle import DROPPED

pytestmark = [pytest.mark.privileged]

OTHERS4 = """
*mangle
:mine - [0:0]
-A PREROUTING -j CONNMARK --restore-mark
-A OUTPUT -j mine
-A mine -p udp -m udp --dport 51820 -j MARK --set-xmark 0xca6c/0xffffffff
-A POSTROUTING -p udp -m mark --mark 0xca6c -j CONNMARK --save-mark
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:DOCKER-USER - [0:0]
:ufw-before-input - [0:0]
-A INPUT -j ufw-before-input
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j RETURN
-A ufw-before-input -i lo -j ACCEPT
COMMIT
"""
OTHERS6 = """
*filter
:mine - [0:0]
-A INPUT -j mine
-A mine -p tcp -m tcp --dport 23 -j DROP
COMMIT
"""


def saved_rules(lab: Lab) -> list[str]:
    """The netfilter rules of both families, without times and counters."""
    text = "".join(lab.run_outside([command]).stdout for command in ("iptables-save", "ip6tables-save"))
    return [line.partition(" [")[0] for line in text.splitlines() if not line.startswith("#")]


def traces(lab: Lab) -> dict[str, str]:
    """The contents of all places where a firewall could leave something."""
    commands = {
        "bpffs": ["find", "/sys/fs/bpf"],
        "cgroup": ["bpftool", "cgroup", "tree", str(lab.cgroup)],
        "run": ["find", "/run", "-path", "*tinysnitch*", "-not", "-path", "*/tinysnitch-run-*"],  # a command's
        "queues": ["cat", "/proc/net/netfilter/nfnetlink_queue"],
        "rules": ["ip", "rule"],
    }
    return {name: lab.run_outside(command).stdout for name, command in commands.items()}


def load(lab: Lab, program: str, rules: str) -> None:
    script = f"{program} --noflush <<'END'\n{rules}END\n"
    loaded = lab.run_outside(["sh", "-ec", script])
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.core_lab
def test_a_clean_stop_leaves_everything_as_it_was(lab: Lab) -> None:
    rules, before = saved_rules(lab), traces(lab)
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\n")
    assert saved_rules(lab) != rules
    assert all(traces(lab)[name] != before[name] for name in ("bpffs", "cgroup", "queues"))
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0
    assert daemon.stop() == 0
    assert saved_rules(lab) == rules
    assert traces(lab) == before
    assert not daemon.socket.exists()


def test_a_clean_stop_leaves_no_folder_and_no_lock_that_it_made(lab: Lab) -> None:
    place = lab.folder / "run" / "socket"
    daemon = lab.start_daemon("", "--socket", str(place))
    told = lab.run_outside([str(BIN / "tinysnitch"), "rules", "add", "--socket", str(place), "deny - 23 tcp"])
    assert told.returncode == 0, told.stderr
    assert daemon.stop() == 0
    assert not place.parent.exists()
    assert list(daemon.rules.parent.glob(".*")) == []


def test_a_clean_stop_by_control_c_does_the_same(lab: Lab) -> None:
    rules, before = saved_rules(lab), traces(lab)
    daemon = lab.start_daemon("")
    daemon.process.send_signal(2)
    assert daemon.process.wait(timeout=WAIT_S) in (0, 130)
    assert (saved_rules(lab), traces(lab)) == (rules, before)


def has_bpffs(lab: Lab) -> bool:
    return lab.run_outside(["mountpoint", "-q", "/sys/fs/bpf"]).returncode == 0


def unmount_bpffs(lab: Lab) -> None:
    """In the lab's mount namespace: its own, and those that it has from the machine."""
    lab.run_outside(["sh", "-c", "while mountpoint -q /sys/fs/bpf; do umount /sys/fs/bpf || exit; done"])
    assert not has_bpffs(lab)


def test_a_bpffs_that_the_daemon_mounted_goes_with_it(lab: Lab) -> None:
    unmount_bpffs(lab)
    daemon = lab.start_daemon("")
    assert has_bpffs(lab)
    assert daemon.stop() == 0
    assert not has_bpffs(lab)


def test_a_bpffs_that_a_daemon_mounted_and_left_goes_with_its_successor_or_when_all_is_removed(lab: Lab) -> None:
    unmount_bpffs(lab)
    daemon = lab.start_daemon("", "--on-exit", "keep")
    assert daemon.stop() == 0
    assert has_bpffs(lab)
    assert lab.restart_daemon(daemon.rules.parent).stop() == 0
    assert not has_bpffs(lab)
    lab.restart_daemon(daemon.rules.parent).kill()
    assert has_bpffs(lab)
    assert lab.run_outside([str(BIN / "tinysnitch-iptables-remove")]).returncode == 0
    assert not has_bpffs(lab)


@pytest.mark.parametrize("pause_s", [0.001, 0.02])
def test_a_key_that_is_held_spoils_no_stop(lab: Lab, pause_s: float) -> None:
    """Ctrl-C goes to the whole group of processes, again and again, until the very end."""
    before = traces(lab)
    daemon = lab.start_daemon("")
    while daemon.process.poll() is None:
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(daemon.process.pid, signal.SIGINT)
        time.sleep(pause_s)  # as a held key does
    assert daemon.process.wait(timeout=WAIT_S) == 0, daemon.describe()
    assert "TINYSNITCH" not in "".join(saved_rules(lab))
    assert traces(lab) == before


def test_a_sighup_of_its_last_moments_spoils_no_stop(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    daemon.process.terminate()
    while daemon.process.poll() is None:
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.005)  # seldom enough for asyncio to note each
    assert daemon.process.wait(timeout=WAIT_S) == 0, daemon.describe()


def test_a_stop_that_can_start_no_process_says_what_to_do(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    pid = daemon.process.pid
    wait_settled(pid)  # before that it may still close some descriptors
    _soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 1, hard))
    assert daemon.stop() == 1
    told = daemon.describe()
    assert "error: the netfilter rules stay: " in told
    assert "`tinysnitch-iptables-remove` takes them away" in told
    assert "Traceback" not in told
    assert lab.run_outside([str(BIN / "tinysnitch-iptables-remove")]).returncode == 0
    assert "TINYSNITCH" not in "".join(saved_rules(lab))


def test_a_stop_that_cannot_read_the_loss_counters_still_succeeds(lab: Lab) -> None:
    daemon = lab.start_daemon("", "--on-exit", "keep")
    _soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (0, hard))
    assert daemon.stop() == 0, daemon.describe()
    assert "Too many open files" in daemon.describe()
    assert lab.restart_daemon(daemon.rules.parent).stop() == 0


def test_the_rules_of_others_stay_as_they_are(lab: Lab) -> None:
    load(lab, "iptables-restore", OTHERS4)
    load(lab, "ip6tables-restore", OTHERS6)
    before = saved_rules(lab)
    daemon = lab.start_daemon("")
    meanwhile = saved_rules(lab)
    of_others = [line for line in before if line.startswith(("-A", ":mine", ":DOCKER", ":ufw"))]
    assert [line for line in meanwhile if line in of_others] == of_others
    assert daemon.stop() == 0
    assert saved_rules(lab) == before


def test_rules_can_be_saved_without_ours(lab: Lab) -> None:
    """As docs/commands.md says. A saved file that includes ours cannot be loaded at the next boot."""
    load(lab, "iptables-restore", OTHERS4)
    before = saved_rules(lab)
    place = lab.folder / "saved"
    daemon = lab.start_daemon("")
    saved = lab.run_outside(["sh", "-ec", f"iptables-save >{place}; grep -v TINYSNITCH {place} >{place}.clean"])
    assert saved.returncode == 0
    assert daemon.stop() == 0
    assert lab.run_outside(["sh", "-c", f"iptables-restore <{place}"]).returncode != 0
    assert lab.run_outside(["sh", "-c", f"iptables-restore <{place}.clean"]).returncode == 0
    of_others = [line for line in before if line.startswith(("-A", ":mine", ":DOCKER", ":ufw"))]
    assert [line for line in saved_rules(lab) if line in of_others] == of_others
    assert "TINYSNITCH" not in "".join(saved_rules(lab))


def test_a_mark_of_others_is_still_set_on_what_we_judge(lab: Lab) -> None:
    mark = "*mangle\n-A OUTPUT -p tcp --dport 80 -j MARK --set-xmark 0xca6c/0xffffffff\nCOMMIT\n"
    seen = "*filter\n-A OUTPUT -p tcp --dport 80 -m mark ! --mark 0xca6c -j DROP\nCOMMIT\n"
    load(lab, "iptables-restore", mark + seen)
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp /usr/bin/curl\ndeny {WORLD4} 80 tcp\n")
    for _first_and_cached in range(2):
        assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0
        refused = lab.run(["/usr/bin/python3", str(PROGRAMS / "tcp_client.py"), WORLD4, "80"])
        assert "ConnectionRefusedError" in refused.stderr
    assert daemon.stop() == 0


def test_what_waits_is_refused_when_the_firewall_goes(lab: Lab) -> None:
    """Otherwise the program would send it again, and it would pass without a question."""
    daemon = lab.start_daemon("")
    curl = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    daemon.wait_ask()
    assert daemon.stop() == 0
    assert curl.wait(timeout=WAIT_S) == 7
    assert daemon.wait_connection(protocol="tcp")["reason"] == "the firewall ends"


def test_on_exit_keep_leaves_enforcement(lab: Lab) -> None:
    daemon = lab.start_daemon(f"deny {WORLD4} 80 tcp\n", "--on-exit", "keep")
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 7
    assert daemon.stop() == 0
    assert lab.run(["curl", "-sS", "-m", "2", f"http://{WORLD4}:8080/"]).returncode == 28
    assert lab.restart_daemon(daemon.rules.parent).stop() == 0
    assert lab.run(["curl", "-sS", f"http://{WORLD4}:8080/"]).returncode == 0


def test_nothing_passes_between_a_daemon_that_hands_over_and_its_successor(lab: Lab) -> None:
    """`systemctl restart` sends SIGUSR1, by RestartKillSignal= in the unit."""
    before = traces(lab)
    daemon = lab.start_daemon("")
    curl = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    daemon.wait_ask()
    daemon.process.send_signal(signal.SIGUSR1)
    assert daemon.process.wait(timeout=WAIT_S) == 0, daemon.describe()
    lost = daemon.wait_for(lambda record: record["event"] == "lost")
    assert (lost["what"], lost["count"]) == (DROPPED, 1)
    assert lab.run(["curl", "-sS", "-m", "1", f"http://{WORLD4}:8080/"]).returncode == 28
    assert curl.poll() is None
    successor = lab.restart_daemon(daemon.rules.parent)
    ask = successor.wait_ask(remote_port=80)
    assert (ask["program"], ask["attribution"]) == ("/usr/bin/curl", "bpf")
    successor.answer(ask, "yes")
    assert curl.wait(timeout=WAIT_S) == 0
    assert successor.stop() == 0
    assert traces(lab) == before


def test_what_was_lost_last_is_told_at_the_end(lab: Lab) -> None:
    """A loss that goes on is logged at longer and longer intervals, so that the last ones are told only at a stop."""
    daemon = lab.start_daemon("")
    for _ in range(3):
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(str(daemon.socket))
            client.sendall(b"\xff\n")
            while client.recv(4096):
                pass
    told = daemon.stop_and_tell("lost")
    assert sum(lost["count"] for lost in told if "not understood" in lost["what"]) == 3
