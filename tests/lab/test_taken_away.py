"""Someone removes our netfilter rules, by mistake or by loading others: the daemon puts them back, and says so."""

import json
import os
import shutil
import signal

import pytest

from tests.bpf.native_rule import add_native_rule
from tests.bpf.netns_visit import visit_netns
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.leftovers import NETNS_FOLDER
from tests.lab.wakeups import stand_still
from tests.lab.world import WORLD4, WORLD6
from tinysnitch.daemon.loop.netfilter_guard import PUT_BACK
from tinysnitch.kernel.netfilter.nf_tables import list_chains, list_rules
from tinysnitch.kernel.netfilter.rules import Family

pytestmark = [pytest.mark.privileged]

FLUSHED = "for t in mangle filter security; do {0} -t $t -F; {0} -t $t -X; done"


@pytest.mark.parametrize(
    ("deed", "address"),
    [
        ("iptables -t mangle -F OUTPUT", WORLD4),
        ("ip6tables -t mangle -F TINYSNITCH-JUDGEOUT", WORLD6),
        (FLUSHED.format("iptables"), WORLD4),
        (FLUSHED.format("ip6tables"), WORLD6),
        ("iptables -t filter -F OUTPUT", WORLD4),
    ],
)
def test_what_was_taken_away_comes_back_and_is_told(lab: Lab, deed: str, address: str) -> None:
    daemon = lab.start_daemon("deny - 80 tcp\n")
    stand_still(daemon.process.pid)  # so that it looks once only, however long the deed takes
    try:
        assert lab.run_outside(["sh", "-c", deed]).returncode == 0
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == PUT_BACK)
    assert lab.run(["curl", "-sS", f"http://[{address}]/" if ":" in address else f"http://{address}/"]).returncode == 7
    assert json.loads(daemon.cli("status", "--json").stdout)["losses"][PUT_BACK] == 1
    assert len(daemon.stop_and_tell("lost")) == 1
    saved = lab.run_outside(["iptables-save"]).stdout + lab.run_outside(["ip6tables-save"]).stdout
    assert "TINYSNITCH" not in saved


def test_what_is_taken_away_while_the_daemon_starts_comes_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """At boot another service may flush all rules before it loads its own: here after our IPv4 rules, before IPv6."""
    folder, is_done = lab.folder / "bin", lab.folder / "done"
    folder.mkdir()
    restore = folder / "ip6tables-restore"
    flush = f"[ -e {is_done} ] || {{ touch {is_done}; iptables -t mangle -F OUTPUT; }}"
    restore.write_text(f'#!/bin/sh\n{flush}\nexec {shutil.which(restore.name)} "$@"\n')
    restore.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    daemon = lab.start_daemon("deny - 80 tcp\n")
    assert is_done.exists()
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == PUT_BACK)
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 7


def test_the_rules_of_others_change_nothing(lab: Lab) -> None:
    daemon = lab.start_daemon("allow - - -\n")
    for rule in ("-t mangle -I OUTPUT 1 -p 99 -j RETURN", "-t mangle -F PREROUTING", "-I INPUT 1 -p 99 -j ACCEPT"):
        assert lab.run_outside(["iptables", *rule.split()]).returncode == 0
    saved = lab.run_outside(["iptables-save", "-t", "mangle"]).stdout
    assert lab.run_outside(["iptables", "-t", "mangle", "-F", "OUTPUT"]).returncode == 0
    daemon.wait_for(lambda record: record["event"] == "lost")
    assert "-p 99" in saved
    assert len(daemon.stop_and_tell("lost")) == 1  # and none for the first three


