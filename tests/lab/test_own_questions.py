"""`--user`: two users without privileges see and answer their own questions only, and root sees all."""

import json
import pwd
import subprocess

import pytest

from tests.lab.daemon import BIN, Daemon, Record
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S, read_until
from tests.lab.person import Person
from tests.lab.test_ask import columns
from tests.lab.world import PROGRAMS, WORLD4
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import AddRule, Attach, Explain, GiveAnswer, Hello, ListAsks, ReadLog, RemoveRule

pytestmark = [pytest.mark.privileged]

ALICE, BOB = "nobody", "daemon"
UID = {name: pwd.getpwnam(name).pw_uid for name in (ALICE, BOB, "root")}
NAMES = {ALICE: "shop.test", BOB: "n0.page.test", "root": "n1.cdn.test"}  # each with an address of its own
FLAGS = ("--user", ALICE, "--user", BOB)
PORTAL = "welcome to the shop\n"
Waiting = tuple[Lab, Daemon, dict[str, subprocess.Popen[str]], dict[str, Record]]


def curl(user: str) -> list[str]:
    return ["curl", "-4", "-sS", f"http://{NAMES[user]}/"]


@pytest.fixture(name="waiting")
def _waiting(lab: Lab) -> Waiting:
    """Three connections that wait, one of each user: lab, daemon, clients and questions."""
    daemon = lab.start_daemon(DNS_RULE, *FLAGS)
    clients = {user: lab.spawn(curl(user), user=None if user == "root" else user) for user in NAMES}
    return lab, daemon, clients, {user: daemon.wait_ask(uid=UID[user], protocol="tcp") for user in NAMES}


def records(told: subprocess.CompletedProcess[str]) -> list[Record]:
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_each_sees_their_own_questions(waiting: Waiting) -> None:
    _lab, daemon, _clients, asks = waiting
    for user in (ALICE, BOB):
        (shown,) = records(daemon.cli("asks", "--json", user=user))
        assert (shown["id"], shown["uid"], shown["name"]) == (asks[user]["id"], UID[user], NAMES[user])
        assert records(daemon.cli("status", "--json", user=user))[0]["prompts"] == 1
    assert sorted(shown["uid"] for shown in daemon.asks()) == sorted(UID.values())


@pytest.mark.parametrize("whose", [BOB, "root"])
def test_the_id_of_anothers_question_is_refused_like_one_that_is_not_open(waiting: Waiting, whose: str) -> None:
    _lab, daemon, _clients, asks = waiting
    number = str(asks[whose]["id"])
    guessed, unknown = (daemon.cli("answer", each, "yes", user=ALICE) for each in (number, "4711"))
    assert (guessed.returncode, guessed.stdout) == (unknown.returncode, unknown.stdout) == (1, "")
    assert guessed.stderr == unknown.stderr.replace("4711", number)
    assert "is not open" in guessed.stderr
    daemon.answer(asks[whose], "no")
    assert daemon.cli("answer", number, "yes", user=ALICE).stderr == guessed.stderr
    assert daemon.read_rules() == DNS_RULE


def test_an_answer_holds_for_the_user_who_gave_it_alone(waiting: Waiting) -> None:
    lab, daemon, clients, asks = waiting
    told = daemon.cli("answer", str(asks[ALICE]["id"]), "yes", "--for", "forever", "--any-args", user=ALICE)
    assert told.returncode == 0, told.stderr
    assert told.stdout == f"allow user={UID[ALICE]} shop.test 80 tcp /usr/bin/curl\n"
    assert clients[ALICE].communicate(timeout=WAIT_S)[0] == PORTAL
    assert told.stdout.split() in columns(daemon.read_rules())
    assert lab.run(curl(ALICE), user=ALICE).stdout == PORTAL
    lab.spawn(curl(ALICE), user=BOB)
    assert daemon.wait_ask(uid=UID[BOB], name="shop.test")["id"] > asks["root"]["id"]
    answer = daemon.wait_for(lambda record: record["event"] == "answer")
    assert (answer["by_uid"], answer["id"]) == (UID[ALICE], asks[ALICE]["id"])


def follow_log(lab: Lab, daemon: Daemon, user: str) -> subprocess.Popen[str]:
    words = [str(BIN / "tinysnitch"), "log", "--socket", str(daemon.socket), "--follow", "--json"]
    command = lab.namespaces.enter_host_outside(user) + words
    follower = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    lab.namespaces.track(follower)
    return follower


def follow_until(follower: subprocess.Popen[str], **fields: object) -> list[Record]:
    """The follower's records up to the first one with these fields."""
    lines = read_until(follower, lambda said: fields.items() <= json.loads(said[-1]).items())
    return [json.loads(line) for line in lines]


def assert_alone(lines: list[Record], user: str, ask: Record) -> None:
    """Assert that the records are all that concerns this user's question, and nothing of others."""
    assert {line["uid"] for line in lines if line["event"] in ("ask", "connection")} == {UID[user]}
    assert [line["id"] for line in lines if line["event"] in ("ask", "answer")] == [ask["id"]] * 2
    assert {line["event"] for line in lines} == {"ask", "connection", "answer"}


def test_each_reads_the_log_of_their_own_connections(waiting: Waiting) -> None:
    lab, daemon, _clients, asks = waiting
    follower = follow_log(lab, daemon, BOB)
    followed = follow_until(follower, event="ask")
    for user in ("root", ALICE, BOB):
        daemon.answer(asks[user], "no", "--any-args")
    assert_alone(followed + follow_until(follower, event="connection", verdict="deny"), BOB, asks[BOB])
    assert_alone(records(daemon.cli("log", "--json", user=ALICE)), ALICE, asks[ALICE])
    assert {line.get("uid") for line in records(daemon.cli("log", "--json"))} >= set(UID.values())


