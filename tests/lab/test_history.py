"""The history of a scene with real clients, over the end of its daemon."""

import json
import resource
import time

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import wait_until
from tests.lab.test_attribution_inbound import come, receiver
from tests.lab.test_names import CURL, GIT, fetch, make_repository
from tests.lab.world import HOST4, MORE_WORLD4, PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

WRITTEN_S = 2.0  # what happened longer ago outlives a kill
RULES = f"{DNS_RULE}allow - 80 tcp\nallow - - tcp-src\ndeny evilshop.test - -\n"


def read_history(daemon: Daemon, *words: str, by: str = "name", user: str | None = None) -> set[tuple[object, ...]]:
    """What each line is about, with its connections, and how many of them were denied and came in."""
    told = daemon.cli("history", "--by", by, "--json", *words, user=user)
    assert told.returncode == 0, told.stderr
    lines = map(json.loads, told.stdout.splitlines())
    return {(line[by], line["connections"], line["denied"], line["inbound"]) for line in lines}


def read_lost(daemon: Daemon) -> int:
    losses = json.loads(daemon.cli("status", "--json").stdout)["losses"]
    return int(losses["connections and questions in no row of the history"])


def test_a_scene_is_in_the_history_and_outlives_a_kill(lab: Lab) -> None:
    make_repository(lab)
    daemon = lab.start_daemon(RULES, "--user", "nobody", timeout_s=0)
    assert fetch(lab, "http://shop.test/", "-4") == 0
    assert fetch(lab, "http://evilshop.test/", "-4") != 0
    assert lab.run(["git", "ls-remote", "http://four.test/repo.git"]).returncode == 0
    assert lab.run([CURL, "-sS", "-4", "http://six.test/"], user="nobody").returncode != 0  # it has IPv6 alone
    with receiver(lab, "tcp", "0.0.0.0", "7100"):
        come(lab, "tcp", HOST4, 7100)
    time.sleep(WRITTEN_S)
    daemon.kill()
    (daemon.rules.parent / "config").mkdir(exist_ok=True)
    (daemon.rules.parent / "config" / "private").write_text(f"{GIT}\n")
    daemon = lab.restart_daemon(daemon.rules.parent, "--user", "nobody", timeout_s=0)
    names = {("shop.test", 1, 0, 0), ("evilshop.test", 1, 1, 0)}
    assert read_history(daemon, CURL, "--port", "80") == names
    assert read_history(daemon, "git-remote-http", "--to", "four.test", by="program") == {(GIT, 1, 0, 0)}
    assert read_history(daemon, "--port", "7100", by="program") == {(str(PROGRAMS / "receiver.py"), 1, 0, 1)}
    new = daemon.cli("history", "--new", "--to", "shop.test").stdout
    assert new.split()[-3:] == [CURL, "shop.test", "1"]
    assert read_history(daemon, by="program", user="nobody") == read_history(daemon, "--user", "nobody", by="program")
    assert {what for what, *_counts in read_history(daemon, by="program", user="nobody")} == {CURL}
    asked = {tuple(line.split(",")[3:]) for line in daemon.cli("names", CURL, "--csv").stdout.splitlines()[1:]}
    assert ("shop.test", "shop.test", "1", "True", "False") in asked
    assert ("evilshop.test", "evilshop.test", "1", "False", "True") in asked
    (git,) = (line for line in daemon.cli("names").stdout.splitlines() if line.startswith(GIT))
    assert git.split()[2:5] == ["1", "1", "1"]  # a name, a domain, and it was used
    check_that_it_is_private_now(lab, daemon)
    assert read_lost(daemon) == 0


def check_that_it_is_private_now(lab: Lab, daemon: Daemon) -> None:
    """git is: it is counted, and neither it nor what it talks with is named."""
    assert lab.run(["git", "ls-remote", "http://alias.test/repo.git"]).returncode == 0
    daemon.wait_connection(program=GIT, name="alias.test")  # the log has it
    wait_until(lambda: "private" in {what for what, *_counts in read_history(daemon, by="program")})
    assert read_history(daemon, "--to", "alias.test") == set()
    assert "alias.test" not in daemon.cli("log").stdout
    assert "alias.test" not in daemon.cli("names", "private", "--json").stdout


def limit_files(daemon: Daemon, size: int) -> None:
    """As a full disk does: no file of the daemon's grows beyond that."""
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_costs_rows_that_are_counted_and_no_verdict(lab: Lab) -> None:
    allowed, denied = MORE_WORLD4[:2]
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\nallow {allowed} 80 tcp\n", timeout_s=0)
    assert fetch(lab, f"http://{WORLD4}/") == 0
    assert read_history(daemon) == {(WORLD4, 1, 0, 0)}
    limit_files(daemon, 1)
    assert [fetch(lab, f"http://{address}/") for address in (WORLD4, allowed, allowed)] == [0, 0, 0]
    assert fetch(lab, f"http://{denied}/") != 0
    assert read_history(daemon) == {(WORLD4, 1, 0, 0)}
    assert read_lost(daemon) == 4
    limit_files(daemon, resource.RLIM_INFINITY)
    assert fetch(lab, f"http://{allowed}/") == 0
    assert read_history(daemon) == {(WORLD4, 1, 0, 0), (allowed, 1, 0, 0)}
    assert read_lost(daemon) == 4
