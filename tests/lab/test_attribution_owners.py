"""Units, containers, flatpaks and snaps are recognised by the cgroup that a program runs in."""

from collections.abc import Iterator

import pytest

from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S
from tests.lab.watched_lab import ALLOW_ALL, PYTHON, WatchedLab
from tests.lab.world import PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

CONTAINER = "0123456789ab" + "c" * 52
OWNERS = {
    "unit:backup.service": "backup.service",
    "container:0123456789ab": f"docker-{CONTAINER}.scope",
    "flatpak:org.example.App": "app-flatpak-org.example.App-42.scope",
    "snap:hello": "snap.hello.world.service",
}


@pytest.fixture(scope="module")
def owned(_clean_machine: None) -> Iterator[WatchedLab]:
    denials = "".join(f"deny {WORLD4} 80 tcp {owner}\n" for owner in OWNERS)
    with WatchedLab(denials + ALLOW_ALL) as made:
        yield made


@pytest.mark.parametrize("owner", OWNERS)
def test_a_rule_for_the_owner_holds_in_its_cgroup_alone(owned: WatchedLab, owner: str) -> None:
    cgroup = owned.lab.cgroup / OWNERS[owner]
    cgroup.mkdir()
    client = [PYTHON, str(PROGRAMS / "tcp_client.py"), WORLD4, "80", owner]
    inside = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(cgroup)]
    assert owned.lab.run(client).returncode == 0
    assert owned.lab.run([*inside, *client]).returncode == 1
    record = owned.daemon.wait_connection(verdict="deny", args=[WORLD4, "80", owner])
    assert record["rule"] == f"deny {WORLD4} 80 tcp {owner}"


def test_an_answer_for_a_file_that_a_flatpak_brought_along_is_for_the_flatpak(lab: Lab) -> None:
    """The program is no file of the host's, so a rule by path would not match: it would be asked about for ever."""
    daemon = lab.start_daemon(DNS_RULE)
    cgroup, app = lab.cgroup / OWNERS["flatpak:org.example.App"], lab.folder / "app"
    cgroup.mkdir()
    app.write_text("")
    own_file = 'echo $$ >"$0/cgroup.procs" && mount --bind /usr/bin/curl "$1" && shift && exec "$@"'
    client = ["unshare", "--mount", "sh", "-c", own_file, str(cgroup), str(app), str(app), "-4", "http://shop.test/"]
    running = lab.spawn(client)
    ask = daemon.wait_ask()
    assert ask["program"] == str(app)
    daemon.answer(ask, "yes", "--for", "forever", "--any-args")
    assert running.wait(timeout=WAIT_S) == 0
    assert daemon.read_rules() == f"{DNS_RULE}allow user=0 shop.test 80 tcp flatpak:org.example.App\n"
    assert lab.run(client).returncode == 0
    assert len(daemon.records("ask")) == 1
