"""The terminal prompt against the real daemon: hold curl, type keys, read the rules file."""

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import DNS_RULE, Lab

pytestmark = [pytest.mark.privileged]

CURL = ["curl", "-4", "-sS", "http://shop.test/"]
COMMAND = Path(sys.executable).with_name("tinysnitch")
DELAY_S = 0.5


class Person:
    """Someone at a terminal of 80x24 in which the prompt runs."""

    def __init__(self, *flags: str) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", COMMAND, "prompt", *flags],  # so that /dev/tty is this terminal
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"},
        )
        os.close(slave)
        self.seen = ""

    def see(self, text: str, timeout_s: float = 15) -> None:
        """Wait until the text is written, and forget everything up to it."""
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._master], [], [], left)[0]:
                raise TimeoutError(f"{text!r} is not in {self.seen!r}")
            self.seen += os.read(self._master, 65536).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def leave(self) -> int:
        self.type("q")
        return self.process.wait(timeout=10)

    def close(self) -> None:
        os.close(self._master)  # hangs the terminal up: the prompt ends
        self.process.wait(timeout=10)


@pytest.fixture
def people() -> Iterator[list[Person]]:
    present: list[Person] = []
    yield present
    for person in present:
        person.close()


@pytest.mark.parametrize("flags", [[], ["--plain"]])
def test_one_key_lets_the_program_through_and_writes_the_rule(lab: Lab, people: list[Person], flags: list[str]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    people.append(person := Person("--socket", str(daemon.socket), *flags))
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


def test_keys_typed_ahead_leave_the_connection_held(lab: Lab, people: list[Person]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    people.append(person := Person("--socket", str(daemon.socket), "--plain"))
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
    first, second = (Person("--socket", str(daemon.socket), "--plain") for _ in range(2))
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
