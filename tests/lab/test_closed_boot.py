"""packaging/tinysnitch-closed, a shell script: it keeps a boot closed at which tinysnitchd cannot be executed."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.kernel.netfilter.test_rules import LINK_PACKETS
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_listening
from tests.lab.test_matrix import INBOUND
from tests.lab.watched_lab import PYTHON
from tests.lab.world import HOST4, HOST6, PROGRAMS, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

SCRIPT = str(Path(__file__).parents[2] / "packaging/tinysnitch-closed")
STEADY = str(PROGRAMS / "steady_client.py")
SHORT = ["timeout", "1"]
TIMED_OUT = 124


# Sends each message (PROTOCOL:HEXADECIMAL) to the address by a raw socket.
SEND_RAW = """
import socket, sys
address, *messages = sys.argv[1:]
for message in messages:
    protocol, _, data = message.partition(":")
    raw = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_RAW, int(protocol))
    raw.sendto(bytes.fromhex(data), (address, 0))
"""


def say(lab: Lab, word: str) -> None:
    done = lab.run_outside([SCRIPT, word])
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def visit(lab: Lab, address: str, *front: str) -> int:
    host = f"[{address}]" if ":" in address else address
    return lab.run([*front, "curl", "-s", "-o", "/dev/null", f"http://{host}/"]).returncode


def is_silent(lab: Lab, *addresses: str) -> bool:
    return [visit(lab, address, *SHORT) for address in addresses] == [TIMED_OUT] * len(addresses)


def saved_rules(lab: Lab) -> list[str]:
    """All rules, without their counters: a machine sends something to its link at any time."""
    saved = (lab.run_outside([f"{command}-save"]).stdout for command in ("iptables", "ip6tables"))
    lines = (line for text in saved for line in text.splitlines() if line.startswith((":", "-A")))
    return [re.sub(r" \[\d+:\d+\]$", "", line) for line in lines]


def rules_of_it(lab: Lab) -> list[str]:
    return [line for line in saved_rules(lab) if "UNTIL-TINYSNITCH" in line]


def test_nothing_new_leaves_until_it_is_opened(lab: Lab) -> None:
    say(lab, "close")
    assert is_silent(lab, WORLD4, WORLD6)
    assert [visit(lab, address) for address in (HOST4, HOST6)] == [7, 7]  # its own addresses: nothing listens there
    say(lab, "open")
    assert [visit(lab, address) for address in (WORLD4, WORLD6)] == [0, 0]
    assert rules_of_it(lab) == []


def test_nothing_new_comes_in(lab: Lab) -> None:
    for way in INBOUND.values():
        if way.server:
            wait_listening(lab.spawn([*way.server]))
    say(lab, "close")
    visits = [way.command(address) for way in INBOUND.values() for address in (HOST4, HOST6)]
    clients = [lab.spawn_world([*SHORT, *command]) for command in visits]
    assert [client.wait(timeout=WAIT_S) for client in clients] == [TIMED_OUT] * len(visits)


def test_a_connection_that_is_there_goes_on(lab: Lab) -> None:
    download = lab.spawn(["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", f"http://{WORLD4}/slow/large"])
    lab.run(["sh", "-c", f"until ss -Htn state established dst {WORLD4} | grep -q .; do sleep 0.05; done"])
    say(lab, "close")
    assert download.communicate(timeout=WAIT_S)[0] == "3000000"


def test_what_keeps_the_link_alive_passes_as_it_does_by_the_daemons_rules(lab: Lab) -> None:
    say(lab, "close")
    for family, here, there in ((socket.AF_INET, HOST4, WORLD4), (socket.AF_INET6, HOST6, WORLD6)):
        kinds = [(protocol, kind) for each, protocol, kind in LINK_PACKETS if each == family]
        messages = [f"{protocol}:{(kind + bytes(27)).hex()}" for protocol, kind in kinds]
        for run, address in ((lab.run_outside, there), (lab.run_world, here)):
            sent = run([PYTHON, "-c", SEND_RAW, address, *messages])
            assert sent.returncode == 0, sent.stderr
    for command in ("iptables", "ip6tables"):
        listed = lab.run_outside([command, "-t", "mangle", "-vxnL", "UNTIL-TINYSNITCH"]).stdout
        assert re.findall(r"^ *(\d+) +\d+ DROP", listed, re.MULTILINE) == ["0"], listed


def test_closing_or_opening_twice_changes_nothing_more(lab: Lab) -> None:
    before = saved_rules(lab)
    say(lab, "close")
    closed = saved_rules(lab)
    say(lab, "close")
    assert saved_rules(lab) == closed
    for _ in range(2):
        say(lab, "open")
        assert [line for line in saved_rules(lab) if line not in before and not line.startswith(":")] == []


@pytest.mark.parametrize("taken", ["INPUT", "OUTPUT"])
def test_it_opens_also_when_others_have_removed_a_part_of_its_rules(lab: Lab, taken: str) -> None:
    say(lab, "close")
    lab.run_outside(["iptables", "-t", "mangle", "-F", taken])
    say(lab, "open")
    assert visit(lab, WORLD4) == 0
    assert rules_of_it(lab) == []


def test_where_a_daemon_stands_it_closes_nothing(lab: Lab) -> None:
    lab.start_daemon(f"allow {WORLD4} 80 tcp\n")
    say(lab, "close")
    assert rules_of_it(lab) == []
    assert visit(lab, WORLD4) == 0


def test_where_others_emptied_what_a_daemon_left_it_closes(lab: Lab) -> None:
    lab.start_daemon("").kill()
    lab.run_outside(["iptables", "-t", "mangle", "-F"])
    assert visit(lab, WORLD4) == 0
    say(lab, "close")
    assert is_silent(lab, WORLD4, WORLD6)


def test_the_rules_of_a_daemon_that_starts_are_not_taken_away_with_it(lab: Lab) -> None:
    """The order at a boot: closed, then the daemon's rules are added, then it is opened."""
    say(lab, "close")
    lab.start_daemon(f"allow {WORLD4} 80 tcp\n", "--timeout", "0")
    assert is_silent(lab, WORLD4)
    say(lab, "open")
    assert [visit(lab, address) for address in (WORLD4, WORLD6)] == [0, 7]


