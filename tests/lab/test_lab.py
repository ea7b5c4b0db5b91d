"""The lab itself: its servers answer, and nothing of it stays."""

import os

import pytest

from tests.lab.lab import Lab
from tests.lab.leftovers import leftovers
from tests.lab.patience import read_line
from tests.lab.world import ECHO_PORT, PROGRAMS, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]


def test_names_lead_to_the_web_server(lab: Lab) -> None:
    for family in ("-4", "-6"):
        for url in ("http://shop.test/", "https://shop.test/", "http://alias.test/"):
            page = lab.run(["curl", "-sSk", family, url])
            assert page.stdout == "welcome to the shop\n", page.stderr


def test_unknown_names_are_refused(lab: Lab) -> None:
    assert lab.run(["curl", "-sS", "http://nowhere.test/"]).returncode == 6


def test_two_names_share_an_address(lab: Lab) -> None:
    answers = lab.run(["dig", "+short", "first.shared.test", "second.shared.test"]).stdout.split()
    assert len(answers) == 2
    assert len(set(answers)) == 1


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_datagrams_come_back(lab: Lab, address: str) -> None:
    echoed = lab.run(["/usr/bin/python3", str(PROGRAMS / "udp_client.py"), address, str(ECHO_PORT)])
    assert echoed.stdout == "echo ping\n", echoed.stderr


def test_clients_run_in_the_judged_cgroup(lab: Lab) -> None:
    own = lab.run(["cat", "/proc/self/cgroup"]).stdout
    assert lab.cgroup.name in own.split("0::")[1]


def test_a_client_can_be_another_user(lab: Lab) -> None:
    assert lab.run(["id", "-un"], user="nobody").stdout == "nobody\n"


def test_nothing_stays() -> None:
    with Lab() as lab:
        client = lab.spawn(["sh", "-c", "echo up; exec sleep 600"])
        assert read_line(client) == "up\n"
        assert len(leftovers(os.getpid())) == 4
    assert leftovers(os.getpid()) == []
    assert client.returncode == -9


def test_nothing_stays_of_a_lab_that_fails_halfway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.lab.lab.World", lambda _namespaces: 1 / 0)
    with pytest.raises(ZeroDivisionError), Lab():
        pass
    assert leftovers(os.getpid()) == []
