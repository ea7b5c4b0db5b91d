"""A question that waits with nobody attached, and what the daemon says of it on standard error."""

import pytest

from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import wait_until
from tests.lab.person import Person

pytestmark = pytest.mark.privileged

CURL = ["curl", "-4", "-sS", "http://shop.test/"]
TOLD = "a question waits, and nobody who may answer it is attached (hint: run `tinysnitch prompt --socket "


def said(daemon: Daemon) -> str:
    return (daemon.rules.parent / "stderr").read_text()


def test_it_says_at_its_start_how_to_be_asked_and_at_once_that_nobody_is(lab: Lab, people: list[Person]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    how = f"run `tinysnitch prompt --socket {daemon.socket}` in another terminal, as root\n"
    wait_until(lambda: f"tinysnitch: questions wait for a prompt: {how}" in said(daemon))
    clients = [lab.spawn(CURL), lab.spawn(["ping", "-c1", "four.test"])]
    wait_until(lambda: said(daemon).count(TOLD) == 1)
    daemon.wait_for_count(lambda record: record["event"] == "ask", len(clients))
    assert said(daemon).count(TOLD) == 1
    people.append(person := Person([str(BIN / "tinysnitch"), "prompt", "--socket", str(daemon.socket), "--plain"]))
    person.see("keys: ")
    lab.spawn(["ping", "-c1", "shop.test"])
    daemon.wait_for_count(lambda record: record["event"] == "ask", len(clients) + 1)
    assert said(daemon).count(TOLD) == 1
    person.leave()
    wait_until(lambda: 'prompt_clients":0' in daemon.cli("status", "--json").stdout.replace(" ", ""))
    lab.spawn(["ping", "-c1", "six.test"])
    wait_until(lambda: said(daemon).count(TOLD) == 2)


def test_nobody_is_told_where_nobody_is_asked(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE, timeout_s=0)
    assert lab.run(CURL).returncode != 0
    assert "tinysnitch prompt" not in said(daemon)
