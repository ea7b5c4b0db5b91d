"""A pause lets pass what no rule covers, and nothing else; its end holds back what went on only for that."""

import json
import subprocess
import sys

import pytest

from tests.lab.daemon import Daemon, Record
from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE, WAIT_S, read_until, wait_until
from tests.lab.world import ECHO_PORT, MORE_WORLD4, PROGRAMS, WORLD4
from tinysnitch.core.rules.learned_line import split_learned

pytestmark = [pytest.mark.privileged]

STEADY = ["/usr/bin/python3", str(PROGRAMS / "steady_client.py")]  # fifty connections a second of one process
# Datagrams of one socket, each waiting for its echo.
TALK = f"""
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
    talk.connect((sys.argv[1], {ECHO_PORT}))
    talk.settimeout(0.5)
    while True:
        talk.send(b"ping")
        try:
            talk.recv(2048)
            print("echo", flush=True)
        except TimeoutError:
            print("nothing", flush=True)
        time.sleep(0.02)
"""


def status_of(daemon: Daemon) -> Record:
    told: Record = json.loads(daemon.cli("status", "--json").stdout)
    return told


def read_ok(client: subprocess.Popen[str], word: str, count: int) -> None:
    assert read_until(client, lambda said: len(said) == count) == [f"{word}\n"] * count


@pytest.mark.core_lab
def test_a_pause_lasts_through_a_kill_and_what_it_let_pass_is_asked_about_afterwards(lab: Lab) -> None:
    daemon = lab.start_daemon(f"deny {WORLD4} 8080 tcp\nask {WORLD4} 25 tcp\n")
    waiting = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    daemon.wait_ask(remote_address=WORLD4)
    paused = daemon.cli("pause", "10m")
    assert "1 question that was open is allowed by it" in paused.stderr, paused.stderr
    assert waiting.communicate(timeout=WAIT_S)[0] == "welcome to the shop\n"
    reason = daemon.wait_connection(program="/usr/bin/curl", verdict="allow")["reason"]
    until = status_of(daemon)["asking_until"]
    assert reason == f"paused until {until[:19]}Z, no rule matches"
    assert lab.run(["curl", "-s", f"http://{WORLD4}:8080/"]).returncode == 7, "a rule denies it"
    lab.spawn(["curl", "-s", f"http://{WORLD4}:25/"])
    daemon.wait_ask(remote_port=25)
    steady, talk = (
        lab.spawn([*STEADY, MORE_WORLD4[0], "80"]),
        lab.spawn([sys.executable, "-S", "-c", TALK, MORE_WORLD4[1]]),
    )
    read_ok(steady, "ok", 5)
    read_ok(talk, "echo", 5)
    download = lab.spawn(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", f"http://{MORE_WORLD4[2]}/slow/large"]
    )
    daemon.wait_connection(remote_address=MORE_WORLD4[2])

    daemon.kill()
    read_ok(steady, "ok", 20)
    successor = lab.restart_daemon(daemon.rules.parent)
    assert status_of(successor)["asking_until"] == until
    assert lab.run(["curl", "-sS", f"http://{MORE_WORLD4[3]}/"]).stdout == "welcome to the shop\n"

    assert successor.cli("resume").returncode == 0
    assert successor.wait_ask(remote_address=MORE_WORLD4[0])["program"] == STEADY[1]
    read_until(talk, lambda said: len(said) == 100)  # it was answered, and goes on as it does when rules change
    assert download.communicate(timeout=WAIT_S)[0] == "3000000", "it was established"
    learned = (daemon.rules.parent / "state" / "learned.rules").read_text().splitlines()[1:]
    rules, notes = zip(*map(split_learned, learned), strict=True)
    assert {f"allow {each} 80 tcp /usr/bin/curl" for each in (WORLD4, MORE_WORLD4[2], MORE_WORLD4[3])} <= set(rules)
    assert all(note.startswith("pause since ") for note in notes)
    assert not any("8080" in rule for rule in rules)


def test_its_end_comes_in_the_middle_of_connections_also_while_no_daemon_lives(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    for is_killed in (False, True):
        remote = MORE_WORLD4[is_killed]
        assert daemon.cli("pause", f"{round(4 * PATIENCE)}s").returncode == 0
        steady = lab.spawn([*STEADY, remote, "80"])
        read_ok(steady, "ok", 50)
        if is_killed:
            daemon.kill()
        passed = read_until(steady, lambda said: said[-1] != "ok\n")
        assert passed[-1] == "timed out\n", "it is held, and not refused"
        if is_killed:
            daemon = lab.restart_daemon(daemon.rules.parent)
        else:
            over = daemon.wait_for(lambda record: record["event"] == "mode" and record["mode"] == "ask")
            assert over["by_uid"] is None
        assert daemon.wait_ask(remote_address=remote)
        assert status_of(daemon)["asking"] == "ask"
        steady.kill()


def test_who_may_not_answer_for_all_may_not_pause_for_them(lab: Lab) -> None:
    daemon = lab.start_daemon("", "--user", "nobody")
    for words in (("pause",), ("mode", "allow"), ("mode", "deny"), ("resume",)):
        told = daemon.cli(*words, user="nobody")
        assert (told.returncode, told.stdout) == (4, ""), told
        assert "may not decide for everybody" in told.stderr
        assert "hint: ask root" in told.stderr
    assert status_of(daemon)["asking"] == "ask"
    assert daemon.cli("status", user="nobody").returncode == 0


def test_a_restart_in_a_pause_lets_nothing_pass_that_unreadable_rules_deny(lab: Lab) -> None:
    daemon = lab.start_daemon(f"deny {WORLD4} 80 tcp\n")
    assert daemon.cli("mode", "allow").returncode == 0
    assert daemon.stop() == 0
    daemon.rules.write_text(f"dney {WORLD4} 80 tcp\n")
    successor = lab.restart_daemon(daemon.rules.parent)
    lab.spawn(["curl", "-s", f"http://{WORLD4}/"])
    assert successor.wait_ask(remote_address=WORLD4)
    told = successor.records("lost")
    assert any("the pause ended: not all rules load" in each["what"] for each in told)
    wait_until(lambda: not (daemon.rules.parent / "state" / "mode").exists())
