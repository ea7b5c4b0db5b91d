"""The main path: an unknown connection is held, asked about, answered, and the answer remembered."""

import time

import pytest

from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import PATIENCE, WAIT_S
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]

CURL = ["curl", "-4", "-sS", "http://shop.test/"]
RULE = "allow shop.test 80 tcp /usr/bin/curl -4 -sS http://shop.test/"
PAGE = "welcome to the shop\n"
AT_ONCE_S = 10 * PATIENCE  # a client that is not refused goes on trying for two minutes


def columns(text: str) -> list[list[str]]:
    """The rule lines of a file, each as the list of its columns."""
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.core_lab
def test_with_no_rules_each_connection_waits_for_its_answer(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    curl = lab.spawn(CURL)
    daemon.answer(daemon.wait_ask(protocol="udp", remote_port=53), "yes", "--for", "forever")
    daemon.wait_ask(protocol="tcp")
    [listed] = daemon.asks()
    assert curl.poll() is None
    assert (listed["program"], listed["args"]) == ("/usr/bin/curl", ["-4", "-sS", "http://shop.test/"])
    assert (listed["name"], listed["remote_address"], listed["remote_port"]) == ("shop.test", WORLD4, 80)
    assert (listed["direction"], listed["attribution"], listed["pid"]) == ("outbound", "bpf", curl.pid)
    daemon.answer(listed, "yes", "--for", "forever")
    assert curl.communicate(timeout=WAIT_S)[0] == PAGE
    assert RULE.split() in columns(daemon.read_rules())


def test_what_was_allowed_forever_is_not_asked_again(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    curl = lab.spawn(CURL)
    daemon.answer(daemon.wait_ask(), "yes", "--for", "forever")
    assert curl.wait(timeout=WAIT_S) == 0
    assert lab.run(CURL).stdout == PAGE
    assert daemon.wait_connection(protocol="tcp", rule=RULE)["verdict"] == "allow"
    assert len(daemon.stop_and_tell("ask")) == 1


def test_a_question_names_the_rule_that_asks(lab: Lab) -> None:
    rule = "ask shop.test - - /usr/bin/curl"
    daemon = lab.start_daemon(f"{DNS_RULE}allow - - -\n{rule}\n")
    curl = lab.spawn(CURL)
    ask = daemon.wait_ask(reason="asked by a rule")
    assert [ask["rule"], *(listed["rule"] for listed in daemon.asks())] == [rule, rule]
    daemon.answer(ask, "yes")
    assert curl.communicate(timeout=WAIT_S)[0] == PAGE


def test_the_number_of_a_question_is_never_used_again(lab: Lab) -> None:
    """So an answer to a question from before a restart cannot be taken for an answer to a later one."""
    command = ["bash", "-c", "for i in {3..42}; do (exec 3<>/dev/tcp/10.77.0.$i/80) & done; wait"]
    daemon = lab.start_daemon("")
    lab.spawn(command)
    before = {record["id"] for record in daemon.wait_for_count(lambda record: record["event"] == "ask", 40)}
    assert daemon.stop() == 0
    daemon = lab.restart_daemon(daemon.rules.parent)
    lab.spawn(command)
    after = {record["id"] for record in daemon.wait_for_count(lambda record: record["event"] == "ask", 40)}
    assert before.isdisjoint(after)


def test_answered_no_the_program_is_refused_at_once(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    curl = lab.spawn([*CURL, "-v"])
    ask = daemon.wait_ask(name="shop.test")
    daemon.answer(ask, "no", "--for", "forever")
    answered = time.monotonic()
    output = curl.communicate(timeout=WAIT_S)[0]
    assert curl.returncode == 7
    assert "Connection refused" in output
    assert time.monotonic() - answered < AT_ONCE_S
    assert [*RULE.replace("allow", "deny", 1).split(), "-v"] in columns(daemon.read_rules())


def test_what_was_denied_forever_is_refused_without_a_question(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE + "deny shop.test 80 tcp /usr/bin/curl\n")
    begun = time.monotonic()
    assert lab.run(CURL).returncode == 7
    assert time.monotonic() - begun < AT_ONCE_S
    assert daemon.stop_and_tell("ask") == []


def test_an_answer_is_recorded_with_who_gave_it(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    lab.spawn(CURL)
    ask = daemon.wait_ask()
    daemon.answer(ask, "yes", "--for", "forever")
    answer = daemon.wait_for(lambda record: record["event"] == "answer")
    assert (answer["id"], answer["by_uid"], answer["rule"].split()) == (ask["id"], 0, RULE.split())


def test_a_datagram_whose_interface_went_down_meanwhile_is_counted(lab: Lab) -> None:
    """When an interface goes down, the kernel drops what is held for it, whatever is answered later."""
    daemon = lab.start_daemon("")
    send = f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('{WORLD4}', 7))"
    assert lab.run(["/usr/bin/python3", "-c", send]).returncode == 0
    ask = daemon.wait_ask(remote_port=7)
    for state in ("down", "up"):
        assert lab.run_outside(["ip", "link", "set", "eth0", state]).returncode == 0
    daemon.answer(ask, "yes")
    lost = daemon.wait_for(lambda record: record["event"] == "lost")
    assert (lost["what"], lost["count"]) == ("packets gone before their verdict", 1)


def test_the_first_answer_wins(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    curl = lab.spawn(CURL)
    ask = daemon.wait_ask()
    daemon.answer(ask, "yes")
    late = daemon.cli("answer", str(ask["id"]), "no")
    assert (late.returncode, late.stderr[:19]) == (1, "tinysnitch: error: ")
    assert curl.communicate(timeout=WAIT_S)[0] == PAGE


def test_with_no_answer_it_is_denied_when_the_time_is_over(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE, timeout_s=1)
    assert lab.run(CURL).returncode == 7
    denied = daemon.wait_connection(protocol="tcp")
    assert (denied["verdict"], denied["rule"]) == ("deny", None)
    assert denied["reason"]


@pytest.mark.parametrize(
    ("flags", "rule"),
    [
        (["--any-args"], "allow shop.test 80 tcp /usr/bin/curl"),
        (["--any-port", "--any-args"], "allow shop.test - tcp /usr/bin/curl"),
        (["--any-remote"], "allow - 80 tcp /usr/bin/curl -4 -sS http://shop.test/"),
        (["--domain", "--any-args"], "allow *.shop.test 80 tcp /usr/bin/curl"),
    ],
)
def test_flags_widen_the_rule(lab: Lab, flags: list[str], rule: str) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    lab.spawn(CURL)
    daemon.answer(daemon.wait_ask(), "yes", "--for", "forever", *flags)
    written = columns(daemon.read_rules())[-1]
    assert [word for word in written if word != "-"] == [word for word in rule.split() if word != "-"]
    assert written[:4] == rule.split()[:4]


def test_a_missing_rules_file_is_made_with_a_starter_set(lab: Lab) -> None:
    daemon = lab.start_daemon(None)
    assert ["allow", "@resolvers", "53", "udp"] in columns(daemon.read_rules())
    assert "10.77.0.1" in lab.run(["dig", "+short", "+tries=1", "shop.test"]).stdout
    assert daemon.stop_and_tell("ask") == []