def test_status_says_that_it_could_not_be_put_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when another firewall owns the table (`flags owner`, nft(8))."""
    folder, is_broken = lab.folder / "bin", lab.folder / "broken"
    folder.mkdir()
    restore = folder / "iptables-restore"
    restore.write_text(f'#!/bin/sh\n[ ! -e {is_broken} ] || exit 2\nexec {shutil.which(restore.name)} "$@"\n')
    restore.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    daemon = lab.start_daemon("")
    status = daemon.cli("status")
    assert ("NOT" in status.stdout, status.returncode) == (False, 0)
    is_broken.touch()
    assert lab.run_outside(["iptables", "-t", "mangle", "-F", "OUTPUT"]).returncode == 0
    daemon.wait_for(lambda record: record["event"] == "lost" and "not put back: " in record["what"])
    status = daemon.cli("status")
    assert status.stdout.startswith("mode                NOT enforcing")
    assert status.returncode == 1  # for who watches over machines, and reads no text
    is_broken.unlink()
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == PUT_BACK)
    assert daemon.cli("status").stdout.startswith("mode                enforcing")


def test_without_its_pins_the_daemon_still_knows_programs_and_tells_what_cannot_be_put_back(lab: Lab) -> None:
    """As after `rm -r /sys/fs/bpf/*`: only a successor can pin its programs again."""
    daemon = lab.start_daemon("allow - 80 tcp /usr/bin/curl\n", timeout_s=0)
    assert lab.run_outside(["umount", "/sys/fs/bpf"]).returncode == 0
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0
    assert lab.run_outside(["iptables", "-t", "mangle", "-F", "OUTPUT"]).returncode == 0
    told = daemon.wait_for(lambda record: record["event"] == "lost" and "not put back: " in record["what"])
    assert "only a restart of tinysnitchd puts it there again" in told["what"]
    successor = handed_over(lab, daemon)
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0
    assert successor.stop_and_tell("lost") == []


@pytest.mark.parametrize("table", ["mangle", "filter"])
@pytest.mark.parametrize("is_first", [True, False], ids=["theirs first", "ours first"])
def test_a_table_that_iptables_cannot_read_is_guarded_and_left(lab: Lab, table: str, is_first: bool) -> None:
    """Rules made by iptables-restore-translate, or by `nft add rule ip filter OUTPUT ct state ...`, make it so."""

    def add() -> None:
        lab.run_outside(["iptables", "-t", table, "-A", "OUTPUT", "-p", "99", "-j", "ACCEPT"])
        with visit_netns(NETNS_FOLDER / lab.namespaces.host):
            add_native_rule(table, "OUTPUT")
        assert f"`{table}' is incompatible" in lab.run_outside(["iptables-save"]).stdout

    if is_first:
        add()
    daemon = lab.start_daemon("deny - 80 tcp\n")
    if not is_first:
        add()
    assert lab.run_outside(["ip6tables", "-t", "mangle", "-F", "OUTPUT"]).returncode == 0
    daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == PUT_BACK)
    flush = f"iptables -t {table} -F OUTPUT; iptables -t {table} -A OUTPUT -p 99 -j ACCEPT"
    assert lab.run_outside(["sh", "-ec", flush]).returncode == 0
    with visit_netns(NETNS_FOLDER / lab.namespaces.host):
        add_native_rule(table, "OUTPUT")
    daemon.wait_for_count(lambda record: record["event"] == "lost" and record["what"] == PUT_BACK, 2)
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 7
    successor = handed_over(lab, daemon)
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 7
    assert count_jumps(lab, table) == 1  # those of before are taken away when they are put back
    assert successor.stop_and_tell("lost") == []
    assert not find_ours(lab, table)
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0


def handed_over(lab: Lab, daemon: Daemon) -> Daemon:
    daemon.kill()
    return lab.restart_daemon(daemon.rules.parent)


def count_jumps(lab: Lab, table: str) -> int:
    with visit_netns(NETNS_FOLDER / lab.namespaces.host):
        rules = list_rules(Family.V4, table)
    return sum(rule.chain == "OUTPUT" and rule.target.startswith("TINYSNITCH") for rule in rules)


def find_ours(lab: Lab, table: str) -> list[str]:
    with visit_netns(NETNS_FOLDER / lab.namespaces.host):
        return [name for name in list_chains(Family.V4, table) if name.startswith("TINYSNITCH")]
