"""The terminal prompt against the real daemon: hold curl, type keys, read the rules file."""

import time
from collections.abc import Iterator

import pytest

from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.person import Person

pytestmark = [pytest.mark.privileged]

CURL = ["curl", "-4", "-sS", "http://shop.test/"]
DELAY_S = 0.5


def prompt(daemon: Daemon, *flags: str) -> Person:
    """Someone in front of `tinysnitch prompt`."""
    return Person([str(BIN / "tinysnitch"), "prompt", "--socket", str(daemon.socket), *flags])


@pytest.fixture
def people() -> Iterator[list[Person]]:
    present: list[Person] = []
    yield present
    for person in present:
        person.close()


@pytest.mark.parametrize("flags", [[], ["--plain"]])
def test_one_key_lets_the_program_through_and_writes_the_rule(lab: Lab, people: list[Person], flags: list[str]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    people.append(person := prompt(daemon, *flags))
    person.see("no questions")
    curl = lab.spawn(CURL)
    person.see("curl wants to reach shop.test")
    time.sleep(DELAY_S + 0.1)  # the delay itself is what must pass
    person.type("f")
    person.see("in the rules file")
    person.type("j")
    person.type("y")
    assert curl.communicate(timeout=10)[0] == "welcome to the shop\n"
    assert "allow shop.test 80 tcp /usr/bin/curl\n" in daemon.rules.read_text()
    assert person.leave() == 0


@pytest.mark.parametrize("flags", [[], ["--plain"]])
def test_a_rule_edited_by_hand_is_the_one_that_is_written(lab: Lab, people: list[Person], flags: list[str]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    people.append(person := prompt(daemon, *flags))
    person.see("no questions")
    curl = lab.spawn(CURL)
    person.see("curl wants to reach shop.test")
    time.sleep(DELAY_S + 0.1)  # the delay itself is what must pass
    person.type("e")
    person.see("answers with it" if flags else "answer with it")
    person.type("\x15allow *.shop.test - tcp")
    person.see("*.shop.test - tcp")
    time.sleep(DELAY_S + 0.1)
    person.type("\r")
    assert curl.communicate(timeout=10)[0] == "welcome to the shop\n"
    assert daemon.rules.read_text().endswith("allow *.shop.test - tcp\n")
    assert person.leave() == 0


def test_keys_typed_ahead_leave_the_connection_held(lab: Lab, people: list[Person]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    people.append(person := prompt(daemon, "--plain"))
    person.see("no questions")
    person.type("yyy")
    curl = lab.spawn(CURL)
    person.see("holds: ")
    person.type("fyyy")
    person.see("keys: ")
    assert [ask["name"] for ask in daemon.asks()] == ["shop.test"]
    person.type("n")
    assert "Could not connect" in curl.communicate(timeout=10)[0]


def test_two_prompts_race_and_the_first_answer_wins(lab: Lab, people: list[Person]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    first, second = (prompt(daemon, "--plain") for _ in range(2))
    people += [first, second]
    for person in people:
        person.see("no questions")
    curl = lab.spawn(CURL)
    for person in people:
        person.see("keys: ")
    first.type("y")
    assert curl.communicate(timeout=10)[0] == "welcome to the shop\n"
    second.see("by root")
    second.type("n")
    assert [person.leave() for person in people] == [0, 0]
