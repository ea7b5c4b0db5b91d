"""How long an answer or a rule holds: until an edit, until a time, `once`, or until the process quits."""

import os
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import PATIENCE, WAIT_S, wait_until
from tests.lab.step_client import PROGRAM, StepClient
from tests.lab.world import WORLD4, WORLD6
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.daemon.loop.reloader import WRITTEN_S
from tinysnitch.store.temporary_rules import TemporaryRules

pytestmark = [pytest.mark.privileged]


def answer_next(daemon: Daemon, client: StepClient, *words: str) -> str:
    """Connect, and answer the question that this opens; the result of the connection."""
    asked = len(daemon.records("ask"))
    client.start("tcp", WORLD4, 80)
    ask = daemon.wait_for_count(lambda record: record["event"] == "ask", asked + 1)[-1]
    daemon.answer(ask, *words)
    return client.result()


def try_once(daemon: Daemon, client: StepClient) -> str:
    """Connect, and answer no if there is a question; the result of the connection."""
    client.start("tcp", WORLD4, 80)
    if (told := daemon.wait_for(lambda record: record["event"] in ("ask", "connection")))["event"] == "ask":
        daemon.answer(told, "no", "--for", "once")
    return client.result()


def see_before_end(connect: Callable[[datetime], str]) -> datetime:
    """Call `connect` with the time at which a rule shall end, and assert that it connects before that; the time.

    On a slow machine the time may have passed already: then it is tried again with a later one.
    """
    for given_s in (3, 6, 12, 24, 48):
        ends = (datetime.now() + timedelta(seconds=given_s * PATIENCE)).replace(microsecond=0)
        outcome = connect(ends)
        if datetime.now() < ends:
            assert outcome == "ok"
            return ends
    raise TimeoutError("it takes too long for any end")


def wait_till(ends: datetime) -> None:
    time.sleep(max(0.0, (ends - datetime.now()).total_seconds()) + 0.05)


