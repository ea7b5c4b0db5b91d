"""Units, containers, flatpaks and snaps are told by the cgroup that a program runs in."""

from collections.abc import Iterator

import pytest

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