@pytest.mark.parametrize("flags", [[], ["--no-bpf"]], ids=["bpf", "degraded"])
def test_what_a_daemon_left_that_died_is_taken_away_without_it(lab: Lab, flags: list[str]) -> None:
    for command in ("iptables", "ip6tables"):
        lab.run_outside([command, "-t", "mangle", "-A", "OUTPUT", "-p", "udp", "--dport", "9", "-j", "DROP"])
    before = rules_of_all(lab)
    daemon = lab.start_daemon("", *flags)
    daemon.kill()
    assert is_silent(lab, WORLD4, WORLD6)
    for _ in range(2):
        say(lab, "remove")
        assert [visit(lab, address) for address in (WORLD4, WORLD6)] == [0, 0]
        assert rules_of_all(lab) == before
        assert "TINYSNITCH" not in "".join(saved_rules(lab))
    lab.restart_daemon(daemon.rules.parent, "--timeout", "0", *flags)
    assert visit(lab, WORLD4) == 7


def rules_of_all(lab: Lab) -> list[str]:
    """All rules, but not the built-in chains: these are there once a table was used."""
    return [line for line in saved_rules(lab) if line.startswith("-A")]


def test_another_word_is_told() -> None:
    done = subprocess.run([SCRIPT, "shut"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        'tinysnitch: error: tinysnitch-closed does not know "shut"',
        "tinysnitch: hint: say: tinysnitch-closed, then close, open, remove, check or explain",
    ]


FAKE_IPTABLES = r"""#!/bin/sh
echo "$0 $*" >>"${0%/*}/said"
case "$0 $*" in *restore*) cat ;; *-S*) exit 1 ;; esac
"""


def make_path(folder: Path, *commands: str) -> dict[str, str]:
    """An environment whose PATH has tools of every system, and these commands, which write down how they are called."""
    for name in ("awk", "cat", "sed", "tr"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    for name in commands:
        (folder / name).write_text(FAKE_IPTABLES)
        (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize("word", ["close", "open", "remove"])
def test_without_iptables_it_says_what_is_missing_and_what_follows(tmp_path: Path, word: str) -> None:
    done = subprocess.run([SCRIPT, word], env=make_path(tmp_path), capture_output=True, text=True)
    follows = "not closed" if word == "close" else "not opened, if it was closed"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"tinysnitch: error: there is no iptables: IPv4 is {follows}",
        f"tinysnitch: error: there is no ip6tables: IPv6 is {follows}",
        "tinysnitch: hint: install the package iptables",
    ]


def test_without_iptables_ipv6_is_closed_all_the_same(tmp_path: Path) -> None:
    commands = ("ip6tables", "ip6tables-save", "ip6tables-restore")
    done = subprocess.run([SCRIPT, "close"], env=make_path(tmp_path, *commands), capture_output=True, text=True)
    assert done.returncode == 1
    assert "-A UNTIL-TINYSNITCH -j DROP" in done.stdout
    assert done.stderr.splitlines()[0] == "tinysnitch: error: there is no iptables: IPv4 is not closed"
    assert "ip6tables-restore -w --noflush" in (tmp_path / "said").read_text()


def test_without_iptables_nothing_is_closed(tmp_path: Path) -> None:
    """`check` is called at each start and stays silent: the next step there says what is missing."""
    done = subprocess.run([SCRIPT, "check"], env=make_path(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
