"""Everyday programs, unchanged: each is asked about under its own name, and not again when it runs once more."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_listening
from tests.lab.proposal import answer_as_proposed
from tests.lab.world import HOST4, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

RESOLVERS = "allow @resolvers 53 udp\n"
GIT_HTTP = "/usr/lib/git-core/git-remote-http"
APT_HTTP = "/usr/lib/apt/methods/http"
HOSTS = ["four.test", "n1.cdn.test", "n0.page.test"]


def answer_all(daemon: Daemon, running: subprocess.Popen[str]) -> list[str]:
    """Answer each question with yes, forever, until the command ends; the rule lines that this made."""
    answered = 0
    while running.poll() is None:
        for ask in daemon.records("ask")[answered:]:
            daemon.answer(ask, "yes", "--for", "forever")
            answered += 1
        time.sleep(0.05)
    return daemon.read_rules().splitlines()[1:]


def run_twice(lab: Lab, command: list[str]) -> list[str]:
    """Run a command, answer its questions, and assert that a second run asks none; the rule lines."""
    daemon = lab.start_daemon(RESOLVERS)
    first = lab.spawn(command)
    rules = answer_all(daemon, first)
    assert first.returncode == 0, first.communicate()[0]
    asked = len(daemon.records("ask"))
    again = lab.run(command)
    assert again.returncode == 0, again.stderr
    assert len(daemon.records("ask")) == asked == len(rules)
    return rules


def find(name: str) -> str:
    return shutil.which(name, path="/usr/bin:/bin") or pytest.skip(f"no {name} here")


def test_apt_asks_for_each_source_as_its_method(lab: Lab) -> None:
    """The method runs as a user of its own, and asks for SRV records of each name first."""
    command = [find("apt-get"), *_apt_options(lab), "update"]
    rules = run_twice(lab, command)
    assert sorted(rules) == sorted(f"allow {host} 80 tcp {APT_HTTP} ()" for host in HOSTS)


def test_apt_may_be_let_go_by_its_parent(lab: Lab) -> None:
    daemon = lab.start_daemon(f"{RESOLVERS}allow parent={find('apt-get')} - 80 tcp\n", timeout_s=0)
    assert lab.run(["apt-get", *_apt_options(lab), "-o", "APT::Update::Error-Mode=any", "update"]).returncode == 0
    daemon.wait_connection(remote_port=80)
    assert {record["uid"] for record in daemon.records("connection") if record["remote_port"] == 80} != {0}


def _apt_options(lab: Lab) -> list[str]:
    """Options for apt: empty sources in the lab alone, and folders that the user `_apt` may write to."""
    folder, site = lab.folder / "apt", lab.folder / "world" / "www" / "debian"
    site.mkdir()
    (site / "Packages").write_text("")
    (site / "Release").write_text("Date: Thu, 01 Jan 2026 00:00:00 UTC\n")
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "sources").write_text("".join(f"deb [trusted=yes] http://{host}/debian/ ./\n" for host in HOSTS))
    subprocess.run(["chown", "-R", "_apt", str(folder)], check=True)
    places = {
        "Dir::Etc::sourcelist": folder / "sources",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
    }
    return [word for key, value in places.items() for word in ("-o", f"{key}={value}")]


def test_git_asks_as_its_helper(lab: Lab) -> None:
    git = find("git")
    _make_repository(lab.folder / "world" / "www" / "x.git")
    rules = run_twice(lab, [git, "ls-remote", "http://four.test/x.git"])
    assert rules == [f"allow four.test 80 tcp {GIT_HTTP} http://four.test/x.git http://four.test/x.git"]


def _make_repository(bare: Path) -> None:
    make = """
    git init -q "$0.work"; cd "$0.work"; git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m x
    git clone -q --bare . "$0"; git -C "$0" update-server-info
    """
    subprocess.run(["sh", "-ec", make, str(bare)], check=True)


def test_all_repositories_of_a_site_are_one_question(lab: Lab) -> None:
    """Git starts its helper with the URL of each repository, and a clone with submodules fetches several."""
    names = ["http://four.test/x.git", "http://four.test/y.git"]
    for name in names:
        _make_repository(lab.folder / "world" / "www" / name.rpartition("/")[2])
    daemon = lab.start_daemon(RESOLVERS)
    listing = lab.spawn(["sh", "-ec", 'for name; do "$0" ls-remote "$name"; done', find("git"), *names])
    assert answer_as_proposed(daemon, listing) == [f"allow four.test 80 tcp {GIT_HTTP}"]
    assert listing.returncode == 0


@pytest.mark.parametrize("tool", ["git", "rsync"])
def test_what_a_tool_starts_ssh_for_is_one_question(lab: Lab, tool: str) -> None:
    """ssh has the repository or the folder among its arguments. It is allowed, and then refused: there is no server."""
    commands = {"git": '"$0" ls-remote "root@four.test:$name"', "rsync": '"$0" "root@four.test:$name" .'}
    path = find(tool)
    daemon = lab.start_daemon(RESOLVERS)
    script = f"for name in a b; do {commands[tool]} || true; done"
    running = lab.spawn(["sh", "-c", script, path])
    assert answer_as_proposed(daemon, running) == [f"allow four.test 22 tcp {find('ssh')}"]


def start_ftp(lab: Lab, start: Callable[[list[str]], subprocess.Popen[str]], address: str) -> None:
    server = start([sys.executable, "-S", str(PROGRAMS / "ftp_server.py"), address, "21"])
    wait_listening(server)


FETCH_THREE = ["-4", "-sS", "ftp://four.test/[1-3]"]


def test_the_data_of_ftp_is_one_question_for_all_files(lab: Lab) -> None:
    """The data connection of each file goes to another port."""
    start_ftp(lab, lab.spawn_world, WORLD4)
    rules = fetch_twice(lab, lambda: lab.spawn(["curl", *FETCH_THREE]))
    assert rules == [f"allow four.test {port} tcp /usr/bin/curl" for port in (21, "-")]


def test_the_data_of_active_ftp_is_one_question_for_all_files(lab: Lab) -> None:
    """The server connects to a port of the client."""
    start_ftp(lab, lab.spawn_world, WORLD4)
    rules = fetch_twice(lab, lambda: lab.spawn(["curl", "-P", "-", *FETCH_THREE]))
    assert rules == ["allow four.test 21 tcp /usr/bin/curl", f"allow {WORLD4} - tcp-src /usr/bin/curl"]


def test_the_data_of_an_ftp_server_of_this_machine_is_one_question_for_all_files(lab: Lab) -> None:
    start_ftp(lab, lab.spawn, HOST4)
    rules = fetch_twice(lab, lambda: lab.spawn_world(["curl", *FETCH_THREE[:2], f"ftp://{HOST4}/[1-3]"]))
    assert [rule.split()[1:4] for rule in rules] == [[WORLD4, "21", "tcp-src"], [WORLD4, "-", "tcp-src"]]


def fetch_twice(lab: Lab, start: Callable[[], subprocess.Popen[str]]) -> list[str]:
    """Accept what the prompts propose, and assert that nothing is asked after a restart; the rule lines."""
    daemon = lab.start_daemon(RESOLVERS)
    first = start()
    rules = answer_as_proposed(daemon, first)
    assert daemon.stop() == 0
    again = lab.restart_daemon(daemon.rules.parent)
    for fetched in (first, start(), start()):
        assert fetched.communicate(timeout=WAIT_S)[0].splitlines().count("welcome") == 3, daemon.describe()
    assert not again.records("ask")
    return rules


def test_many_connections_at_once_are_one_question(lab: Lab) -> None:
    rules = run_twice(lab, ["curl", "-4", "-sS", "--parallel", "-o", "/dev/null", "http://far.test/[1-20]"])
    assert rules == ["allow far.test 80 tcp /usr/bin/curl -4 -sS --parallel -o /dev/null 'http://far.test/[1-20]'"]


def test_ping_is_asked_about_by_name(lab: Lab) -> None:
    assert run_twice(lab, ["ping", "-4", "-c1", "-W60", "far.test"]) == [
        "allow far.test - icmp /usr/bin/ping -4 -c1 -W60 far.test"
    ]