REFUSED = [
    "allow - 443 tcp",
    "allow user=daemon - 443 tcp",
    "allow user=1 - 443 tcp",
    "allow user=root - - -",
    "allow user=nobody mail.test 25 tcp",  # a rule of root's denies this
    "allow user=nobody - - - /opt/**",
]


def test_each_changes_their_own_rules(lab: Lab) -> None:
    file = f"{DNS_RULE}deny - 25 tcp\ndeny user=daemon - 23 tcp\n"
    daemon = lab.start_daemon(file, *FLAGS)
    for line in REFUSED:
        told = daemon.cli("rules", "add", line, user=ALICE)
        assert (told.returncode, told.stdout) == (4, ""), line
        assert "tinysnitch: hint: " in told.stderr
    for line in ("deny - 25 tcp", "deny user=daemon - 23 tcp", "allow - - -"):
        assert daemon.cli("rules", "remove", line, user=ALICE).returncode == 4
    assert daemon.read_rules() == file
    mine = "deny user=nobody - 23 tcp"
    assert daemon.cli("rules", "add", mine, user=ALICE).stdout == f"{mine}\n"
    assert daemon.cli("rules", "list", user=ALICE).stdout.startswith(f"{mine}  # 1, by nobody 20")
    assert daemon.read_rules() == f"{file}{mine}\n"
    assert daemon.cli("rules", "remove", mine, user=ALICE).returncode == 0
    assert daemon.read_rules() == file


def test_explain_tells_users_about_their_own_programs(lab: Lab) -> None:
    daemon = lab.start_daemon("allow user=nobody - 80 tcp\ndeny user=daemon - 80 tcp\n", *FLAGS)
    words = ("explain", "/usr/bin/curl", WORLD4, "80", "tcp")
    for user, line in ((ALICE, "allow user=nobody - 80 tcp"), (BOB, "deny user=daemon - 80 tcp")):
        told = daemon.cli(*words, user=user)
        assert (told.returncode, line in told.stdout) == (0, True), told
    assert daemon.cli("explain", "unknown", WORLD4, "80", "tcp", user=ALICE).returncode == 4


def say(lab: Lab, daemon: Daemon, user: str, *requests: object) -> list[Record]:
    """Send raw frames from a process of the user; the replies."""
    command = ["python3", str(PROGRAMS / "frame_client.py"), str(daemon.socket), str(len(requests))]
    frames = b"".join(map(encode_frame, (Hello(), *requests))).decode()  # type: ignore[arg-type]
    told = subprocess.run(
        lab.namespaces.enter_host_outside(user) + command,
        input=frames,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    return records(told)


def test_raw_frames_achieve_no_more_than_the_commands(waiting: Waiting) -> None:
    lab, daemon, _clients, asks = waiting
    theirs = asks[BOB]["id"]
    told = say(lab, daemon, ALICE, Attach(), ListAsks(), ReadLog(100), Explain("kernel", WORLD4, 0, "icmp"))
    text = json.dumps(told)
    assert told[0]["sees_all"] is False
    assert "shop.test" in text
    assert not [name for name in ("n0.page.test", "n1.cdn.test") if name in text]
    lines = ["allow - - -", f"allow user={UID[BOB]} - - -", f"allow\tuser={UID[ALICE]}\nallow - - -"]
    attempts = [
        *(GiveAnswer(theirs, rule=line) for line in lines),
        *(GiveAnswer(asks[ALICE]["id"], rule=line) for line in lines),
        *(AddRule(line) for line in lines),
        *(RemoveRule(line) for line in (DNS_RULE.strip(), *lines)),
    ]
    refused = say(lab, daemon, ALICE, *attempts)[1:]
    assert [reply["type"] for reply in refused] == ["refused"] * len(attempts)
    assert daemon.read_rules() == DNS_RULE
    assert len(daemon.asks()) == len(asks)


def test_a_user_named_by_admin_may_do_everything(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE, "--admin", ALICE)
    client = lab.spawn(curl("root"))
    ask = daemon.wait_ask(uid=0)
    assert daemon.cli("answer", str(ask["id"]), "yes", "--for", "forever", "--any-args", user=ALICE).returncode == 0
    assert client.communicate(timeout=WAIT_S)[0] == PORTAL
    assert ["allow", "n1.cdn.test", "80", "tcp", "/usr/bin/curl"] in columns(daemon.read_rules())
    assert daemon.cli("asks", user=BOB).returncode == 4


def test_prompts_of_several_users_race_and_show_only_what_each_may_see(lab: Lab, people: list[Person]) -> None:
    daemon = lab.start_daemon(DNS_RULE, *FLAGS)
    for user in (ALICE, BOB, None):
        command = [str(BIN / "tinysnitch"), "prompt", "--plain", "--socket", str(daemon.socket)]
        people.append(Person(lab.namespaces.enter_host_outside(user) + command))
    for person in people:
        person.see("no questions")
    client = lab.spawn(curl(ALICE), user=ALICE)
    alice, bob, root = people
    for person in (alice, root):
        person.see("curl wants to reach shop.test")
        person.see("keys: ")
    alice.type("fj")
    alice.see(f"rule: allow user={UID[ALICE]} shop.test 80 tcp /usr/bin/curl\r\n")
    alice.type("y")
    assert client.communicate(timeout=WAIT_S)[0] == PORTAL
    root.see(f"answered yes by {ALICE}")
    lab.spawn(curl(BOB), user=BOB)
    bob.see("one question: curl wants to reach n0.page.test")
    assert "shop.test" not in bob.everything
    assert [person.leave() for person in people] == [0, 0, 0]
