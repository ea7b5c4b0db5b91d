"""What is taken back holds for the next connection: also of a running process whose verdict the kernel remembers."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from tests.lab.daemon import BIN, Daemon, Record
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S
from tests.lab.person import Person
from tests.lab.queue_counter import count_queued
from tests.lab.step_client import StepClient
from tests.lab.test_lifetimes import answer_next
from tests.lab.test_own_questions import ALICE, BOB, FLAGS, UID, curl
from tests.lab.world import PAGE_NAMES, PROGRAMS, WORLD4
from tinysnitch.view.key_guard import DELAY_S

pytestmark = [pytest.mark.privileged]

BY_HAND = "deny - 25 tcp\n"
PORT = 80


def add_by_hand(rules: Path) -> None:
    with rules.open("a") as file:
        file.write(BY_HAND)


def changes(daemon: Daemon, user: str | None = None) -> list[Record]:
    listed = daemon.cli("undo", "--list", "--json", user=user)
    assert listed.returncode == 0, listed.stderr
    return [json.loads(line) for line in listed.stdout.splitlines()]


@pytest.mark.core_lab
def test_a_running_process_is_asked_about_again_after_a_wrong_no_for_ever(lab: Lab) -> None:
    """The verdict is remembered by the kernel; and between answer and undo the file is edited and the daemon killed."""
    daemon = lab.start_daemon("")
    client = StepClient(lab)
    assert answer_next(daemon, client, "no", "--for", "forever") == "ECONNREFUSED"
    line = daemon.read_rules()
    add_by_hand(daemon.rules)
    daemon.kill()
    daemon = lab.restart_daemon(daemon.rules.parent)
    assert client.connect(WORLD4, PORT) == "ECONNREFUSED"
    queued = count_queued(lab)
    assert client.connect(WORLD4, PORT) == "ECONNREFUSED"
    assert count_queued(lab) == queued, "the kernel alone has decided"
    (entry,) = changes(daemon)
    written = [{"rule": line.strip(), "place": "file", "group": None}]
    assert (entry["act"], entry["uid"], entry["written"]) == ("no", 0, written)
    undone = daemon.cli("undo")
    assert (undone.returncode, undone.stdout) == (0, f"removed   {line}"), undone.stderr
    assert daemon.read_rules() == BY_HAND
    assert answer_next(daemon, client, "yes", "--for", "once") == "ok"


def test_an_answer_for_once_and_one_until_the_process_ends_are_taken_back_too(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    client = StepClient(lab)
    assert answer_next(daemon, client, "no", "--for", "quit") == "ECONNREFUSED"
    assert client.connect(WORLD4, PORT) == "ECONNREFUSED"
    assert daemon.cli("undo").returncode == 0
    assert answer_next(daemon, client, "yes", "--for", "once") == "ok"
    assert daemon.cli("undo").stdout.startswith("forgotten allow ")
    assert answer_next(daemon, client, "yes", "--for", "once") == "ok"


def test_nine_answers_of_one_key_go_back_with_one_key(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    names = PAGE_NAMES[:9]
    load = ["/usr/bin/python3", str(PROGRAMS / "page_client.py"), *(f"{name}:{PORT}" for name in names)]
    client = lab.spawn(load)
    daemon.wait_for_count(lambda record: record["event"] == "ask", len(names))
    prompt = [str(BIN / "tinysnitch"), "prompt", "--socket", str(daemon.socket), "--plain"]
    with closing(Person(prompt, TINYSNITCH_DELAY_SECONDS=str(DELAY_S))) as person:
        person.see("keys: ")
        person.type("f")
        person.type("g")
        person.see("keys: ")
        person.type("n")
        assert client.wait(timeout=WAIT_S) == 0
        (entry,) = changes(daemon)
        assert len(entry["written"]) == len(names)
        assert len(daemon.read_rules().splitlines()) == len(names) + 1
        add_by_hand(daemon.rules)
        person.see("no questions")
        person.type("z")
        person.see(f"taken back {len(names)} rules")
    assert daemon.read_rules() == f"{DNS_RULE}{BY_HAND}"
    lab.spawn(load)
    daemon.wait_for_count(lambda record: record["event"] == "ask", 2 * len(names))


def test_two_people_stay_apart(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE, *FLAGS)
    for user in (ALICE, BOB):
        client = lab.spawn(curl(user), user=user)
        ask = daemon.wait_ask(uid=UID[user], protocol="tcp")
        told = daemon.cli("answer", str(ask["id"]), "no", "--for", "forever", user=user)
        assert told.returncode == 0, told.stderr
        assert client.wait(timeout=WAIT_S) != 0
    hers, his = daemon.read_rules().removeprefix(DNS_RULE).splitlines()
    assert [entry["number"] for entry in changes(daemon, ALICE)] == [1]
    assert [entry["uid"] for entry in changes(daemon)] == [UID[ALICE], UID[BOB]]
    for words, user, problem in (
        (("undo", "2"), ALICE, "there is no change 2"),  # his, which she may not see
        (("undo",), None, "nothing of yours"),
    ):
        refused = daemon.cli(*words, user=user)
        assert (refused.returncode, refused.stdout, problem in refused.stderr) == (1, "", True), refused.stderr
    assert daemon.cli("undo", user=ALICE).stdout == f"removed   {hers}\n"
    assert daemon.read_rules() == f"{DNS_RULE}{his}\n"
    assert daemon.cli("undo", "2").stdout == f"removed   {his}\n", "root may, by the number"


def test_what_was_edited_since_is_told_and_nothing_is_done(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    client = StepClient(lab)
    assert answer_next(daemon, client, "no", "--for", "forever") == "ECONNREFUSED"
    line = daemon.read_rules().strip()
    (listed,) = daemon.cli("rules", "--json").stdout.splitlines()
    edited = line.replace(f" {PORT} ", f" {PORT},8080 ")
    daemon.edit_rules(f"{edited}\n")
    refused = daemon.cli("undo")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"change 1 is left as it is: it is not there any more: {line}" in refused.stderr
    stale = daemon.cli("rules", "remove", str(json.loads(listed)["number"]))
    assert (stale.returncode, "there is no rule 1 any more" in stale.stderr) == (1, True)
    assert daemon.read_rules() == f"{edited}\n"
    assert client.connect(WORLD4, PORT) == "ECONNREFUSED"
