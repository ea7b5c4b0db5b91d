"""Each line on machines that are broken for real: several things at once, since each look takes a second."""

import json
from pathlib import Path

import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tests.doctor.broken_machine import examine
from tinysnitch.doctor.command import doctor_command
from tinysnitch.kernel.bpf.objects import FOLDER

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search")
NOBODY_WHO_READS = (*NOBODY, "--ambient-caps=+dac_read_search", "--")  # the checkout may lie where only root may read


@pytest.fixture
def command(running: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path / "socket", capsys)


def test_here_nothing_lacks() -> None:
    code, found = examine(":")
    assert (code, [line for line in found.values() if line["state"] == "lacking"]) == (0, [])
    assert found["BPF programs"]["text"].endswith("pass the verifier")
    assert {name for name, line in found.items() if line["state"] == "note"} <= {"daemon", "Qt", "name service"}


def test_nothing_is_left_behind() -> None:
    """Neither pins nor rules, in the machine's own namespaces: here in those that stand for them."""
    script = "mount -t bpf bpf /sys/fs/bpf; before=$(iptables-save)"
    look = 'tinysnitch doctor >/dev/null || true; test "$before" = "$(iptables-save)"; '
    look += 'test -z "$(ls -I "*.debug" /sys/fs/bpf)"'
    assert examine(f"{script}; {look}")[0] == 0


def test_without_btf_or_cgroup2_beside_another_firewall_and_rules_that_no_daemon_reads() -> None:
    code, found = examine(
        "mount -t tmpfs none /sys/kernel/btf; umount $(findmnt -nt cgroup2 -o TARGET)\n"
        "tinysnitch-iptables-add 2>/dev/null; iptables -t nat -A OUTPUT -j ACCEPT; ebtables-nft -A FORWARD -j ACCEPT\n"
        "mount --bind /dev/null /etc/resolv.conf"
    )
    assert code == 1
    lacking = {name for name, line in found.items() if line["state"] == "lacking"}
    assert lacking == {"BTF", "cgroup2", "BPF programs", "daemon"}
    assert "DEGRADED" in found["BTF"]["follows"]
    assert found["BPF programs"]["text"].endswith("; also socket, scope, accept, verdict, sync, traffic")
    assert found["other firewalls"]["text"] == "iptables nat 1; nft bridge filter"
    assert "tinysnitch-iptables-remove" in found["daemon"]["mend"]
    assert found["resolvers"]["text"].startswith("127.0.0.1")  # resolv.conf(5)
    assert found["netfilter rules"]["state"] == "ok"  # as in the degraded mode


LACKING = "Warning: Extension $name revision 0 not supported, missing kernel module?"
# iptables of a machine whose kernel has neither module.
WITHOUT_MATCHES = f"""#!/bin/sh
for name in bpf conntrack; do
	test "$*" = "-m $name --help" && {{ echo "{LACKING}" >&2; exit 2; }}
done
exec /usr/sbin/iptables "$@"
"""


def test_an_old_kernel_without_modules_and_a_broken_object(tmp_path: Path) -> None:
    (tmp_path / "iptables").write_text(WITHOUT_MATCHES)
    (tmp_path / "iptables").chmod(0o755)
    (tmp_path / "nsswitch.conf").write_text("hosts: files resolve\n")
    (tmp_path / "libbpf").write_text("")
    code, found = examine(
        "mount -t tmpfs none /run; mkdir -p /run/systemd/resolve; >/run/systemd/resolve/io.systemd.Resolve\n"
        f"mount --bind {tmp_path}/nsswitch.conf /etc/nsswitch.conf\n"
        f"mount --bind {tmp_path}/libbpf {FOLDER}/scope.bpf.o\nexport PATH={tmp_path}:$PATH",
        "setarch",
        "--uname-2.6",
    )
    assert code == 1
    lacking = {name: line for name, line in found.items() if line["state"] == "lacking"}
    assert set(lacking) == {"kernel", "xt_bpf", "xt_conntrack", "BPF programs"}
    assert "scope.bpf.o" in lacking["BPF programs"]["text"]
    assert lacking["xt_bpf"]["text"] == "the kernel lacks the netfilter match bpf"
    assert lacking["xt_bpf"]["mend"] == "modprobe xt_bpf"
    assert (found["name service"]["state"], found["resolved monitor"]["state"]) == ("note", "note")


def test_root_without_its_rights() -> None:
    code, found = examine(":", "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--")
    assert code == 1
    lacking = {name for name, line in found.items() if line["state"] == "lacking"}
    assert {"rights", "NFQUEUE", "netfilter rules"} <= lacking
    code, found = examine(":", "setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--")
    assert (code, found["NFQUEUE"]["text"]) == (1, "no namespaces of its own: Operation not permitted")


def test_a_normal_user_is_told_what_only_root_can_tell(tmp_path: Path) -> None:
    code, found = examine(
        f"mount -t tmpfs none /sys/fs; mount -t tmpfs none {FOLDER}; mount -t tmpfs none /etc/alternatives",
        *NOBODY_WHO_READS,
    )
    assert code == 1
    for_root = {name for name, line in found.items() if line["state"] == "root"}
    assert for_root >= {"rights", "BPF programs", "xt_bpf", "NFQUEUE", "netfilter rules", "other firewalls"}
    assert {name for name in ("bpffs", "BPF objects", "iptables") if found[name]["state"] != "lacking"} == set()


def test_who_may_not_open_the_socket_is_told_how_to_become_one_who_may(running: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "socket").chmod(0o600)
    daemon = examine(":", *NOBODY_WHO_READS, socket=str(tmp_path / "socket"))[1]["daemon"]
    assert (daemon["state"], daemon["mend"]) == ("lacking", "sudo usermod -aG tinysnitch $USER")


def test_a_person_reads_one_line_a_thing_and_a_program_one_object(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    told = command("doctor")
    assert max(map(len, told.out.splitlines())) < 80
    assert told.out.splitlines()[-1].startswith("nothing lacks, as far as you may see; `sudo tinysnitch doctor` tells ")
    printed = [json.loads(line) for line in command("doctor", "--json").out.splitlines()]
    assert all(list(line) == ["name", "state", "text", "follows", "mend"] for line in printed)
    assert sum(line["state"] == "root" for line in printed) >= 6
    assert "Changes nothing" in (doctor_command.help or "")