@pytest.mark.core_lab
def test_an_edit_holds_for_the_next_connection(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {PROGRAM}\n")
    client = StepClient(lab)
    assert client.connect(WORLD4, 80) == "ok"
    passed_s = []
    for _attempt in range(10):  # on a busy machine an edit may take long: one quick one is enough
        for verdict, outcome in (("deny", "ECONNREFUSED"), ("allow", "ok")):
            begun_s = time.monotonic()
            daemon.edit_rules(f"{verdict} {WORLD4} 80 tcp {PROGRAM}\n")
            passed_s.append(time.monotonic() - begun_s)
            assert client.connect(WORLD4, 80) == outcome
        if min(passed_s) < PATIENCE:
            break
    assert min(passed_s) < PATIENCE


def test_an_edit_in_place_holds_for_the_next_connection(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {PROGRAM}\n")
    client = StepClient(lab)
    assert client.connect(WORLD4, 80) == "ok"
    count = len(daemon.records("rules"))
    daemon.rules.write_text(f"deny {WORLD4} 80 tcp {PROGRAM}\n")
    daemon.wait_for_count(lambda record: record["event"] == "rules", count + 1)
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"


def test_what_is_half_written_is_not_read(lab: Lab) -> None:
    """Two edits in place, one right after the other: when the first is noticed, the second has emptied the file."""
    daemon = lab.start_daemon("deny - 80 tcp\n")
    with daemon.rules.open("w") as file:
        begun_s = time.monotonic()
        daemon.rules.open("a").close()
        time.sleep(0.2)
        file.write("deny - 81 tcp\n")
        is_quick = time.monotonic() - begun_s < WRITTEN_S  # the daemon waits no longer than this
    wait_until(lambda: daemon.cli("rules").stdout.startswith("deny - 81 tcp "))
    assert {record["loaded"] for record in daemon.records("rules")} == {1} or not is_quick
    with daemon.rules.open("a"):  # a program that keeps it open does not hold back the edits of others
        daemon.rules.write_text("deny - 82 tcp\n")
        wait_until(lambda: daemon.cli("rules").stdout.startswith("deny - 82 tcp "))


def test_a_broken_edit_leaves_the_old_rules_in_force(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {PROGRAM}\n")
    daemon.edit_rules(f"deny - - -\nalow {WORLD4} 8080 tcp\n")
    told = daemon.records("rules")[-1]
    assert len(told["errors"]) == 1
    assert f"{daemon.rules}:2:1: " in told["errors"][0]
    assert StepClient(lab).connect(WORLD4, 80) == "ok"


def test_an_answer_that_cannot_be_saved_says_so_and_outlives_a_reload(lab: Lab) -> None:
    daemon = lab.start_daemon("deny - 23 tcp\n")
    client = StepClient(lab)
    moved = daemon.rules.rename(daemon.rules.with_suffix(".away"))
    client.start("tcp", WORLD4, 80)
    told = daemon.cli("answer", str(daemon.wait_ask()["id"]), "no", "--for", "forever")
    assert client.result() == "ECONNREFUSED"
    assert (told.returncode, told.stdout[:5]) == (1, "deny ")
    assert f"error: the rule holds but could not be saved: {daemon.rules}: the file is gone\n" in told.stderr
    assert "1 rules not saved" in daemon.cli("status").stdout
    moved.rename(daemon.rules)
    daemon.wait_for_count(lambda record: record["event"] == "rules" and not record["errors"], 2)
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"
    assert daemon.stop() == 0
    assert daemon.read_rules() == f"deny - 23 tcp\n{told.stdout}"


def test_a_rule_with_a_time_ends_on_time(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\n")
    client = StepClient(lab)
    daemon.edit_rules(f"deny {WORLD4} 80 tcp\n")
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"

    def connect(ends: datetime) -> str:
        daemon.edit_rules(f"allow until={ends.isoformat()} {WORLD4} 80 tcp {PROGRAM}\ndeny {WORLD4} 80 tcp\n")
        return client.connect(WORLD4, 80)

    wait_till(see_before_end(connect))
    assert client.connect(WORLD4, 80) == "ECONNREFUSED"


def test_an_answer_for_a_minute_is_listed_with_its_end(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    client = StepClient(lab)
    assert answer_next(daemon, client, "yes", "--for", "1m") == "ok"
    assert client.connect(WORLD4, 80) == "ok"
    assert daemon.read_rules() == ""
    listed = daemon.cli("rules", "list", "--json").stdout
    assert "until=" in listed
    assert "temporary" in listed


def test_an_answer_for_a_minute_outlives_the_daemon_and_ends_on_time(lab: Lab) -> None:
    """The test shortens the minute in the state file while the daemon is away; the prompts' tests check its length."""
    daemon = lab.start_daemon("")
    client = StepClient(lab)
    assert answer_next(daemon, client, "yes", "--for", "1m") == "ok"
    kept = daemon.rules.parent / "state" / "temporary.rules"
    before, after = re.split("until=[^ ]+", kept.read_text())

    def connect(ends: datetime) -> str:
        nonlocal daemon
        assert daemon.stop() == 0
        kept.write_text(f"{before}until={ends.isoformat()}{after}")
        daemon = lab.restart_daemon(daemon.rules.parent)
        return try_once(daemon, client)

    wait_till(see_before_end(connect))
    assert daemon.cli("rules", "list").stdout == ""
    assert answer_next(daemon, client, "no", "--for", "once") == "ECONNREFUSED"


@pytest.mark.core_lab
def test_once_lets_exactly_one_connection_through(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    client = StepClient(lab)
    assert answer_next(daemon, client, "yes", "--for", "once") == "ok"
    assert answer_next(daemon, client, "no", "--for", "once") == "ECONNREFUSED"
    assert answer_next(daemon, client, "yes", "--for", "once") == "ok"
    assert daemon.read_rules() == ""
    assert daemon.cli("log").stdout.count(" # answered once by uid 0\n") == 3


def test_once_is_for_both_addresses_that_a_program_tries_at_once(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    curl = lab.spawn(["curl", "-sS", "http://shop.test/"])
    ask = daemon.wait_ask()
    wait_until(lambda: daemon.asks()[0]["count"] == 2)
    daemon.answer(ask, "yes", "--for", "once")
    assert curl.wait(timeout=WAIT_S) == 0
    passed = daemon.wait_for_count(lambda told: told["event"] == "connection" and told["protocol"] == "tcp", 2)
    assert {told["remote_address"] for told in passed} == {WORLD4, WORLD6}
    assert daemon.asks() == []


def test_until_quit_ends_with_its_process(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    client = StepClient(lab)
    assert answer_next(daemon, client, "yes", "--for", "quit") == "ok"
    (told,) = daemon.wait_connections(1)
    assert f" # answered until process {told['pid']} ends by uid 0\n" in daemon.cli("log").stdout
    assert client.connect(WORLD4, 80) == "ok"
    assert len(daemon.records("ask")) == 1
    assert f"allow {WORLD4} 80 tcp" in daemon.cli("rules", "list").stdout
    client.end()
    listed = daemon.cli("rules", "list")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert answer_next(daemon, StepClient(lab), "no", "--for", "once") == "ECONNREFUSED"
    assert len(daemon.records("ask")) == 2


def test_the_end_of_a_forked_child_ends_only_what_was_answered_for_the_child(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    client = StepClient(lab)
    assert answer_next(daemon, client, "yes", "--for", "quit") == "ok"
    client.start("fork tcp", WORLD6, 80)
    daemon.answer(daemon.wait_ask(remote_address=WORLD6), "yes", "--for", "quit")
    assert client.result() == "ok"
    wait_until(lambda: daemon.cli("rules", "list").stdout.count("allow") == 1)
    assert client.connect(WORLD4, 80) == "ok"
    assert len(daemon.records("ask")) == 2


def test_until_quit_is_for_that_process_alone(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    assert answer_next(daemon, StepClient(lab), "yes", "--for", "quit") == "ok"
    assert answer_next(daemon, StepClient(lab), "no", "--for", "once") == "ECONNREFUSED"


def test_a_clock_that_was_set_back_prolongs_no_rule_from_before_a_restart(lab: Lab) -> None:
    """The clock was a year ahead when the rule was made: by its line alone the rule would hold for another year."""
    client = StepClient(lab)
    daemon = lab.start_daemon("")
    kept = daemon.rules.parent / "state" / "temporary.rules"
    year = timedelta(days=365)

    def connect(ends: datetime) -> str:
        nonlocal daemon
        assert daemon.stop() == 0
        written = (datetime.now() + year).timestamp()
        rule = f"allow until={(ends + year).isoformat()} {WORLD4} 80 tcp"
        TemporaryRules(kept).replace([parse_rule(rule)])
        os.utime(kept, (written, written))
        daemon = lab.restart_daemon(daemon.rules.parent)
        return try_once(daemon, client)

    see_before_end(connect)
    wait_until(lambda: daemon.cli("rules").stdout == "")
    client.start("tcp", WORLD4, 80)
    daemon.wait_ask()
